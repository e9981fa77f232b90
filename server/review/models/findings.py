"""What the log is asked about, and what officers found out. Nothing here ranks or counts people."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from server.common.models import Row
from server.people.models import Controller, Officer
from server.review.finding_decide import State
from server.review.odd import Kind

OPEN_STATES = (State.OPEN, State.EXPLAINED, State.CONFIRMED)
BY_DUTY = "duty"
"""Concluded by the answer to a duty to review, wherever that stands."""


class Finding(Row):
    """A question to a person, about a few events of one controller's log: never an answer, and no accusation.

    Made by `scanning.py`. Answered by officers of the controller, never by whoever it concerns. `state` moves by
    compare-and-swap (`findings.py`); the constraints say what each state holds.
    """

    controller = models.ForeignKey(Controller, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=20, choices=[(one, one) for one in Kind])
    case = models.CharField(max_length=160)
    """Which question it is: the same again grows while it is open, and is not asked twice."""
    key = models.CharField(max_length=200)
    """The case and its first event."""
    state = models.CharField(max_length=10, choices=[(one, one) for one in State], default=State.OPEN)
    conclusion = models.CharField(max_length=10, blank=True)
    actor_id = models.UUIDField()
    subject_id = models.UUIDField(null=True)
    """The patient; none when it is about several, or none."""
    events = models.JSONField(default=list)
    """Ids of events in the log, eldest first; of very many the first."""
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    parameters = models.JSONField(default=dict)
    """What was compared, and the limit that it reached: numbers, by the rule's names."""
    duty_id = models.UUIDField(null=True)
    """The duty to review that answers it."""
    owner = models.ForeignKey(Officer, null=True, on_delete=models.PROTECT, related_name="+")
    due_at = models.DateTimeField()
    found_at = models.DateTimeField(db_default=Now(), editable=False)
    closed_at = models.DateTimeField(null=True)
    hindered = models.CharField(max_length=30, blank=True)
    """Why nobody can take it now, as a code; it stays open meanwhile."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["controller", "key"], name="finding_once"),
            models.CheckConstraint(condition=Q(kind__in=list(Kind)), name="finding_kind"),
            models.CheckConstraint(
                condition=Q(state=State.OPEN, conclusion="", closed_at=None)
                | Q(state=State.EXPLAINED, conclusion=State.EXPLAINED, closed_at=None, owner__isnull=False)
                | Q(state=State.CONFIRMED, conclusion=State.CONFIRMED, closed_at=None, owner__isnull=False)
                | Q(
                    state=State.CLOSED,
                    conclusion__in=[State.EXPLAINED, State.CONFIRMED],
                    closed_at__isnull=False,
                    owner__isnull=False,
                )
                | Q(state=State.CLOSED, conclusion=BY_DUTY, closed_at__isnull=False, duty_id__isnull=False),
                name="finding_state",
            ),
            models.CheckConstraint(condition=Q(last_at__gte=models.F("first_at")), name="finding_period"),
        ]
        indexes = [
            # The officers' queue, soonest due first, with or without a state.
            models.Index(fields=["controller", "due_at", "id"], name="finding_due"),
            models.Index(fields=["controller", "state", "due_at", "id"], name="finding_in_state"),
            # Whether a question was asked before.
            models.Index(fields=["controller", "case", "last_at"], name="finding_case"),
            # Whether the duty that answers it is done.
            models.Index(fields=["duty_id"], condition=Q(closed_at=None, duty_id__isnull=False), name="finding_duty"),
        ]


class FindingNote(Row):
    """What an officer wrote about a finding, or that its state moved. The database refuses change."""

    finding = models.ForeignKey(Finding, on_delete=models.PROTECT, related_name="notes")
    by = models.ForeignKey(Officer, null=True, on_delete=models.PROTECT, related_name="+")
    """None when the duty's answer closed it."""
    at = models.DateTimeField(db_default=Now(), editable=False)
    text_sealed = models.BinaryField(null=True)
    """Under the key of the patient concerned, or the log's own where there is none; bound to this row."""
    from_state = models.CharField(max_length=10)
    to_state = models.CharField(max_length=10)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(from_state=models.F("to_state")) | Q(text_sealed__isnull=False), name="finding_note_says"
            ),
            models.CheckConstraint(condition=Q(by__isnull=False) | Q(text_sealed=None), name="finding_note_by"),
        ]


class Watch(models.Model):
    """How far the rules have followed one controller's lines; locked by whoever applies them."""

    controller = models.OneToOneField(Controller, primary_key=True, on_delete=models.PROTECT, related_name="+")
    position = models.BigIntegerField(default=0)
    settled = models.BigIntegerField(default=0)
    """Up to where looks have been judged that wait for a later act."""
