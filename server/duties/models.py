"""Who must do something, or be told something, and by when: due rows, readable over the API."""

from uuid import UUID

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from server.common.models import Row
from server.people.models import Controller, Patient, User


class Kind(models.TextChoices):
    OFFER_CALL = "offer_call"
    """A clinician offers a call after a withdrawal: sharing has stopped, care has not (M4)."""
    CONSENT_ENDING = "consent_ending"
    """The patient: a consent ends soon."""
    CONSENT_RECORDED = "consent_recorded"
    """The patient: staff recorded a consent given on paper or in speech."""
    EMERGENCY_TOLD = "emergency_told"
    """A leader is told of emergency access at once (L3)."""
    EMERGENCY_USED = "emergency_used"
    """The patient is told of emergency access: at once or, where telling would endanger somebody, when it is due (L3).
    Until then nobody sees the row."""
    EMERGENCY_REVIEW = "emergency_review"
    """An officer of the actor's controller reviews emergency access, in words (L3)."""
    RECORD_UNREADABLE = "record_unreadable"
    """An officer finds out why a consent record cannot be verified, in words."""
    ALERT_KEY_LOST = "alert_key_lost"
    """Who leads an after-hours team: a patient's phone no longer calls for help (M3, L5)."""
    SHIFT_NOT_READY = "shift_not_ready"
    """Who leads it: somebody whose shift comes has not shown that they can be reached (M3)."""
    ROSTER_GAP = "roster_gap"
    """Who leads it: nobody is on call in a time to come (M3)."""
    PHONE_LET_IN = "phone_let_in"
    """The patient: staff have made a code that lets a phone into their account, or one has been used (L5)."""
    PHONE_LET_IN_TOLD = "phone_let_in_told"
    """Who leads whoever made the code."""
    WAY_IN_CHANGED = "way_in_changed"
    """Whose it is: what proves who they are was added, taken away or used up, or looks copied (L5)."""
    ALERT_KEY_MADE = "alert_key_made"
    """The patient: a phone of theirs can call for help from now on."""
    ALERT_KEY_MADE_TOLD = "alert_key_made_told"
    """Who leads an after-hours team: the same."""
    ERASURE_COMING = "erasure_coming"
    """The patient: all that is held about them is to be destroyed."""
    ERASURE_TOLD = "erasure_told"
    """Each officer of the controllers concerned: the same."""


TO_PATIENTS = (
    Kind.CONSENT_ENDING,
    Kind.CONSENT_RECORDED,
    Kind.EMERGENCY_USED,
    Kind.PHONE_LET_IN,
    Kind.ALERT_KEY_MADE,
    Kind.ERASURE_COMING,
)
"""Owed to patients."""
TO_ANYBODY = (*TO_PATIENTS, Kind.WAY_IN_CHANGED)
"""All other kinds are owed to people at work, and shown to nobody who is not."""
NEED_WORDS = (Kind.EMERGENCY_REVIEW, Kind.RECORD_UNREADABLE)
TAKE_WORDS = (Kind.OFFER_CALL, *NEED_WORDS)
"""The others are told something, and done by acknowledging it."""


class DutyQuerySet(models.QuerySet["Duty"]):
    def with_key(self) -> "DutyQuerySet":
        """Each with its patient's key at hand, and nothing else of the patient."""
        return self.annotate(patient_key=F("patient__key"))


class Duty(Row):
    """One thing that is due, owed by one person or by whoever is officer of one controller.

    `room_id` and `object_id` (the consent, the emergency access, …) are no foreign keys: those live on higher floors.
    After it is made, a row changes once: `actions.finish` sets `done_at`, `done_by` and `answer_sealed`.
    """

    kind = models.CharField(max_length=20, choices=Kind)
    patient = models.ForeignKey(Patient, null=True, on_delete=models.PROTECT, related_name="+")
    room_id = models.UUIDField(null=True)
    object_id = models.UUIDField(null=True)
    user = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    controller = models.ForeignKey(Controller, null=True, on_delete=models.PROTECT, related_name="+")
    employer = models.ForeignKey(Controller, null=True, on_delete=models.PROTECT, related_name="+")
    """For whom a person at work owes it: they see it when they act for that controller (L6)."""
    concerns = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    """Whose act it is about: nobody reviews their own."""
    due_at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    code = models.CharField(max_length=40, blank=True)
    """A ground or a reason, from a list; never free text."""
    done_at = models.DateTimeField(null=True)
    done_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    answer_sealed = models.BinaryField(null=True)
    """Sealed under the patient's key, bound to this row."""

    patient_key: UUID
    """The patient's data key, of rows read through `with_key`; there is none without a patient."""

    objects = DutyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="duty_kind"),
            models.CheckConstraint(
                condition=Q(user=None, controller__isnull=False) | Q(user__isnull=False, controller=None),
                name="duty_one_owner",
            ),
            models.CheckConstraint(
                condition=Q(done_at=None, done_by=None, answer_sealed=None)
                | Q(done_at__isnull=False, done_by__isnull=False),
                name="duty_done_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(done_at=None) | ~Q(kind__in=NEED_WORDS) | Q(answer_sealed__isnull=False),
                name="duty_done_in_words",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=TAKE_WORDS, patient__isnull=False)
                | (~Q(kind__in=TAKE_WORDS) & Q(answer_sealed=None)),
                name="duty_words_about_a_patient",
            ),
        ]
        indexes = [
            # `access.mine`, open ones: a person's, oldest due first …
            models.Index(fields=["user", "due_at", "id"], condition=Q(done_at=None), name="duty_open_of_user"),
            # … and those of a controller, for its officers.
            models.Index(
                fields=["controller", "due_at", "id"], condition=Q(done_at=None), name="duty_open_of_controller"
            ),
        ]
