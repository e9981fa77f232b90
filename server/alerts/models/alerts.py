"""One call for help, from the press of a button until staff have closed it (M3; laws 6 and 7).

The row holds where it stands; `AlertEvent` holds all that happened and never changes.
"""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from server.alerts.models.patients import AlertKey
from server.alerts.models.programmes import Policy, Programme
from server.common.models import Row
from server.people.models import Patient, User


class State(models.TextChoices):
    RECEIVED = "received"
    PAGING = "paging"
    ACCEPTED = "accepted"
    IN_CONTACT = "in_contact"
    NOT_REACHED = "not_reached"
    HANDOVER_OFFERED = "handover_offered"
    EXHAUSTED = "exhausted"
    FOLLOW_UP = "follow_up"
    CLOSED = "closed"


class Duty(models.TextChoices):
    """Whose turn it is: the router calls people, or the responder owes the next deed."""

    ROUTER = "router"
    RESPONDER = "responder"


class Alert(models.Model):
    """`id` is the client's own. `version` rises with every change: whoever decides writes only over what they read."""

    id = models.UUIDField(primary_key=True, editable=False)
    patient = models.ForeignKey(Patient, null=True, on_delete=models.PROTECT, related_name="+")
    """None of a synthetic alert alone, which tries out the whole way each hour."""
    programme = models.ForeignKey(Programme, on_delete=models.PROTECT, related_name="+")
    policy = models.ForeignKey(Policy, null=True, on_delete=models.PROTECT, related_name="+")
    """Pinned; None: there was none, and the one that is built in holds (`policy.BUILT_IN`)."""
    synthetic = models.BooleanField(default=False)

    state = models.CharField(max_length=20, choices=State, default=State.RECEIVED)
    generation = models.PositiveIntegerField(default=0)
    """Rises whenever calling begins anew: a button of an older one does nothing (law 7)."""
    version = models.PositiveIntegerField(default=0)
    step = models.IntegerField(default=-1)
    """Of the policy, from 0; beyond its last, rounds in which everybody is called; -1: not begun."""
    step_at = models.DateTimeField()
    """When the step began."""
    duty = models.CharField(max_length=10, choices=Duty, blank=True, default=Duty.ROUTER)
    due_at = models.DateTimeField(null=True)
    responder = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    offered_to = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    """Who may take over; None while offered: anybody in the team."""
    offered_from = models.CharField(max_length=20, choices=State, blank=True, default="")
    """The state to go back to when nobody takes over."""
    offered_at = models.DateTimeField(null=True)

    raised_at = models.DateTimeField()
    raised_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    """The session's user; None when an alert key raised it."""
    raised_from = models.CharField(
        max_length=10, choices=[(one, one) for one in ("key", "session", "staff", "synthetic")]
    )
    alert_key = models.ForeignKey(AlertKey, null=True, on_delete=models.PROTECT, related_name="+")
    cancelled_at = models.DateTimeField(null=True)
    """«It was an accident», from the phone. Staff still speak with the patient alone: a cancel may be forced."""
    accepted_at = models.DateTimeField(null=True)
    """Of the present responder."""
    calling_at = models.DateTimeField(null=True)
    contact_at = models.DateTimeField(null=True)
    """When the two first spoke, in this generation."""
    alone_at = models.DateTimeField(null=True)
    """When staff had spoken with the patient alone, after a cancel."""
    closed_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=30, blank=True)
    children = models.CharField(max_length=10, blank=True)
    """`none`, `present` or `unknown`: were children there."""
    events = models.PositiveIntegerField(default=0)
    """How many events there are; the next has this number and one."""

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=State.values), name="alert_state"),
            # Law 6: whatever is not over has a due time and somebody whose duty it is.
            models.CheckConstraint(
                condition=Q(state="closed", due_at=None, duty="", closed_at__isnull=False)
                | (
                    ~Q(state="closed")
                    & Q(due_at__isnull=False, closed_at=None)
                    & (
                        Q(duty="router", responder=None, state__in=("received", "paging", "exhausted", "follow_up"))
                        | Q(
                            duty="responder",
                            responder__isnull=False,
                            state__in=("accepted", "in_contact", "not_reached", "handover_offered", "follow_up"),
                        )
                    )
                ),
                name="alert_never_waits_for_nobody",
            ),
            models.CheckConstraint(condition=Q(patient=None) ^ Q(synthetic=False), name="alert_has_a_patient"),
            models.CheckConstraint(
                condition=(Q(state="handover_offered") & ~Q(offered_from="") & Q(offered_at__isnull=False))
                | (~Q(state="handover_offered") & Q(offered_from="", offered_at=None, offered_to=None)),
                name="alert_offer",
            ),
            models.UniqueConstraint(
                fields=["patient"], condition=~Q(state="closed") & Q(synthetic=False), name="alert_one_open"
            ),
        ]
        indexes = [
            # The router's question, every two seconds and at each wake-up.
            models.Index(fields=["due_at"], condition=~Q(state="closed"), name="alert_due"),
            models.Index(fields=["programme", "raised_at"], name="alert_of_programme"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class AlertAlias(models.Model):
    """A further UUID that was sent while an alert was open; it stands for that one for ever."""

    id = models.UUIDField(primary_key=True, editable=False)
    alert = models.ForeignKey(Alert, on_delete=models.PROTECT, related_name="aliases")
    at = models.DateTimeField(db_default=Now(), editable=False)


class AlertEvent(Row):
    """One thing that happened; append-only, numbered from 1 without holes.

    `type` and `code` are stable words; what people wrote is sealed under the patient's key.
    """

    alert = models.ForeignKey(Alert, on_delete=models.PROTECT, related_name="log")
    n = models.PositiveIntegerField()
    at = models.DateTimeField()
    type = models.CharField(max_length=30)
    actor = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    generation = models.PositiveIntegerField()
    step = models.IntegerField()
    page = models.UUIDField(null=True)
    contact = models.UUIDField(null=True)
    """Whom it was sent to: a user, or `reach.FINAL`."""
    channel = models.CharField(max_length=10, blank=True)
    code = models.CharField(max_length=40, blank=True)
    text_sealed = models.BinaryField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["alert", "n"], name="alert_event_number")]
        indexes = [
            # `decide` needs the events of the present step only.
            models.Index(fields=["alert", "generation", "step"], name="alert_event_step"),
        ]


class AlertTask(Row):
    """What a responder owes next, with an owner and a due time."""

    class Kind(models.TextChoices):
        PLAN_CONTACTS = "plan_contacts"
        """Call those whom the plan names."""
        CALL_113 = "call_113"
        """Call 113 for the patient. The software never does."""
        SPEAK_ALONE = "speak_alone"
        """Speak with the patient alone: the alert was cancelled from the phone."""

    alert = models.ForeignKey(Alert, on_delete=models.PROTECT, related_name="tasks")
    kind = models.CharField(max_length=20, choices=Kind)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    due_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)
    done_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    code = models.CharField(max_length=20, blank=True)
    """`done` or `needless`."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["alert", "kind"], condition=Q(done_at=None), name="alert_task_one_open"),
        ]


class RouterBeat(models.Model):
    """When a router last looked for what is due; the watchdog reads it."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()
