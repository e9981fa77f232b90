"""The log, the timeline and the versions of consents cannot be changed, by raw SQL either (laws 2 and 8)."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.utils import DatabaseError

from server.common.appendonly import statements
from tests.base import TownTransactionTestCase

UNIQUE = {
    "audit_auditevent": [["id"]],
    "rooms_roomevent": [["id"], ["room_id", "seq"], ["room_id", "sender_id", "txn_id"]],
    "consent_version": [["id"], ["consent_id", "number"]],
}
HARMLESS = {"audit_auditevent": "reason", "rooms_roomevent": "type", "consent_version": "document"}


class AppendOnly(TownTransactionTestCase):
    """Red when a table's `append_only` migration is taken out, or a unique set is missing from it (SQLite)."""

    def setUp(self) -> None:
        super().setUp()
        room = self.open_shared_room()
        self.post(room, "kari", "hei")
        self.sqlite = connection.vendor == "sqlite"

    def refused(self, sql: str) -> None:
        before = self.rows()
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
        assert self.rows() == before, sql

    def rows(self) -> dict[str, int]:
        found = {}
        with connection.cursor() as cursor:
            for table in UNIQUE:
                cursor.execute(f'SELECT count(*) FROM "{table}"')
                found[table] = cursor.fetchone()[0]
        return found

    def columns(self, table: str) -> list[str]:
        with connection.cursor() as cursor:
            return [one.name for one in connection.introspection.get_table_description(cursor, table)]

    def test_update_and_delete(self) -> None:
        for table, column in HARMLESS.items():
            self.refused(f'UPDATE "{table}" SET "{column}" = \'x\'')
            self.refused(f'UPDATE "{table}" SET "{column}" = "{column}"')
            self.refused(
                f'UPDATE "{table}" SET id = id WHERE id = (SELECT min(CAST(id AS text)) FROM "{table}")'
                if self.sqlite
                else f'UPDATE "{table}" SET id = id'
            )
            self.refused(f'DELETE FROM "{table}"')
            if self.sqlite:
                self.refused(f'UPDATE OR REPLACE "{table}" SET "{column}" = \'x\'')
                self.refused(f'UPDATE OR IGNORE "{table}" SET rowid = rowid + 1000')

    def test_truncate(self) -> None:
        if self.sqlite:
            return  # it has none; DELETE without WHERE, which it optimises, is tried above
        for table in UNIQUE:
            self.refused(f'TRUNCATE "{table}"')
            self.refused(f'TRUNCATE "{table}" CASCADE')
        for parent in ("rooms_room", "people_user", "consent_consent", "people_patient", "people_controller"):
            self.refused(f'TRUNCATE "{parent}" CASCADE')

    def test_replace_by_every_unique_set_and_by_rowid(self) -> None:
        """SQLite's REPLACE deletes without firing delete triggers."""
        if not self.sqlite:
            return
        for table in UNIQUE:
            for verb in ("INSERT OR REPLACE", "REPLACE"):
                for sql in self.replacements(table, verb):
                    self.refused(sql)

    def replacements(self, table: str, verb: str) -> Iterator[str]:
        """A row that is new but for one unique set; a copy; and a new row in an old one's place."""
        names = self.columns(table)
        listed = ", ".join(f'"{name}"' for name in names)
        where = "WHERE txn_id IS NOT NULL" if table == "rooms_roomevent" else ""
        for unique in UNIQUE[table]:
            values = ", ".join(f'"{one}"' if one in unique else self.other(one) for one in names)
            yield f'{verb} INTO "{table}" ({listed}) SELECT {values} FROM "{table}" {where} LIMIT 1'
        yield f'{verb} INTO "{table}" ({listed}) SELECT {listed} FROM "{table}" LIMIT 1'
        values = ", ".join(self.other(one) for one in names)
        yield f'{verb} INTO "{table}" (rowid, {listed}) SELECT rowid, {values} FROM "{table}" {where} LIMIT 1'

    @staticmethod
    def other(column: str) -> str:
        return {
            "id": f"'{uuid4().hex}'",
            "seq": '"seq" + 5000',
            "number": '"number" + 5000',
            "txn_id": "'another'",
        }.get(column, f'"{column}"')

    def test_upsert(self) -> None:
        for table, column in HARMLESS.items():
            listed = ", ".join(f'"{name}"' for name in self.columns(table))
            first = f'SELECT {listed} FROM "{table}" WHERE true LIMIT 1'
            self.refused(f'INSERT INTO "{table}" ({listed}) {first} ON CONFLICT (id) DO UPDATE SET "{column}" = \'x\'')

    def test_nothing_new_is_refused(self) -> None:
        """A new row goes in, and one that lacks what a partial unique set needs is no other's double."""
        for table in UNIQUE:
            names = self.columns(table)
            for _ in range(2):
                values = ", ".join(
                    "NULL"
                    if one in ("txn_id", "sender_id")
                    else f"'{uuid4().hex}'"
                    if one == "id"
                    else f'(SELECT max("{one}") + 1 FROM "{table}")'
                    if one in ("seq", "number")
                    else f'"{one}"'
                    for one in names
                )
                listed = ", ".join(f'"{name}"' for name in names)
                if not self.sqlite:
                    values = values.replace("')", "'::uuid)")
                with connection.cursor() as cursor:
                    source = f'SELECT {values} FROM "{table}" LIMIT 1'
                    if not self.sqlite:
                        source = source.replace("SELECT '", "SELECT uuid '")
                    cursor.execute(f'INSERT INTO "{table}" ({listed}) {source}')

    def test_a_double_is_the_databases_own_refusal_on_postgresql_and_ours_on_sqlite(self) -> None:
        for table in UNIQUE:
            listed = ", ".join(f'"{name}"' for name in self.columns(table))
            double = f'INSERT INTO "{table}" ({listed}) SELECT {listed} FROM "{table}" LIMIT 1'
            with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(double)

    def test_the_triggers_are_there_by_name_and_survive_the_session(self) -> None:
        with connection.cursor() as cursor:
            if self.sqlite:
                cursor.execute("SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger'")
                kinds = {"no_update", "no_delete", "no_replace"}
            else:
                cursor.execute(
                    "SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
                    "WHERE NOT t.tgisinternal AND t.tgenabled = 'A'"
                )
                kinds = {"no_change", "no_truncate"}
            found = set(cursor.fetchall())
        for table in UNIQUE:
            assert {(table, f"{table}_{kind}") for kind in kinds} <= found

    def test_no_statement_of_ours_is_a_way_round(self) -> None:
        for vendor in ("sqlite", "postgresql"):
            for table, unique in UNIQUE.items():
                text = " ".join(statements(vendor, table, unique)).lower()
                assert "disable" not in text
                assert "current_setting" not in text
                assert "session_replication_role" not in text
