"""The clock is the database's (law 10): one source of time for every process, whatever a machine's clock does."""

from datetime import UTC, datetime

from django.db import connection


def now_sql() -> str:
    """SQL for the present moment on the current engine, comparable with stored times."""
    if connection.vendor == "sqlite":
        return "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f000', 'now')"
    return "clock_timestamp()"


def now() -> datetime:
    """The database's time, aware, UTC. One small statement."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT STRFTIME('%Y-%m-%dT%H:%M:%f', 'now')")
            return datetime.fromisoformat(cursor.fetchone()[0]).replace(tzinfo=UTC)
        cursor.execute("SELECT clock_timestamp()")
        value: datetime = cursor.fetchone()[0]
        return value
