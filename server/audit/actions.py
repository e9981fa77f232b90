"""The one way to write the log (law 1)."""

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction

from server.audit.entry import Entry
from server.common.ids import new_id
from server.common.sql import insert, uuid_in, uuid_or_none

COLUMNS = (
    "id",
    "type",
    "actor_id",
    "unit_id",
    "controller_id",
    "engagement_id",
    "role",
    "sign_in",
    "subject_id",
    "room_id",
    "object_id",
    "purpose",
    "basis",
    "outcome",
    "reason",
    "record_ids",
    "detail",
    "request_id",
    "sealed_hash",
)


class OutsideTransaction(RuntimeError):
    """An audit event was written outside the transaction of its act; that is a fault of ours."""


def record(entry: Entry) -> UUID:
    """Write one event in the caller's transaction; returns its id.

    Raises OutsideTransaction when there is none.
    """
    return record_many([entry])[0]


def record_many(entries: Iterable[Entry]) -> list[UUID]:
    """Write several events, in order."""
    if not transaction.get_connection().in_atomic_block:
        raise OutsideTransaction
    entries = list(entries)
    ids = [new_id() for _ in entries]
    insert("audit_auditevent", COLUMNS, map(_row, ids, entries))
    return ids


def _row(id_: UUID, entry: Entry) -> tuple[Any, ...]:
    """The values of `COLUMNS`. Plain SQL, because every act of everybody passes here; `at` is the database's own."""
    actor = entry.actor
    return (
        uuid_in(id_),
        entry.type,
        uuid_or_none(actor.user_id),
        uuid_or_none(actor.unit_id),
        uuid_or_none(actor.controller_id),
        uuid_or_none(actor.engagement_id),
        actor.role,
        actor.sign_in,
        uuid_or_none(entry.subject_id),
        uuid_or_none(entry.room_id),
        uuid_or_none(entry.object_id),
        entry.purpose,
        entry.basis,
        entry.outcome,
        entry.reason,
        json.dumps([str(one) for one in entry.record_ids]),
        json.dumps(dict(entry.detail)),
        structlog.contextvars.get_contextvars().get("request_id", ""),
        entry.sealed_hash,
    )
