"""The one way to write the log (law 1)."""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.db import connection, transaction

from server.audit import leaf
from server.audit.detail import keep
from server.audit.entry import Entry
from server.common.ids import new_id
from server.common.sql import insert, rfc3339_sql
from server.vault import actions as vault

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
    "request_id",
    "sealed_hash",
    "detail_sealed",
    "leaf",
)
REASON, ROLE, REQUEST = 60, 100, 36
"""Letters that these columns hold."""


class OutsideTransaction(RuntimeError):
    """An audit event was written outside the transaction of its act; that is a fault of ours."""


class TooLong(ValueError):
    """An audit event says more than a leaf, or a column beside it, can hold; whoever writes one bounds what it takes
    from people, so that is a fault of ours."""


def record(entry: Entry) -> UUID:
    """Write one event in the caller's transaction; returns its id.

    Raises OutsideTransaction when there is none, TooLong.
    """
    return record_many([entry])[0]


def record_many(entries: Iterable[Entry]) -> list[UUID]:
    """Write several events, in order. Raises as `record` does.

    What is not done for a request gets a random one: a leaf's hash is public, and must not be found by trying out whom
    it may be about.
    """
    if not transaction.get_connection().in_atomic_block:
        raise OutsideTransaction
    entries = list(entries)
    told = {entry.subject_id for entry in entries if entry.detail and entry.subject_id}
    if len(told) > 1:
        vault.load_names("subject", told)
    ids = [new_id() for _ in entries]
    request = structlog.contextvars.get_contextvars().get("request_id") or str(uuid4())
    key = _hexed if connection.vendor == "sqlite" else _plain
    rows = [_row(id_, entry, request, key) for id_, entry in zip(ids, entries, strict=True)]
    insert("audit_auditevent", COLUMNS, rows, places=_places())
    return ids


def _places() -> str:
    """The leaf takes its time from the database, in the statement that gives `at` its default."""
    time = rfc3339_sql("'now'" if connection.vendor == "sqlite" else "statement_timestamp()")
    return "(" + "%s, " * (len(COLUMNS) - 1) + f"CAST(%s AS text) || {time} || CAST(%s AS text))"


def _hexed(value: UUID | None) -> str | None:
    return None if value is None else value.hex


def _plain(value: UUID | None) -> UUID | None:
    return value


def _row(id_: UUID, entry: Entry, request: str, key: Callable[[UUID | None], Any]) -> tuple[Any, ...]:
    """The values of `COLUMNS`, the leaf's in two. Plain SQL, because every act of everybody passes here; `key` makes an
    identifier what the engine takes."""
    actor = entry.actor
    kept = keep(id_, entry.subject_id, entry.detail)
    said = leaf.parts(
        event=id_,
        act=entry.type,
        actor=actor.user_id,
        controller=actor.controller_id,
        unit=actor.unit_id,
        engagement=actor.engagement_id,
        role=actor.role,
        sign_in=actor.sign_in,
        subject=entry.subject_id,
        room=entry.room_id,
        target=entry.object_id,
        purpose=entry.purpose,
        basis=entry.basis,
        outcome=entry.outcome,
        reason=entry.reason,
        records=entry.record_ids,
        request=request,
        commitment=kept.commitment,
        sealed=entry.sealed_hash,
        follows=entry.follows,
    )
    if not said.fits or len(entry.reason) > REASON or len(actor.role) > ROLE or len(request) > REQUEST:
        raise TooLong
    return (
        key(id_),
        entry.type,
        key(actor.user_id),
        key(actor.unit_id),
        key(actor.controller_id),
        key(actor.engagement_id),
        actor.role,
        actor.sign_in,
        key(entry.subject_id),
        key(entry.room_id),
        key(entry.object_id),
        entry.purpose,
        entry.basis,
        entry.outcome,
        entry.reason,
        leaf.listed(entry.record_ids),
        request,
        entry.sealed_hash,
        kept.sealed,
        *said,
    )
