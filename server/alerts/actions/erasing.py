"""What becomes of a patient's phones when their data are erased."""

from uuid import UUID

from django.db import transaction

from server.alerts.models import AlertKey
from server.audit.actions import record
from server.audit.entry import Actor, Entry
from server.common.hints import hint
from server.people.periods import NOW

ERASED = "erased"


@transaction.atomic
def end_keys(*, patient_id: UUID, actor: Actor) -> None:
    """No phone calls for help for them any more, and none keeps the name that they gave it. Twice is once."""
    for row in AlertKey.objects.select_for_update(no_key=True).filter(patient_id=patient_id, revoked_at=None):
        row.revoked_at, row.revoked_because = NOW, ERASED
        row.save(update_fields=["revoked_at", "revoked_because"])
        record(Entry("alert_key.revoked", actor, subject_id=patient_id, object_id=row.id, reason=ERASED))
        hint("session", row.id)
    AlertKey.objects.filter(patient_id=patient_id).update(label="")
