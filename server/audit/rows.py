"""The sequencer's statements: sets of rows at a time, on both engines.

`%b` has PostgreSQL's arrays sent in binary: as text, the driver would quote element by element.
"""

from collections.abc import Sequence
from uuid import UUID

from django.db import connection

from server.audit.models import AuditEvent
from server.audit.tiles import LONGEST_ENTRY
from server.audit.verify import commitment, parse_entry
from server.common.clock import now_sql
from server.common.sql import rfc3339_sql, uuid_in, uuid_out

PAGE = {
    "postgresql": """
        SELECT p.event_id, e.leaf, e.at, (SELECT l.position FROM audit_leaf l WHERE l.event_id = p.event_id)
        FROM (SELECT event_id FROM audit_pending WHERE event_id > %s ORDER BY event_id LIMIT %s) p
        LEFT JOIN LATERAL (
          SELECT leaf, {time} AS at FROM audit_auditevent e WHERE e.id = p.event_id OFFSET 0
        ) e ON true ORDER BY p.event_id
    """,
    "sqlite": """
        SELECT p.event_id, e.leaf, {time}, (SELECT l.position FROM audit_leaf l WHERE l.event_id = p.event_id)
        FROM (SELECT event_id FROM audit_pending WHERE event_id > %s ORDER BY event_id LIMIT %s) p
        LEFT JOIN audit_auditevent e ON e.id = p.event_id ORDER BY p.event_id
    """,
}
"""Looked up row by row: with a join, or EXISTS, PostgreSQL would read the whole log, from its first event on."""
LOST = (
    "SELECT count(*) FROM audit_auditevent e WHERE e.at > {since} AND e.at < {settled} "
    "AND NOT EXISTS (SELECT 1 FROM audit_leaf l WHERE l.event_id = e.id) "
    "AND NOT EXISTS (SELECT 1 FROM audit_pending p WHERE p.event_id = e.id)"
)
SETTLED_S = 30.0
"""An event whose transaction may still be open is not missed yet."""


def claim(limit: int) -> tuple[list[tuple[UUID, str]], int]:
    """Pending events and their leaves, in the order of their ids, which is nearly that of time; and how many rows stand
    there that cannot be sealed: they stay, and are passed over, so that nobody can hold up the others by them."""
    found: list[tuple[UUID, str]] = []
    strange, after = 0, UUID(int=0)
    statement = PAGE[connection.vendor].format(time=rfc3339_sql("e.at"))
    with connection.cursor() as cursor:
        while len(found) < limit:
            cursor.execute(statement, [uuid_in(after), limit])
            rows = [(uuid_out(event), *rest) for event, *rest in cursor.fetchall()]
            good = [(event, leaf) for event, leaf, at, sealed in rows if sealed is None and said_by(event, leaf, at)]
            found += good
            strange += len(rows) - len(good)
            if len(rows) < limit:
                break
            after = rows[-1][0]
    return found[:limit], strange


def said_by(event: UUID, leaf: str | None, at: str) -> bool:
    """Whether this is a leaf of ours, of this event and this moment: what anybody else wrote there is not sealed."""
    try:
        if leaf is None or f'"time":"{at}"' not in leaf:
            return False
        entry = leaf.encode()
        return len(entry) <= LONGEST_ENTRY and commitment(entry)[0] == str(event)
    except ValueError:
        return False


def texts(events: Sequence[UUID]) -> list[str]:
    """The leaves of these events, in this order; fewer when some are not there."""
    said = dict(AuditEvent.objects.filter(id__in=events).values_list("id", "leaf"))
    return [said[event] for event in events if event in said]


def follows(leaf: str) -> str | None:
    """The checkpoint that an adoption's leaf names. Raises ValueError for what is no leaf."""
    named = parse_entry(leaf.encode()).get("follows")
    return named if isinstance(named, str) else None


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
