"""Refusals on record: after the rollback, before the answer (law 1)."""

from django.db import transaction

from server.audit.actions import record
from server.audit.entry import Actor, Entry
from server.common.errors import Refusal


def record_refusal(actor: Actor, refusal: Refusal) -> None:
    """Write one refusal in a transaction of its own.

    Raises DatabaseError when the log cannot be written: then the answer is 503.
    """
    with transaction.atomic():
        record(
            Entry(
                type=refusal.type,
                actor=actor,
                subject_id=refusal.subject_id,
                room_id=refusal.room_id,
                object_id=refusal.object_id,
                outcome="refused",
                reason=refusal.reason,
                detail=refusal.detail,
            )
        )
