"""Consents: a pointer row, and the sealed, immutable versions behind it."""

from django.db import models
from django.db.models import Q
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
    RENEWED = "renewed"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    CORRECTED = "corrected"


class Form(models.TextChoices):
    """What a consent is about. A person's exclusions are a record of their own: nothing ends it but the patient."""

    ROOM = "room"
    MULI = "muli"
    EXCLUSIONS = "exclusions"


class Consent(Row):
    """One consent of one patient. What it says stands in its newest version; this row only points there.

    `room_id` names the room that it lets talk; it is no foreign key, because rooms live on a higher floor.
    """

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="consents")
    form = models.CharField(max_length=20, choices=Form, default=Form.ROOM)
    room_id = models.UUIDField(unique=True, null=True)
    purpose = models.CharField(max_length=40)
    state = models.CharField(max_length=10, choices=State)
    version = models.PositiveIntegerField()
    newest_hash = models.CharField(max_length=64, default="")
    """The newest version's; a version that was taken away is missed."""
    ends_at = models.DateTimeField(null=True)
    """When what is in force ends; the version says it too and is what decides."""
    remind_at = models.DateTimeField(null=True)
    """When the patient is to be reminded of that end; null once they were."""
    verified_at = models.DateTimeField(null=True)
    """When the worker last verified every version."""
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["patient", "form"], condition=Q(room_id=None), name="consent_one_of_a_form"
            ),
            models.CheckConstraint(condition=Q(form="room") ^ Q(room_id=None), name="consent_room_form"),
        ]
        indexes = [
            models.Index(fields=["ends_at"], condition=Q(state="active"), name="consent_due"),
            models.Index(fields=["remind_at"], condition=Q(remind_at__isnull=False), name="consent_to_remind"),
            models.Index(fields=["verified_at"], name="consent_to_verify"),
        ]


class Version(Row):
    """One act upon a consent: immutable, numbered from 1 without holes (unique constraint; triggers refuse change).

    `document` is what it says: RFC 8785 canonical JSON (document.py), with the hash of the version before. `hash` is
    its SHA-256, `signature` Ed25519 over it under the vault's key `key`. The text shown is kept, sealed, byte for byte.
    """

    consent = models.ForeignKey(Consent, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    document = models.TextField()
    hash = models.CharField(max_length=64)
    signature = models.BinaryField()
    key = models.UUIDField()
    text_sealed = models.BinaryField()
    remark_sealed = models.BinaryField(null=True)
    minute_sealed = models.BinaryField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["consent", "number"], name="version_number")]


class StatutoryGround(Row):
    """A ground in law for one unit (narrowed by role or person) to take part in one room without consent (rule 5).

    Never a consent and never shown as one. `document` is sealed as a version is; only its end may be moved forward.
    """

    room_id = models.UUIDField(db_index=True)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    document = models.TextField()
    hash = models.CharField(max_length=64)
    signature = models.BinaryField()
    key = models.UUIDField()
    remark_sealed = models.BinaryField()
    recorded_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField(db_default=Now())
    ends_at = models.DateTimeField()
    """As the document says; for the worker's query."""
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["ends_at"], condition=Q(ended_at=None), name="ground_due")]
