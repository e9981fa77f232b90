"""Append-only tables, enforced by the database on both engines (law 8). There is no bypass in product code.

SQLite: `INSERT OR REPLACE` deletes the old row without firing delete triggers, so an insert trigger guards too: a row
whose key, or other unique value, is already there is refused before anything is replaced.
"""

from collections.abc import Sequence
from typing import Any

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.exceptions import IrreversibleError

Unique = Sequence[str]


def append_only(table: str, *, unique: Sequence[Unique]) -> migrations.RunPython:
    """A migration step that makes `table` refuse UPDATE, DELETE, TRUNCATE and REPLACE.

    `unique` lists every unique set of columns, the primary key first.
    """

    def forwards(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
        for statement in statements(editor.connection.vendor, table, unique):
            editor.execute(statement)

    def backwards(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
        raise IrreversibleError(f"{table} stays append-only")

    return migrations.RunPython(forwards, backwards)


def statements(vendor: str, table: str, unique: Sequence[Unique]) -> list[str]:
    """The SQL of the triggers for one engine."""
    return {"sqlite": _sqlite, "postgresql": _postgresql}[vendor](table, unique)


def _sqlite(table: str, unique: Sequence[Unique]) -> list[str]:
    message = f"{table} is append-only"
    taken = " OR ".join(
        "(" + " AND ".join(f'"{column}" = NEW."{column}"' for column in columns) + ")" for columns in unique
    )
    return [
        f'CREATE TRIGGER "{table}_no_update" BEFORE UPDATE ON "{table}" BEGIN SELECT RAISE(ABORT, \'{message}\'); END',
        f'CREATE TRIGGER "{table}_no_delete" BEFORE DELETE ON "{table}" BEGIN SELECT RAISE(ABORT, \'{message}\'); END',
        f'CREATE TRIGGER "{table}_no_replace" BEFORE INSERT ON "{table}" '  # noqa: S608 - our own table names
        f'WHEN EXISTS (SELECT 1 FROM "{table}" WHERE rowid = NEW.rowid OR {taken}) '
        f"BEGIN SELECT RAISE(ABORT, '{message}: this row exists'); END",
    ]


def _postgresql(table: str, unique: Sequence[Unique]) -> list[str]:
    return [
        "CREATE OR REPLACE FUNCTION samsnakk_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only', ERRCODE = 'restrict_violation'; "
        "END $$",
        f'CREATE TRIGGER "{table}_no_change" BEFORE UPDATE OR DELETE ON "{table}" '
        "FOR EACH ROW EXECUTE FUNCTION samsnakk_append_only()",
        f'CREATE TRIGGER "{table}_no_truncate" BEFORE TRUNCATE ON "{table}" '
        "FOR EACH STATEMENT EXECUTE FUNCTION samsnakk_append_only()",
    ]
