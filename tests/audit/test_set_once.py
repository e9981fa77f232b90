"""Of grounds and emergency access only the end, and that somebody was told, are ever written, and each once; of a
checkpoint its signed note (law 8)."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection
from django.db.utils import DatabaseError

from server.audit.models import Checkpoint
from server.common.clock import now
from server.consent.models import StatutoryGround
from server.rooms import worker
from server.rooms.models import EmergencyAccess
from tests.audit.sessions import send, sessions
from tests.base import TownTransactionTestCase
from tests.rooms.night import DELAY, Night
from tests.support.database import unguarded

ONCE = {
    "rooms_emergencyaccess": ["ended_at", "end_reason", "told_at"],
    "consent_statutoryground": ["ended_at"],
    "audit_checkpoint": ["note"],
}
KEYS = {"audit_checkpoint": "position"}
TEXTS = ("end_reason", "note")
GROUND = "cooperating_staff"


class SetOnce(Night, TownTransactionTestCase):
    """Red when a table's `set_once` migration is taken out, names one column more, or lacks a unique set (SQLite)."""

    def setUp(self) -> None:
        super().setUp()
        self.open_the_room()
        self.begun(hide=DELAY)
        allowed = settings.ENV.model_copy(update={"statutory_grounds": (GROUND,)})
        with self.settings(ENV=allowed):
            until = (now() + timedelta(days=1)).isoformat()
            said = {"ground": GROUND, "reason": "samarbeid", "until": until}
            self.person("kari").ok("post", f"{self.room.path}/statutory-grounds", said)
        Checkpoint.objects.create(position=1 << 40, root=bytes(32))
        self.sqlite = connection.vendor == "sqlite"

    def rows(self) -> list[object]:
        return [
            *EmergencyAccess.objects.order_by("id").values_list(),
            *StatutoryGround.objects.values_list(),
            *Checkpoint.objects.values_list(),
        ]

    def refused(self, sql: str) -> None:
        before = self.rows()
        for said in sessions():
            with pytest.raises(DatabaseError, match="append-only"):
                send(said, sql)
        assert self.rows() == before, sql

    def columns(self, table: str) -> list[str]:
        with connection.cursor() as cursor:
            return [one.name for one in connection.introspection.get_table_description(cursor, table)]

    def other(self, table: str, column: str) -> str:
        """SQL for a value that the column does not have."""
        if column.endswith("_at") or column == "until":
            return "'2031-01-01 00:00:00'" if self.sqlite else "timestamptz '2031-01-01'"
        if column.endswith("_sealed") or column in ("signature", "root"):
            return "x'00'" if self.sqlite else "bytea '\\x00'"
        if column == "position":
            return '"position" + 5000'
        if column == "hidden":
            return f'NOT "{column}"'
        if column == "key" or column.endswith("id"):
            return f"'{uuid4().hex}'"
        return "'other'"

    def test_nothing_else_may_change(self) -> None:
        for table, once in ONCE.items():
            for column in set(self.columns(table)) - set(once):
                self.refused(f'UPDATE "{table}" SET "{column}" = {self.other(table, column)}')
                if self.sqlite:
                    self.refused(f'UPDATE OR REPLACE "{table}" SET "{column}" = {self.other(table, column)}')
            if self.sqlite:
                self.refused(f'UPDATE "{table}" SET rowid = rowid + 1000')

    def test_once(self) -> None:
        """An end is written; it is not taken away, and not moved."""
        for table, once in ONCE.items():
            values = ", ".join(f'"{one}" = {self.other(table, one)}' for one in once if one != "end_reason")
            values += ", end_reason = 'by_hand'" if "end_reason" in once else ""
            with connection.cursor() as cursor:
                cursor.execute(f'UPDATE "{table}" SET {values}')
                cursor.execute(f'UPDATE "{table}" SET {values}')
            for column in once:
                for value in ("NULL", "''", "'2032-01-01 00:00:00'"):
                    if column not in TEXTS and value == "''" and not self.sqlite:
                        continue
                    self.refused(f'UPDATE "{table}" SET "{column}" = {value}')

    def test_nothing_is_deleted_or_replaced(self) -> None:
        for table in ONCE:
            self.refused(f'DELETE FROM "{table}"')
            names = self.columns(table)
            listed = ", ".join(f'"{name}"' for name in names)
            first = f'SELECT {listed} FROM "{table}" WHERE true LIMIT 1'
            key, kept = KEYS.get(table, "id"), next(one for one in names if one in ("document", "root"))
            upsert = f'ON CONFLICT ("{key}") DO UPDATE SET "{kept}" = {self.other(table, kept)}'
            self.refused(f'INSERT INTO "{table}" ({listed}) {first} {upsert}')
            if not self.sqlite:
                self.refused(f'TRUNCATE "{table}" CASCADE')
                continue
            fresh = ", ".join(self.other(table, one) if one == key else f'"{one}"' for one in names)
            for verb in ("INSERT OR REPLACE", "REPLACE"):
                self.refused(f'{verb} INTO "{table}" ({listed}) {first}')
                self.refused(f'{verb} INTO "{table}" (rowid, {listed}) SELECT rowid, {fresh} FROM "{table}" LIMIT 1')
        if self.sqlite:  # of one room and person only one is open: a second would take its place
            names = self.columns("rooms_emergencyaccess")
            listed = ", ".join(f'"{name}"' for name in names)
            fresh = ", ".join(f"'{uuid4().hex}'" if one == "id" else f'"{one}"' for one in names)
            self.refused(
                f'REPLACE INTO "rooms_emergencyaccess" ({listed}) SELECT {fresh} FROM "rooms_emergencyaccess" LIMIT 1'
            )

    def test_a_second_after_the_first_was_ended(self) -> None:
        assert self.end().status_code == 204
        assert self.begin().status_code == 201

    def test_an_end_that_was_taken_away_all_the_same(self) -> None:
        """By an administrator, whom no trigger holds: the log knows of it. Red when the worker does not ask the log."""
        self.end()
        with unguarded():
            EmergencyAccess.objects.update(ended_at=None, end_reason="")
        assert worker.tick() == 1
        assert self.status() == 404
        assert self.access().end_reason == "log_differs"
        assert worker.tick() == 0
