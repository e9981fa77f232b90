"""Foreign and missing cost the same: the same statements, in the same order.

Time itself is compared in `prove_times.py`; here is counted what takes it.
"""

import re
from functools import cache

import pytest

from tests.doors.table import Row, table
from tests.doors.walk import MAKES, DoorsTestCase
from tests.exposure.stage import Ids, Path
from tests.gateway.driver import Statements
from tests.support.served import sqlite_only

pytestmark = sqlite_only


UNKNOWING = frozenset({"404", "401", "staff", "patients", "officers", "verifiers", "admins", "health"})
"""Marks of those who are told nothing of what is there."""


def shape(sql: str) -> str:
    """A statement without what differs from one request to the next."""
    if "SAVEPOINT" in sql:
        return sql.split('"')[0].split("`")[0].strip()
    return re.sub(r"\(…\)(?:, \(…\))+", "(…)", re.sub(r"\((?:%s,? ?)+\)", "(…)", sql))


class SameWork(DoorsTestCase):
    def test_whoever_is_refused_makes_us_do_the_same(self) -> None:
        for number, row in enumerate(table().rows):
            refused = strangers(row)
            for column in refused[number % len(refused) :][:1] if refused else []:
                self.compare(row, column)

    def compare(self, row: Row, column: str) -> None:
        with self.prepared(row) as (path, ids):
            foreign = self.work(column, path, ids)
            missing = self.work(column, path, self.missing(ids))
        if foreign != missing:
            self.fault(row, column, difference(foreign, missing))

    def work(self, column: str, path: Path, ids: Ids) -> list[str]:
        with Statements().recorded() as found:
            self.ask(column, path, ids)
        return [shape(sql) for _, sql in found.all]


@pytest.mark.prove
class SameWorkForEverybody(SameWork):
    """Every cell."""

    def test_whoever_is_refused_makes_us_do_the_same(self) -> None:
        for row in table().rows:
            for column in strangers(row):
                self.compare(row, column)


def strangers(row: Row) -> list[str]:
    """Who is refused as if there were nothing, and may know of it by no other row about the same thing: whoever may
    know does not learn from time that it exists."""
    if row.name in MAKES:
        return []
    return [
        column for column, mark in row.cells.items() if mark == "404" and column not in knowing(about(row.operation))
    ]


def about(operation: str) -> str:
    """The first thing that an address names."""
    found = re.search(r"\{(\w+)\}", operation)
    return found[1] if found else operation


@cache
def knowing(thing: str) -> frozenset[str]:
    rows = [row for row in table().rows if about(row.operation) == thing]
    return frozenset(column for row in rows for column, mark in row.cells.items() if mark not in UNKNOWING)


def difference(foreign: list[str], missing: list[str]) -> str:
    more = [f"foreign only: {one[:200]}" for one in foreign if one not in missing]
    more += [f"missing only: {one[:200]}" for one in missing if one not in foreign]
    return f"{len(foreign)} statements for foreign, {len(missing)} for missing\n    " + "\n    ".join(more)
