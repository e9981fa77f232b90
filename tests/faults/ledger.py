"""What clients were told, and what the tables hold: compared by SQL of our own, never through the product's code."""

import itertools
import secrets
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg

HEADS = "SELECT id, head FROM rooms_room"
EVENTS = "SELECT id, room_id, seq, sender_id, type, txn_id FROM rooms_roomevent"
AUDIT = "SELECT object_id, room_id, actor_id, subject_id FROM audit_auditevent WHERE type = %s AND outcome = 'success'"
SUBJECTS = "SELECT id, patient_id FROM rooms_room"


@dataclass(frozen=True, slots=True)
class Sent:
    room: str
    sender: str
    body: str


@dataclass
class Ledger:
    """Every message of a run: what was sent, what was acknowledged, what was refused for good."""

    run: str = field(default_factory=lambda: f"f{secrets.token_hex(4)}")
    sent: dict[str, Sent] = field(default_factory=dict)
    acknowledged: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def write(self, room: str, sender: str) -> str:
        """A new message; its `txn_id`. The body tells which it is."""
        txn = f"{self.run}-{next(self._numbers)}"
        self.sent[txn] = Sent(room, sender, f"{txn} {'x' * 80}")
        return txn

    def acknowledge(self, txn: str, seq: int) -> None:
        if self.acknowledged.setdefault(txn, seq) != seq:
            self.fault(f"{txn} was acknowledged with seq {self.acknowledged[txn]}, then with {seq}")

    def refuse(self, txn: str, code: str) -> None:
        self.refused[txn] = code

    def fault(self, what: str) -> None:
        self.faults.append(what)

    def expected(self) -> dict[tuple[str, int], str]:
        """(room, seq) → body, of what was acknowledged."""
        return {(self.sent[txn].room, seq): self.sent[txn].body for txn, seq in self.acknowledged.items()}

    def check(self, database: str, *, complete: bool = True) -> dict[str, int]:
        """Compare with the tables; everything wrong goes to `faults`. `complete`: all that was sent has been answered.

        Figures: messages sent, acknowledged, stored.
        """
        rows = Rows(database)
        stored = {txn: row for row in rows.events if (txn := row.txn) and txn.startswith(f"{self.run}-")}
        for txn, count in Counter(row.txn for row in rows.events if row.txn in stored).items():
            if count != 1:
                self.fault(f"{txn} is stored {count} times")
        for txn, seq in self.acknowledged.items():
            row, sent = stored.get(txn), self.sent[txn]
            if row is None:
                self.fault(f"{txn} was acknowledged and is not there")
            elif (row.room, row.seq, row.sender) != (sent.room, seq, sent.sender):
                self.fault(f"{txn} stands elsewhere than was said")
        for txn in stored:
            if txn not in self.sent:
                self.fault(f"{txn} is stored and was never sent")
            elif txn in self.refused:
                self.fault(f"{txn} is stored and was refused ({self.refused[txn]})")
        if complete and len(self.acknowledged) + len(self.refused) != len(self.sent):
            self.fault(f"{len(self.sent) - len(self.acknowledged) - len(self.refused)} messages never got an answer")
        self._check_rooms(rows)
        self._check_log(rows)
        return {"sent": len(self.sent), "acknowledged": len(self.acknowledged), "stored": len(stored)}

    def _check_rooms(self, rows: "Rows") -> None:
        """Law 2: no holes, and the head is the last."""
        numbers: dict[str, list[int]] = {}
        for row in rows.events:
            numbers.setdefault(row.room, []).append(row.seq)
        for room, head in rows.heads.items():
            if sorted(numbers.get(room, [])) != list(range(1, head + 1)):
                self.fault(f"room {room}: seq has holes or doubles, head {head}")

    def _check_log(self, rows: "Rows") -> None:
        """Law 1: one record for each message, about the same act, and none for a message that is not there."""
        records = Counter(rows.records)
        messages = {
            (row.id, row.room, row.sender, rows.subjects[row.room]) for row in rows.events if row.type == "message"
        }
        for one in messages:
            if records[one] != 1:
                self.fault(f"the message {one[0]} has {records[one]} audit rows")
        for one in records:
            if one not in messages:
                self.fault(f"an audit row tells of a message that is not there: {one[0]}")


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    room: str
    seq: int
    sender: str
    type: str
    txn: str | None


class Rows:
    """The tables as they are, ids as text."""

    def __init__(self, database: str) -> None:
        self.heads = {as_id(room): int(head) for room, head in ask(database, HEADS)}
        self.subjects = {as_id(room): as_id(patient) for room, patient in ask(database, SUBJECTS)}
        self.events = [
            Row(as_id(id_), as_id(room), int(seq), as_id(sender), str(kind), txn)
            for id_, room, seq, sender, kind, txn in ask(database, EVENTS)
        ]
        self.records = [tuple(map(as_id, row)) for row in ask(database, AUDIT, "message.posted")]


def as_id(value: Any) -> str:
    return str(value if isinstance(value, UUID) else UUID(value)) if value is not None else ""


def ask(database: str, question: str, *values: Any) -> list[tuple[Any, ...]]:
    """Rows from PostgreSQL (an address) or SQLite (a path)."""
    if "://" in database:
        with psycopg.connect(database, connect_timeout=10) as connection:
            return connection.execute(question, values).fetchall()  # type: ignore[arg-type]
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20)) as connection:
        return connection.execute(question.replace("%s", "?"), values).fetchall()
