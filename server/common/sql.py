"""The few differences between the two engines that raw statements must know."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection

INSERT_ROWS = 100
"""Rows of one statement: within every engine's limit of parameters."""


def uuid_in(value: UUID) -> UUID | str:
    """A UUID as a statement's parameter."""
    return value.hex if connection.vendor == "sqlite" else value


def uuid_or_none(value: UUID | None) -> UUID | str | None:
    return None if value is None else uuid_in(value)


def uuid_out(value: UUID | str) -> UUID:
    """A UUID as a statement's result."""
    return value if isinstance(value, UUID) else UUID(hex=value)


def time_in(value: datetime) -> datetime | str:
    """A moment as a parameter, comparable with stored times."""
    if connection.vendor == "sqlite":
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return value


def time_out(value: datetime | str) -> datetime:
    """A moment as a result."""
    if isinstance(value, datetime):
        return value
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


def rfc3339_sql(column: str) -> str:
    """SQL that says a stored moment as `rfc3339` does (SQLite keeps milliseconds): no parse and no print per row."""
    if connection.vendor == "sqlite":
        return f"STRFTIME('%%Y-%%m-%%dT%%H:%%M:%%f000Z', {column})"
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


def rfc3339(moment: datetime) -> str:
    """A moment as clients see it: UTC, microseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@contextmanager
def pipelined() -> Iterator[None]:
    """Inside a transaction: statements go out together and their answers are awaited together (PostgreSQL's pipeline
    mode); a fetch, or the end of the block, waits. SQLite has no round trips to save.

    Raises what the statements raise, at the latest at the end of the block.
    """
    if connection.vendor == "sqlite":
        yield
        return
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield


def insert(table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], places: str = "") -> None:
    """Insert rows: in one statement or, in a pipeline, in one each, which is no round trip more and stays prepared.

    `places` says how a row's values become its columns, when it is not one for one.
    """
    names = ", ".join(f'"{column}"' for column in columns)
    places = places or "(" + ", ".join(["%s"] * len(columns)) + ")"
    into = f'INSERT INTO "{table}" ({names}) VALUES '  # noqa: S608 - our own names
    waiting = list(rows)
    at_once = 1 if in_pipeline() else INSERT_ROWS
    with connection.cursor() as cursor:
        for start in range(0, len(waiting), at_once):
            chunk = waiting[start : start + at_once]
            cursor.execute(into + ", ".join([places] * len(chunk)), [value for row in chunk for value in row])


def in_pipeline() -> bool:
    """Whether this thread's connection is within `pipelined`."""
    raw = connection.connection
    return connection.vendor == "postgresql" and raw is not None and bool(raw.pgconn.pipeline_status)
