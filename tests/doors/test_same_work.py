"""Foreign and missing cost the same: the same statements, in the same order.

Time itself is compared in `prove_times.py`; here is counted what takes it.
"""

import re

from tests.doors.table import table
from tests.doors.walk import MAKES, DoorsTestCase
from tests.exposure.stage import Ids, Path
from tests.gateway.driver import Statements
from tests.support.served import sqlite_only

pytestmark = sqlite_only


def shape(sql: str) -> str:
    """A statement without what differs from one request to the next."""
    if "SAVEPOINT" in sql:
        return sql.split('"')[0].split("`")[0].strip()
    return re.sub(r"\((?:%s,? ?)+\)", "(…)", sql)


class SameWork(DoorsTestCase):
    def test_whoever_is_refused_makes_us_do_the_same(self) -> None:
        for number, row in enumerate(table().rows):
            refused = [column for column, mark in row.cells.items() if mark == "404"]
            if not refused or row.name in MAKES:
                continue
            column = refused[number % len(refused)]
            with self.prepared(row) as (path, ids):
                foreign = self.work(column, path, ids)
                missing = self.work(column, path, self.missing(ids))
            if foreign != missing:
                self.fault(row, column, difference(foreign, missing))

    def work(self, column: str, path: Path, ids: Ids) -> list[str]:
        with Statements().recorded() as found:
            self.ask(column, path, ids)
        return [shape(sql) for _, sql in found.all]


def difference(foreign: list[str], missing: list[str]) -> str:
    more = [f"foreign only: {one[:200]}" for one in foreign if one not in missing]
    more += [f"missing only: {one[:200]}" for one in missing if one not in foreign]
    return f"{len(foreign)} statements for foreign, {len(missing)} for missing\n    " + "\n    ".join(more)
