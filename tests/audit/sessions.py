"""SQL as somebody at the database's own prompt may send it."""

from django.db import connection, transaction

SESSIONS = {"sqlite": [""], "postgresql": ["", "SET LOCAL session_replication_role = replica"]}
"""What a superuser may say first; it stills ordinary triggers and foreign keys."""


def sessions() -> list[str]:
    return SESSIONS[connection.vendor]


def send(said: str, sql: str) -> None:
    """In a transaction of its own, after `said`."""
    with transaction.atomic(), connection.cursor() as cursor:
        if said:
            cursor.execute(said)
        cursor.execute(sql)
