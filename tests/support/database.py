"""The database between tests that commit for real.

Append-only triggers have no bypass in product code or schema, so Django's flush cannot empty the tables. PostgreSQL is
emptied as its owner can, `unguarded`; of SQLite the migrated template is copied back over the file (through SQLite's
own backup, so that a connection left open reads the new content and not a swapped inode).
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from server.common import db
from server.vault import actions as vault

Dump = dict[str, Any]
_town: Dump = {}
KEPT = {"django_migrations", "django_content_type", "auth_permission"}
"""Filled by migrations, and touched by no test."""
MADE_BY_TRIGGERS = {"audit_pending"}
"""Filled again when the town is loaded."""
IDLE = "$$ BEGIN RETURN COALESCE(NEW, OLD); END $$"


def file_for_tests() -> None:
    """SQLite tests use a file, never memory: threads then meet the locks that the product meets."""
    if settings.EMBEDDED:
        name = str(settings.ENV.var_dir / "test.sqlite3")
        connection.settings_dict.setdefault("TEST", {})["NAME"] = name


def template() -> Path:
    return Path(settings.ENV.var_dir) / "template.sqlite3"


def template_name() -> str:
    """PostgreSQL's: dropped with the test database whose name it begins with."""
    return f"{connection.settings_dict['NAME']}_empty"


def remember_empty() -> None:
    """Keep the migrated, empty state, for tests that commit and for servers that tests start; called once, right after
    the migrations."""
    if connection.vendor == "sqlite":
        live = Path(connection.settings_dict["NAME"])
        assert live.parent == settings.ENV.var_dir, "tests run on a file of their own"
        _copy(live, template())
        return
    connection.close()
    connection.close_pool()  # whoever is copied may have no visitor
    with connection._nodb_cursor() as cursor:
        names = connection.ops.quote_name(template_name()), connection.ops.quote_name(connection.settings_dict["NAME"])
        cursor.execute("DROP DATABASE IF EXISTS {}".format(*names))
        cursor.execute("CREATE DATABASE {} TEMPLATE {}".format(*names))


def restore() -> None:
    """Empty every table again and forget what this process remembered of them."""
    close_database_threads()
    if connection.vendor == "sqlite":
        connection.close()
        _copy(template(), Path(connection.settings_dict["NAME"]))
    else:
        with unguarded(), connection.cursor() as cursor:
            for table in filled_tables():
                cursor.execute(f'DELETE FROM "{table}"')
    vault.forget_keys()


@contextmanager
def unguarded() -> Iterator[None]:
    """Whoever owns the database: within this transaction no trigger does anything, afterwards all are as they were.

    Nothing less will do (law 8): `session_replication_role = replica` stills foreign keys and no guard. On PostgreSQL
    the functions of the triggers are replaced, which locks no table and takes 2 ms however many there are.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            triggers = cursor.fetchall()
            for name, _ in triggers:
                cursor.execute(f'DROP TRIGGER "{name}"')
            yield
            for _, made in triggers:
                cursor.execute(made)
            return
        cursor.execute(
            "SELECT oid::regprocedure, pg_get_functiondef(oid) FROM pg_proc "
            "WHERE prorettype = 'trigger'::regtype AND pronamespace = current_schema()::regnamespace"
        )
        functions = cursor.fetchall()
        for name, _ in functions:
            cursor.execute(f"CREATE OR REPLACE FUNCTION {name} RETURNS trigger LANGUAGE plpgsql AS {IDLE}")
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
        for _, made in functions:
            cursor.execute(made)


def load_town(build: Callable[[], None]) -> None:
    """Put the demo town into the empty tables: built once per process, copied afterwards. Commits, or joins the
    caller's transaction."""
    if not _town:
        build()
        for table in filled_tables():
            if table not in MADE_BY_TRIGGERS:
                _town[table] = dump(table)
    else:
        with transaction.atomic():
            for table, rows in _town.items():
                load(table, rows)
    vault.forget_keys()


def back_up() -> Dump:
    """All rows, as a backup holds them."""
    return {table: dump(table) for table in filled_tables()}


def put_back(backup: Dump) -> None:
    """What an operator does with a backup: the database is as it was then."""
    with unguarded(), connection.cursor() as cursor:
        for table in filled_tables():
            cursor.execute(f'DELETE FROM "{table}"')
        for table, rows in backup.items():
            load(table, rows)
    vault.forget_keys()


def close_database_threads() -> None:
    """Close the persistent connections of `server.common.db`; what still runs there is waited for."""
    if not db.executor.cache_info().currsize:
        return
    pool = db.executor()
    count = len(pool._threads)
    if not count:
        return
    gate = threading.Barrier(count)

    def close() -> None:
        gate.wait(10)  # nobody leaves before everybody is here: so each thread has exactly one of these
        connection.close()

    waiting: list[Future[None]] = [pool.submit(close) for _ in range(count)]
    for one in waiting:
        one.result(15)


def drop_strangers() -> None:
    """Before the test database is dropped: nobody else may hold it, and its copy goes first."""
    close_database_threads()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        with connection._nodb_cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {connection.ops.quote_name(template_name())}")


@cache
def tables() -> tuple[str, ...]:
    return tuple(sorted(set(connection.introspection.table_names()) - KEPT))


def filled_tables() -> list[str]:
    question = " UNION ALL ".join(f"SELECT '{one}' WHERE EXISTS (SELECT 1 FROM \"{one}\")" for one in tables())
    with connection.cursor() as cursor:
        cursor.execute(question)
        return [name for (name,) in cursor.fetchall()]


def dump(table: str) -> Any:
    assert connection.connection is not None
    if connection.vendor == "sqlite":
        # `+` makes an expression of a column: it comes out as it is stored, not as Django's converters would have it.
        columns = connection.connection.execute(f'SELECT name FROM pragma_table_info("{table}")').fetchall()
        plain = ", ".join(f'+"{name}"' for (name,) in columns)
        return connection.connection.execute(f'SELECT {plain} FROM "{table}"').fetchall()
    with connection.connection.cursor().copy(f'COPY "{table}" TO STDOUT') as copy:
        return b"".join(bytes(piece) for piece in copy)


def load(table: str, rows: Any) -> None:
    assert connection.connection is not None
    if connection.vendor == "sqlite":
        places = ", ".join("?" * len(rows[0]))
        connection.connection.executemany(f'INSERT INTO "{table}" VALUES ({places})', rows)
        return
    with connection.connection.cursor().copy(f'COPY "{table}" FROM STDIN') as copy:
        copy.write(rows)


def _copy(source: Path, target: Path) -> None:
    """Copy a database through SQLite. Raises sqlite3.OperationalError when somebody still writes to the target."""
    reading, writing = sqlite3.connect(source), sqlite3.connect(target, timeout=5)
    try:
        writing.execute("PRAGMA synchronous = OFF")
        reading.backup(writing)
    finally:
        reading.close()
        writing.close()
