"""The log. Sealing into a Merkle tree follows; the row already holds all that a leaf will say."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from server.common.models import Row


class AuditEvent(Row):
    """One act, look or refusal, written in the act's own transaction (law 1). The database refuses change."""

    at = models.DateTimeField(db_default=Now())
    type = models.CharField(max_length=60)
    actor_id = models.UUIDField(null=True)
    unit_id = models.UUIDField(null=True)
    controller_id = models.UUIDField(null=True)
    engagement_id = models.UUIDField(null=True)
    role = models.CharField(max_length=100, blank=True)
    sign_in = models.CharField(max_length=20, blank=True)
    subject_id = models.UUIDField(null=True)
    room_id = models.UUIDField(null=True)
    object_id = models.UUIDField(null=True)
    purpose = models.CharField(max_length=40, blank=True)
    basis = models.CharField(max_length=40, blank=True)
    outcome = models.CharField(max_length=10)
    reason = models.CharField(max_length=60, blank=True)
    record_ids = models.JSONField(default=list)
    detail = models.JSONField(default=dict)
    request_id = models.CharField(max_length=36, blank=True)
    sealed_hash = models.CharField(max_length=64, null=True)
    """SHA-256 of the sealed record that this act wrote: a record that was taken away is missed."""

    class Meta:
        indexes = [
            models.Index(fields=["subject_id", "id"], name="audit_subject"),  # a patient's own access log
            models.Index(fields=["object_id"], condition=Q(sealed_hash__isnull=False), name="audit_sealed"),
            models.Index(fields=["room_id"], condition=Q(sealed_hash__isnull=False), name="audit_sealed_in_room"),
        ]
