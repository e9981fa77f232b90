"""The one way to write the log (law 1)."""

from collections.abc import Iterable
from uuid import UUID

import structlog
from django.db import transaction

from server.audit.entry import Entry
from server.audit.models import AuditEvent
from server.common.ids import new_id


class OutsideTransaction(RuntimeError):
    """An audit event was written outside the transaction of its act; that is a fault of ours."""


def record(entry: Entry) -> UUID:
    """Write one event in the caller's transaction; returns its id.

    Raises OutsideTransaction when there is none.
    """
    return record_many([entry])[0]


def record_many(entries: Iterable[Entry]) -> list[UUID]:
    """Write several events with one statement, in order."""
    if not transaction.get_connection().in_atomic_block:
        raise OutsideTransaction
    rows = [row_of(entry) for entry in entries]
    AuditEvent.objects.bulk_create(rows)
    return [row.id for row in rows]


def row_of(entry: Entry) -> AuditEvent:
    """The table row that says what `entry` says."""
    actor = entry.actor
    return AuditEvent(
        id=new_id(),
        type=entry.type,
        actor_id=actor.user_id,
        unit_id=actor.unit_id,
        controller_id=actor.controller_id,
        engagement_id=actor.engagement_id,
        role=actor.role,
        sign_in=actor.sign_in,
        subject_id=entry.subject_id,
        room_id=entry.room_id,
        object_id=entry.object_id,
        purpose=entry.purpose,
        basis=entry.basis,
        outcome=entry.outcome,
        reason=entry.reason,
        record_ids=[str(one) for one in entry.record_ids],
        detail=dict(entry.detail),
        request_id=structlog.contextvars.get_contextvars().get("request_id", ""),
    )
