"""After the load: what clients were told, against the rows, by SQL of its own that shares nothing with the product."""

from collections.abc import Sequence
from typing import Any

import psycopg

CHECKS = {
    # An acknowledged message that is not there, or not where it was said to be.
    "acknowledged_not_stored": """
        SELECT count(*) FROM told t LEFT JOIN rooms_roomevent e
          ON e.room_id = t.room AND e.sender_id = t.sender AND e.txn_id = t.txn AND e.seq = t.seq
        WHERE e.id IS NULL""",
    "stored_twice": """
        SELECT count(*) FROM (SELECT 1 FROM rooms_roomevent WHERE starts_with(txn_id, %(run)s)
          GROUP BY room_id, sender_id, txn_id HAVING count(*) > 1) twice""",
    # Law 1: one record in the log for each message, with the same sender, room and subject.
    "without_one_audit_event": """
        SELECT count(*) FROM (
          SELECT 1 FROM rooms_roomevent e JOIN rooms_room r ON r.id = e.room_id
            LEFT JOIN audit_auditevent a ON a.object_id = e.id AND a.type = 'message.posted'
          WHERE starts_with(e.txn_id, %(run)s)
          GROUP BY e.id HAVING count(a.id) <> 1 OR NOT bool_and(a.outcome = 'success' AND a.actor_id = e.sender_id
            AND a.room_id = e.room_id AND a.subject_id = r.patient_id)) wrong""",
    # Law 2: no holes.
    "rooms_with_holes": """
        SELECT count(*) FROM rooms_room r
        WHERE r.head <> (SELECT count(*) FROM rooms_roomevent e WHERE e.room_id = r.id)
          OR r.head <> (SELECT coalesce(max(seq), 0) FROM rooms_roomevent e WHERE e.room_id = r.id)""",
    "not_sealed": """
        SELECT count(*) FROM rooms_roomevent WHERE starts_with(txn_id, %(run)s)
          AND (sealed IS NULL OR position('avtalen'::bytea in sealed) > 0 OR facts ? 'body')""",
}


def check(url: str, run: str, acknowledged: Sequence[Sequence[Any]]) -> dict[str, int]:
    """Counts of what is wrong (all 0 when all is well), and of what was compared."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE told (room uuid, sender uuid, txn text, seq bigint)")
        with cursor.copy("COPY told FROM STDIN") as copy:
            for row in acknowledged:
                copy.write_row(row)
        cursor.execute("CREATE INDEX ON told (txn)")
        cursor.execute("ANALYZE told")
        found = {name: count(cursor, text, run) for name, text in CHECKS.items()}
        stored = count(cursor, "SELECT count(*) FROM rooms_roomevent WHERE starts_with(txn_id, %(run)s)", run)
    return {"acknowledged": len(acknowledged), "stored": stored, **found}


def count(cursor: "psycopg.Cursor[Any]", text: str, run: str) -> int:
    row = cursor.execute(text, {"run": f"{run}-"}).fetchone()
    assert row is not None
    return int(row[0])
