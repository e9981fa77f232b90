"""The sequencer's statements: sets of rows at a time, on both engines.

`%b` has PostgreSQL's arrays sent in binary: as text, the driver would quote element by element.
"""

from collections.abc import Sequence
from uuid import UUID

from django.db import connection

from server.common.clock import now_sql
from server.common.sql import uuid_in, uuid_out

CLAIM = (
    "SELECT p.event_id, (SELECT e.leaf FROM audit_auditevent e WHERE e.id = p.event_id) "
    "FROM (SELECT event_id FROM audit_pending ORDER BY event_id LIMIT %s) p ORDER BY p.event_id"
)
"""No join: with many waiting, PostgreSQL would merge them with the whole log, from its first event on."""
LOST = (
    "SELECT count(*) FROM audit_auditevent e WHERE e.at > {since} AND e.at < {settled} "
    "AND NOT EXISTS (SELECT 1 FROM audit_leaf l WHERE l.event_id = e.id) "
    "AND NOT EXISTS (SELECT 1 FROM audit_pending p WHERE p.event_id = e.id)"
)
SETTLED_S = 30.0
"""An event whose transaction may still be open is not missed yet."""


def claim(limit: int) -> list[tuple[UUID, str]]:
    """Pending events and their leaves, in the order of their ids, which is nearly that of time. One whose event is gone
    is left there, for the alarm."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [limit])
        return [(uuid_out(event), leaf) for event, leaf in cursor.fetchall() if leaf is not None]


def insert_leaves(rows: Sequence[tuple[int, UUID, bytes]]) -> None:
    """Rows of (position, event, hash)."""
    positions, events, hashes = (list(column) for column in zip(*rows, strict=True))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "INSERT INTO audit_leaf (position, event_id, hash) "
                "SELECT * FROM unnest(%b::bigint[], %b::uuid[], %b::bytea[])",
                [positions, events, hashes],
            )
        else:
            cursor.executemany(
                "INSERT INTO audit_leaf (position, event_id, hash) VALUES (%s, %s, %s)",
                [(at, uuid_in(event), hash_) for at, event, hash_ in rows],
            )


def insert_nodes(rows: Sequence[tuple[int, bytes]]) -> None:
    """Rows of (place, hash); few."""
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO audit_node (place, hash) VALUES (%s, %s)", rows)


def take_off(events: Sequence[UUID]) -> None:
    """These events wait no longer."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("DELETE FROM audit_pending WHERE event_id = ANY(%b)", [list(events)])
        else:
            cursor.executemany("DELETE FROM audit_pending WHERE event_id = %s", [(uuid_in(one),) for one in events])


def lost(since_s: float) -> int:
    """Events of the last `since_s` seconds that are neither sealed nor pending."""
    with connection.cursor() as cursor:
        cursor.execute(LOST.format(since=_ago(since_s), settled=_ago(SETTLED_S)))
        count: int = cursor.fetchone()[0]
        return count


def oldest_pending_s() -> float:
    """Seconds that the oldest pending event has waited; 0 when none does."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT EXTRACT(EPOCH FROM clock_timestamp() - min(since)) FROM audit_pending")
        else:
            cursor.execute("SELECT (JULIANDAY('now') - JULIANDAY(MIN(since))) * 86400 FROM audit_pending")
        return max(0.0, float(cursor.fetchone()[0] or 0.0))


def _ago(seconds: float) -> str:
    if connection.vendor == "postgresql":
        return f"{now_sql()} - interval '{seconds:g} seconds'"
    return f"STRFTIME('%Y-%m-%d %H:%M:%f000', 'now', '-{seconds:g} seconds')"
