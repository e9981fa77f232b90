"""The patient in a programme: enrolment, admissions, the plan for bad days, and the key on the phone (M1, M2)."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from server.alerts.models.programmes import Programme
from server.common.models import Row
from server.people.models import Patient, Unit, User


class Enrolment(Row):
    """A patient in a programme. What is shared rests on a consent of its own, apart from any room; without it calls for
    help are answered all the same (M4)."""

    programme = models.ForeignKey(Programme, on_delete=models.PROTECT, related_name="enrolments")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    consent_id = models.UUIDField(null=True)
    """The consent that was asked for; null for a patient who cannot sign in yet."""
    meets_criterion = models.BooleanField(default=False)
    """As counted when the patient was enrolled; it advises (M5)."""
    enrolled_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    enrolled_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["patient"], condition=Q(ended_at=None), name="enrolment_one_open"),
        ]


class Admission(Row):
    """One admission to a ward (M6). Taken back by marking it, never deleted."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    programme = models.ForeignKey(Programme, on_delete=models.PROTECT, related_name="+")
    ward = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="+")
    admitted_on = models.DateField()
    recorded_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField(db_default=Now(), editable=False)
    taken_back_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["patient", "ward", "admitted_on"], condition=Q(taken_back_at=None), name="admission_once"
            ),
        ]


class Plan(Row):
    """One version of the plan for bad days, made with the patient; immutable. Sealed under the patient's key."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    version = models.PositiveIntegerField()
    plan_sealed = models.BinaryField()
    """JSON: `danger`, `helps`, `bring_in`, `rest`, `contacts` (`plan.py`)."""
    made_with_patient = models.BooleanField()
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["patient", "version"], name="plan_version")]


class AlertKey(Row):
    """On the patient's own phone: raises, cancels and follows that patient's alerts, and opens nothing else. It does
    not run out: nobody is locked out of help (L5). Stored hashed."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64, unique=True)
    """SHA-256 of the key, hex; the key has 256 random bits."""
    label = models.CharField(max_length=60, blank=True)
    """The patient's own name for the phone."""
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    revoked_because = models.CharField(max_length=20, blank=True)
    """`lost`, `replaced`, `ended` …"""

    class Meta:
        indexes = [models.Index(fields=["patient"], condition=Q(revoked_at=None), name="alert_key_of_patient")]
