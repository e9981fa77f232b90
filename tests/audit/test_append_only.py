"""The log, its tree, the timeline and the versions of consents cannot be changed, by raw SQL either (laws 2 and 8)."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.state import ProjectState
from django.db.utils import DatabaseError

from server.audit.models import AuditEvent, Leaf, Node, Pending, Tree, VerifierKey
from server.common.appendonly import always, once_statements, statements
from tests.audit.sessions import send, sessions
from tests.base import TownTransactionTestCase
from tests.support import database

UNIQUE = {
    "audit_auditevent": [["id"]],
    "audit_tree": [["number"], ["origin"]],
    "audit_leaf": [["position"], ["event_id"]],
    "audit_node": [["place"]],
    "audit_verifierkey": [["line"]],
    "rooms_roomevent": [["id"], ["room_id", "seq"], ["room_id", "sender_id", "txn_id"]],
    "consent_version": [["id"], ["consent_id", "number"]],
}
"""The primary key first."""
HARMLESS = {
    "audit_auditevent": "reason",
    "audit_tree": "follows",
    "audit_leaf": "hash",
    "audit_node": "hash",
    "audit_verifierkey": "line",
    "rooms_roomevent": "type",
    "consent_version": "document",
}
COUNTED = {"seq", "number", "position", "place"}
IDS = {"id", "event_id"}
TEXTS = {"txn_id", "origin", "line"}


class AppendOnly(TownTransactionTestCase):
    """Red when a table's `append_only` migration is taken out, a unique set is missing from it (SQLite), or its
    triggers are not `ENABLE ALWAYS` (PostgreSQL)."""

    def setUp(self) -> None:
        super().setUp()
        room = self.open_shared_room()
        self.post(room, "kari", "hei")
        Tree.objects.create(number=1, origin="log.example")
        Leaf.objects.create(position=1 << 40, event_id=uuid4(), hash=bytes(32))
        Node.objects.create(place=1 << 48, hash=bytes(32))
        VerifierKey.objects.create(line="log.example+0")
        self.sqlite = connection.vendor == "sqlite"

    def refused(self, sql: str) -> None:
        before = self.rows()
        for said in sessions():
            with pytest.raises(DatabaseError, match="append-only"):
                send(said, sql)
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
            key = UNIQUE[table][0][0]
            self.refused(f'UPDATE "{table}" SET "{column}" = \'x\'')
            self.refused(f'UPDATE "{table}" SET "{column}" = "{column}"')
            one = f' WHERE "{key}" = (SELECT min("{key}") FROM "{table}")' if self.sqlite else ""
            self.refused(f'UPDATE "{table}" SET "{key}" = "{key}"{one}')
            self.refused(f'DELETE FROM "{table}"')
            if self.sqlite:
                self.refused(f'UPDATE OR REPLACE "{table}" SET "{column}" = \'x\'')
                self.refused(f'UPDATE OR IGNORE "{table}" SET rowid = rowid + 1000')
            else:
                self.refused(f'WITH gone AS (DELETE FROM "{table}" RETURNING 1) SELECT count(*) FROM gone')

    def test_truncate(self) -> None:
        if self.sqlite:
            return  # it has none; DELETE without WHERE, which it optimises, is tried above
        for table in UNIQUE:
            if table != "audit_tree":  # the head points to it: PostgreSQL itself refuses
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

    def other(self, column: str) -> str:
        """SQL for a value that no row has yet."""
        if column in IDS:
            return f"'{uuid4().hex}'" if self.sqlite else f"uuid '{uuid4().hex}'"
        if column in COUNTED:
            return f'"{column}" + 5000'
        return f"'{uuid4().hex}'" if column in TEXTS else f'"{column}"'

    def test_upsert(self) -> None:
        for table, column in HARMLESS.items():
            key = UNIQUE[table][0][0]
            listed = ", ".join(f'"{name}"' for name in self.columns(table))
            first = f'SELECT {listed} FROM "{table}" WHERE true LIMIT 1'
            self.refused(
                f'INSERT INTO "{table}" ({listed}) {first} ON CONFLICT ({key}) DO UPDATE SET "{column}" = \'x\''
            )

    def test_nothing_new_is_refused(self) -> None:
        """A new row goes in, and one that lacks what a partial unique set needs is no other's double."""
        for table in UNIQUE:
            names = self.columns(table)
            listed = ", ".join(f'"{name}"' for name in names)
            for _ in range(2):
                values = ", ".join(
                    "NULL"
                    if one in ("txn_id", "sender_id")
                    else f'(SELECT max("{one}") + 1 FROM "{table}")'
                    if one in COUNTED
                    else self.other(one)
                    for one in names
                )
                with connection.cursor() as cursor:
                    cursor.execute(f'INSERT INTO "{table}" ({listed}) SELECT {values} FROM "{table}" LIMIT 1')

    def test_a_double_is_the_databases_own_refusal_on_postgresql_and_ours_on_sqlite(self) -> None:
        for table in UNIQUE:
            listed = ", ".join(f'"{name}"' for name in self.columns(table))
            double = f'INSERT INTO "{table}" ({listed}) SELECT {listed} FROM "{table}" LIMIT 1'
            with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(double)

    def test_copy_adds_and_does_nothing_else(self) -> None:
        if self.sqlite:
            return
        for table in UNIQUE:
            before = self.rows()
            for said in sessions():
                with pytest.raises(IntegrityError):
                    self.copy_again(said, table)
            assert self.rows() == before, table
        database.load("audit_node", f"{2 << 48}\t\\\\x00\n".encode())
        assert Node.objects.count() == 2

    @staticmethod
    def copy_again(said: str, table: str) -> None:
        with transaction.atomic(), connection.cursor() as cursor, connection.wrap_database_errors:
            cursor.execute(said or "SELECT 1")
            database.load(table, database.dump(table))

    def test_an_event_waits_to_be_sealed_whatever_its_session_says(self) -> None:
        listed = ", ".join(f'"{name}"' for name in self.columns("audit_auditevent"))
        for said in sessions():
            values = ", ".join(self.other(name) for name in self.columns("audit_auditevent"))
            send(said, f"INSERT INTO audit_auditevent ({listed}) SELECT {values} FROM audit_auditevent LIMIT 1")
        assert set(Pending.objects.values_list("event_id")) == set(AuditEvent.objects.values_list("id"))

    def test_what_no_longer_waits_is_swept_early(self) -> None:
        if self.sqlite:
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT reloptions FROM pg_class WHERE oid = 'audit_pending'::regclass")
            options = cursor.fetchone()[0] or []
        assert {"autovacuum_vacuum_scale_factor=0", "autovacuum_vacuum_threshold=2000"} <= set(options)

    def test_every_guard_is_whole(self) -> None:
        """Of tables that are not named here, too. Red when a unique set is added and the guard not made again."""
        with connection.cursor() as cursor:
            if self.sqlite:
                cursor.execute("SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'trigger'")
                kinds = ({"no_update", "no_delete", "no_replace"}, {"set_once", "no_delete", "no_replace"})
            else:
                cursor.execute(
                    "SELECT c.relname, t.tgname, t.tgenabled FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
                    "WHERE NOT t.tgisinternal"
                )
                kinds = ({"no_change", "no_truncate"}, {"set_once", "no_delete", "no_truncate"})
            found = cursor.fetchall()
        assert self.sqlite or {how for _, _, how in found} == {"A"}
        names = {(table, name.removeprefix(f"{table}_")) for table, name, _ in found} - {
            ("audit_auditevent", "hand_on")
        }
        guarded = {table for table, _ in names}
        assert set(UNIQUE) < guarded
        for guard in guarded:
            assert {kind for table, kind in names if table == guard} in kinds, guard
        for table, name, text in found if self.sqlite else ():
            if name.endswith("_no_replace"):
                for unique in self.unique(table):
                    assert " AND ".join(f'"{column}" = NEW."{column}"' for column in unique) in text, (table, unique)

    def test_guards_of_before_are_made_to_hold_always(self) -> None:
        """As in an installation whose tables are older than that."""
        if self.sqlite:
            return
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE rooms_roomevent ENABLE TRIGGER USER")
        with connection.schema_editor() as editor:
            always("rooms_roomevent").code(ProjectState().apps, editor)
        self.refused("DELETE FROM rooms_roomevent")
        self.refused("TRUNCATE rooms_roomevent CASCADE")

    def unique(self, table: str) -> list[list[str]]:
        with connection.cursor() as cursor:
            constraints = connection.introspection.get_constraints(cursor, table)
        return [one["columns"] for one in constraints.values() if one["unique"] or one["primary_key"]]

    def test_no_statement_of_ours_is_a_way_round(self) -> None:
        for vendor in ("sqlite", "postgresql"):
            for table, unique in UNIQUE.items():
                text = " ".join(
                    [*statements(vendor, table, unique), *once_statements(vendor, table, ["a"], ["b"], unique)]
                ).lower()
                for word in ("disable", "current_setting", "session_replication_role"):
                    assert word not in text
