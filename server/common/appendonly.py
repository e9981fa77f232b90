"""Append-only tables, enforced by the database on both engines (law 8). There is no bypass in product code.

PostgreSQL: the triggers are `ENABLE ALWAYS`, so that `session_replication_role = replica` does not silence them either.
SQLite: `INSERT OR REPLACE` deletes the old row without firing delete triggers, so an insert trigger guards too: a row
whose key, or other unique value, is already there is refused before anything is replaced.
"""

from collections.abc import Sequence
from typing import Any

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.exceptions import IrreversibleError
from django.db.migrations.state import ProjectState

Unique = Sequence[str]
Partial = tuple[Unique, str]
"""A set of columns that is unique among the rows in which what is named second is null: a column, or several with a
space between them."""


class Step(migrations.RunPython):
    """A step that asks for no models: Django makes all of them anew for each `RunPython`, which takes longer than the
    statements. Its function is given None in their place."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        self.code(None, schema_editor)  # type: ignore[arg-type]


def append_only(table: str, *, unique: Sequence[Unique]) -> Step:
    """A migration step that makes `table` refuse UPDATE, DELETE, TRUNCATE and REPLACE.

    `unique` lists every unique set of columns, the primary key first.
    """

    def forwards(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
        for statement in statements(editor.connection.vendor, table, unique):
            editor.execute(statement)

    def backwards(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
        raise IrreversibleError(f"{table} stays append-only")

    return Step(forwards, backwards)


def set_once(table: str, columns: Sequence[str], *, unique: Sequence[Unique], partial: Sequence[Partial] = ()) -> Step:
    """A migration step after which a row of `table` keeps what it was made with, but for `columns`: each of them, while
    empty (null, or text without a letter), may be given a value once. DELETE, TRUNCATE and REPLACE are refused.

    `unique` lists every unique set of columns, the primary key first; `partial` those that hold while a column is null.
    A later migration that adds a column to the table drops and makes the triggers again: SQLite names them all.
    """

    def forwards(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
        with editor.connection.cursor() as cursor:
            described = editor.connection.introspection.get_table_description(cursor, table)
        kept = [one.name for one in described if one.name not in columns]
        for statement in once_statements(editor.connection.vendor, table, columns, kept, unique, partial):
            editor.execute(statement)

    def backwards(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
        raise IrreversibleError(f"{table} stays append-only but for {', '.join(columns)}")

    return Step(forwards, backwards)


def always(*tables: str) -> Step:
    """A migration step for tables whose guards were made before guards were `ENABLE ALWAYS`: now they are. Only
    PostgreSQL knows the difference."""

    def forwards(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
        if editor.connection.vendor != "postgresql":
            return
        for table in tables:
            with editor.connection.cursor() as cursor:
                cursor.execute(
                    "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal", [f'"{table}"']
                )
                names = [name for (name,) in cursor.fetchall()]
            editor.execute(_always(table, *names))

    def backwards(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
        raise IrreversibleError(f"{', '.join(tables)} stay guarded")

    return Step(forwards, backwards)


def once_statements(
    vendor: str,
    table: str,
    columns: Sequence[str],
    kept: Sequence[str],
    unique: Sequence[Unique],
    partial: Sequence[Partial] = (),
) -> list[str]:
    """The SQL of `set_once` for one engine; `kept` are all other columns."""
    if vendor == "postgresql":
        return _once_postgresql(table, columns)
    changed = [f'OLD."{column}" IS NOT NEW."{column}"' for column in kept]
    changed += [f"""(COALESCE(OLD."{one}", '') <> '' AND OLD."{one}" IS NOT NEW."{one}")""" for one in columns]
    message = f"{table} is append-only but for {', '.join(columns)}"
    _, no_delete, no_replace = _sqlite(table, unique, partial)
    return [
        f'CREATE TRIGGER "{table}_set_once" BEFORE UPDATE ON "{table}" '
        f"WHEN OLD.rowid IS NOT NEW.rowid OR {' OR '.join(changed)} BEGIN SELECT RAISE(ABORT, '{message}'); END",
        no_delete,
        no_replace,
    ]


def statements(vendor: str, table: str, unique: Sequence[Unique]) -> list[str]:
    """The SQL of the triggers for one engine."""
    return {"sqlite": _sqlite, "postgresql": _postgresql}[vendor](table, unique)


def _sqlite(table: str, unique: Sequence[Unique], partial: Sequence[Partial] = ()) -> list[str]:
    message = f"{table} is append-only"
    same = [[f'"{column}" = NEW."{column}"' for column in columns] for columns in unique]
    for columns, null in partial:
        both = [f'{row}"{one}" IS NULL' for one in null.split() for row in ("", "NEW.")]
        same.append([*(f'"{column}" = NEW."{column}"' for column in columns), *both])
    taken = " OR ".join("(" + " AND ".join(terms) + ")" for terms in same)
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
        _always(table, f"{table}_no_change", f"{table}_no_truncate"),
    ]


def _once_postgresql(table: str, columns: Sequence[str]) -> list[str]:
    function, *_ = _postgresql(table, ())
    listed = ", ".join(f"'{column}'" for column in columns)
    return [
        function,
        "CREATE OR REPLACE FUNCTION samsnakk_set_once() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "DECLARE was jsonb := to_jsonb(OLD); is_now jsonb := to_jsonb(NEW); wanted text; "
        "changed boolean := (was - TG_ARGV) IS DISTINCT FROM (is_now - TG_ARGV); "
        "BEGIN FOREACH wanted IN ARRAY TG_ARGV LOOP "
        "changed := changed OR (COALESCE(was->>wanted, '') <> '' AND was->wanted IS DISTINCT FROM is_now->wanted); "
        "END LOOP; "
        "IF changed THEN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only but for ' || "
        "array_to_string(TG_ARGV, ', '), ERRCODE = 'restrict_violation'; END IF; "
        "RETURN NEW; END $$",
        f'CREATE TRIGGER "{table}_set_once" BEFORE UPDATE ON "{table}" '
        f"FOR EACH ROW EXECUTE FUNCTION samsnakk_set_once({listed})",
        f'CREATE TRIGGER "{table}_no_delete" BEFORE DELETE ON "{table}" '
        "FOR EACH ROW EXECUTE FUNCTION samsnakk_append_only()",
        f'CREATE TRIGGER "{table}_no_truncate" BEFORE TRUNCATE ON "{table}" '
        "FOR EACH STATEMENT EXECUTE FUNCTION samsnakk_append_only()",
        _always(table, f"{table}_set_once", f"{table}_no_delete", f"{table}_no_truncate"),
    ]


def _always(table: str, *triggers: str) -> str:
    return f'ALTER TABLE "{table}" ' + ", ".join(f'ENABLE ALWAYS TRIGGER "{one}"' for one in triggers)
