"""Consents: a pointer row and the immutable versions behind it."""

from django.db import models
from django.db.models.functions import Now

from server.common.models import Row
from server.people.models import Patient, User


class State(models.TextChoices):
    REQUESTED = "requested"
    ACTIVE = "active"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class Act(models.TextChoices):
    REQUESTED = "requested"
    GIVEN = "given"
    DECLINED = "declined"
    CHANGED = "changed"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class Consent(Row):
    """One consent of one patient. What it says stands in its newest version; this row only points there.

    `room_id` names the room that it lets talk; it is no foreign key, because rooms live on a higher floor.
    """

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="consents")
    room_id = models.UUIDField(unique=True, null=True)
    purpose = models.CharField(max_length=40)
    state = models.CharField(max_length=10, choices=State)
    version = models.PositiveIntegerField()
    created_at = models.DateTimeField(db_default=Now())


class ConsentVersion(Row):
    """One act upon a consent: immutable, numbered from 1 without holes (unique constraint; triggers refuse change).

    `grants` are in force after this act, `asked` are proposed and wait for the patient's answer; both are lists of
    `{"unit", "person", "role"}` (ids; `person` and `role` narrow the unit). The text shown is kept, sealed, with the
    SHA-256 of its exact bytes.
    """

    consent = models.ForeignKey(Consent, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    act = models.CharField(max_length=10, choices=Act)
    state = models.CharField(max_length=10, choices=State)
    grants = models.JSONField(default=list)
    asked = models.JSONField(default=list)
    purpose = models.CharField(max_length=40)
    valid_from = models.DateTimeField(null=True)
    valid_to = models.DateTimeField(null=True)
    method = models.CharField(max_length=20)
    acted_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    form = models.CharField(max_length=40)
    form_version = models.PositiveIntegerField()
    language = models.CharField(max_length=2)
    text_sha256 = models.CharField(max_length=64)
    text_sealed = models.BinaryField()
    remark_sealed = models.BinaryField(null=True)
    recorded_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["consent", "number"], name="consent_version_number")]
