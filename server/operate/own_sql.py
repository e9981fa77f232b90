"""A connection of the watchdog's own, to the database of the settings: nothing of the product's stands between."""

import json
import sqlite3
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import psycopg

from server.common.postgres import ImpatientConnection

LIMIT_S = 4.0
"""A database that has not answered by then counts as one that does not answer."""
OF_DJANGO = {"server_side_binding", "prepare_threshold", "connect_timeout", "application_name", "options", "pool"}
FAULTS = (psycopg.Error, sqlite3.Error, OSError)
"""What is raised when the database does not answer, or not as it should."""
Row = tuple[Any, ...]


class Database(Protocol):
    """Parameters are `%s`, values are what the engine knows: see `time_in` and the functions below."""

    def ask(self, sql: str, *values: Any) -> list[Row]:
        """All rows. Raises one of `FAULTS`."""

    def tell(self, sql: str, *values: Any) -> None:
        """Write, at once. Raises one of `FAULTS`."""

    def now(self) -> datetime:
        """The database's clock, aware UTC."""

    def time_in(self, value: datetime) -> Any:
        """A moment as a parameter, comparable with stored ones."""

    def close(self) -> None: ...


class Postgres:
    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection

    @classmethod
    def connect(cls, said: dict[str, Any]) -> "Postgres":
        more = {name: value for name, value in said.get("OPTIONS", {}).items() if name not in OF_DJANGO}
        return cls(
            ImpatientConnection.within(LIMIT_S).connect(
                host=said.get("HOST") or None,
                port=said.get("PORT") or None,
                dbname=said["NAME"],
                user=said.get("USER") or None,
                password=said.get("PASSWORD") or None,
                connect_timeout=3,
                application_name="samsnakk-watchdog",
                options=f"-c statement_timeout={int(LIMIT_S * 900)} -c timezone=UTC",
                autocommit=True,
                **more,
            )
        )

    def ask(self, sql: str, *values: Any) -> list[Row]:
        return self._connection.execute(sql.encode(), values).fetchall()

    def tell(self, sql: str, *values: Any) -> None:
        self._connection.execute(sql.encode(), values)

    def now(self) -> datetime:
        return time_out(self.ask("SELECT clock_timestamp()")[0][0])

    def time_in(self, value: datetime) -> Any:
        return value

    def close(self) -> None:
        with suppress(psycopg.Error):
            self._connection.close()


class Sqlite:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def connect(cls, said: dict[str, Any]) -> "Sqlite":
        # A file that is not there is not made.
        address = f"{Path(said['NAME']).absolute().as_uri()}?mode=rw"
        return cls(sqlite3.connect(address, uri=True, timeout=LIMIT_S, isolation_level=None, check_same_thread=False))

    def ask(self, sql: str, *values: Any) -> list[Row]:
        return self._connection.execute(sql.replace("%s", "?"), values).fetchall()

    def tell(self, sql: str, *values: Any) -> None:
        self._connection.execute(sql.replace("%s", "?"), values)

    def now(self) -> datetime:
        return time_out(self.ask("SELECT STRFTIME('%Y-%m-%d %H:%M:%f', 'now')")[0][0])

    def time_in(self, value: datetime) -> Any:
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._connection.close()


def connect(said: dict[str, Any]) -> Database:
    """To one of Django's `DATABASES`. Raises one of `FAULTS`."""
    return Sqlite.connect(said) if said["ENGINE"].endswith("sqlite3") else Postgres.connect(said)


def time_out(value: datetime | str) -> datetime:
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def uuid_out(value: UUID | str) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)


def json_out(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str | bytes) else value
