"""Employees whom the log shows to patients by a code, and what officers take out of the log."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from server.common.models import Row
from server.people.models import Controller, Patient, User
from server.people.periods import NOW, Moment


class ShieldQuerySet(models.QuerySet["Shield"]):
    def in_force(self, at: Moment = NOW) -> "ShieldQuerySet":
        return self.filter(valid_from__lte=at, ended_at=None)


class Shield(Row):
    """A controller's reasoned, dated decision that patients see unit, role and `code` in place of an employee's name.

    The database lets only the end be written, once. A person keeps their code at a controller, however often it is
    decided anew: whoever reads the log can tell that it was the same person.
    """

    controller = models.ForeignKey(Controller, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    code = models.CharField(max_length=12)
    """Random; says nothing of the person."""
    reason_sealed = models.BinaryField()
    """Under the service's key; for officers alone."""
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    decided_on = models.DateField()
    valid_from = models.DateTimeField()
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    objects = ShieldQuerySet.as_manager()

    class Meta:
        constraints = [
            # Also serves the log's question who of a page is shielded.
            models.UniqueConstraint(fields=["controller", "user"], condition=Q(ended_at=None), name="shield_one_open"),
            models.UniqueConstraint(fields=["controller", "code"], condition=Q(ended_at=None), name="shield_one_code"),
            models.CheckConstraint(condition=~Q(code=""), name="shield_has_a_code"),
            models.CheckConstraint(condition=~Q(user=F("decided_by")), name="shield_not_ones_own"),
            models.CheckConstraint(
                condition=Q(ended_at=None, ended_by=None) | Q(ended_at__isnull=False, ended_by__isnull=False),
                name="shield_ended_by_somebody",
            ),
        ]
        indexes = [models.Index(fields=["controller", "id"], name="shield_of_controller")]  # officers' list


class Export(Row):
    """Something that an officer takes out of the log, and how far that has come.

    `snapshot` names the signed checkpoint (`tree << 40 | size`) that everything in it is proved against: it holds what
    was sealed by then, however late it is fetched.
    """

    class Kind(models.TextChoices):
        EVENTS = "events"
        """Lines that fit some filters."""
        SUBJECT = "subject"
        """Everything that the log says about one patient, who has asked for it (GDPR article 15)."""
        HELD = "held"
        """Everything that is held about one person; ordered by the person, or by an officer on their behalf."""

    class Format(models.TextChoices):
        JSONL = "jsonl"
        CSV = "csv"
        HTML = "html"
        """A page to print, for a patient."""

    class State(models.TextChoices):
        READY = "ready"
        RUNNING = "running"
        DONE = "done"
        CUT = "cut"
        """The appointment or the session ended, or the reader went away, before the last line."""

    kind = models.CharField(max_length=10, choices=Kind)
    controller = models.ForeignKey(Controller, null=True, on_delete=models.PROTECT, related_name="+")
    """None where a person took out what is held about them."""
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    patient = models.ForeignKey(Patient, null=True, on_delete=models.PROTECT, related_name="+")
    about = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    """Whom it is about, of people at work."""
    filters = models.JSONField(default=dict)
    """As the list of events takes them; identifiers and codes."""
    format = models.CharField(max_length=10, choices=Format)
    reason_sealed = models.BinaryField()
    """In the officer's words; under the patient's key, or the service's where it is about nobody in particular."""
    snapshot = models.BigIntegerField()
    total = models.BigIntegerField()
    """Lines, counted when it was made."""
    done = models.BigIntegerField(default=0)
    """Lines that the newest fetching has given so far."""
    state = models.CharField(max_length=10, choices=State, default=State.READY)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="subject", patient__isnull=False, about=None, controller__isnull=False)
                | Q(kind="events", patient=None, about=None, controller__isnull=False)
                | (Q(kind="held") & (Q(patient__isnull=False, about=None) | Q(patient=None, about__isnull=False))),
                name="export_of_one_kind",
            ),
        ]
        indexes = [
            models.Index(fields=["controller", "id"], name="export_of_controller"),  # officers' list
            models.Index(fields=["made_by", "id"], condition=Q(controller=None), name="export_of_ones_own"),
        ]
