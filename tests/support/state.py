"""The whole database as it stands, to tell whether anything at all was written."""

import hashlib

from django.db import connection

from tests.support import database

WATCHED_APART = {"people_session"}
"""A session notes when it was last seen; that is no act."""


def state() -> dict[str, str]:
    """A digest of every table's rows, by table."""
    found = {}
    for table in database.tables():
        if table in WATCHED_APART:
            continue
        rows = database.dump(table)
        if connection.vendor != "sqlite":
            rows = sorted(bytes(rows).splitlines())
        found[table] = hashlib.sha256(repr(sorted(map(repr, rows))).encode()).hexdigest()
    return found


def differing(one: dict[str, str], other: dict[str, str]) -> set[str]:
    """The tables that are not the same in both."""
    return {table for table in one if one[table] != other[table]}
