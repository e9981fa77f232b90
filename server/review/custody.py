"""When a data key may be destroyed, and that it is on record: the vault's port."""

from uuid import UUID

from server.audit.actions import record
from server.audit.entry import SYSTEM, Actor, Entry
from server.review.erasure_facts import open_alert
from server.review.models import Erasure
from server.rooms.models import Room


class KeyCustody:
    """`vault.ports.Custody`: only within an erasure that has begun, which is after everything that `erasure_decide.py`
    asks for; and never while the patient's call for help is open, which may have come after that."""

    def may_destroy(self, scope: str, owner: UUID) -> str | None:
        """The reason of a refusal, or None."""
        if scope == "service":
            return "service_key"
        patient = owner if scope == "subject" else _patient_of(owner)
        if patient is None or not Erasure.objects.under_way().filter(patient_id=patient).exists():
            return "no_erasure"
        return "open_alert" if open_alert(patient) else None

    def record_destruction(self, scope: str, owner: UUID, key: UUID, reason: str, actor: object) -> None:
        room = scope == "room"
        record(
            Entry(
                type="key.destroyed",
                actor=actor if isinstance(actor, Actor) else SYSTEM,
                subject_id=_patient_of(owner) if room else owner if scope == "subject" else None,
                room_id=owner if room else None,
                object_id=key,
                reason=reason[:60],
            )
        )


def _patient_of(room_id: UUID) -> UUID | None:
    return Room.objects.filter(id=room_id).values_list("patient_id", flat=True).first()
