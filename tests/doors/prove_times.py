"""Foreign and missing take the same time: for each row, by somebody who may know of neither, asked in turn."""

import time
from math import exp, log
from statistics import fmean, median

import pytest

from tests.doors.table import Row, table
from tests.doors.test_same_work import strangers
from tests.doors.walk import DoorsTestCase

pytestmark = pytest.mark.prove
TIMES, AGAIN = 30, 3
WIDEST, WIDEST_OF_ALL = 1.3, 1.1
"""How many times as long the one may take as the other, by their medians: in a row, and over all rows. What stands
out is measured again, and told if it does each time: a loaded machine stands out once."""


class Times(DoorsTestCase):
    def test_foreign_takes_as_long_as_missing(self) -> None:
        found = []
        for number, row in enumerate(table().rows):
            refused = strangers(row)
            if not refused:
                continue
            column = refused[number % len(refused)]
            ratios = [self.ratio(row, column)]
            while abs(log(ratios[-1])) > log(WIDEST) and len(ratios) < AGAIN:
                ratios.append(self.ratio(row, column))
            found.append(min(ratios, key=lambda one: abs(log(one))))
            if abs(log(found[-1])) > log(WIDEST):
                self.fault(row, column, f"foreign takes {found[-1]:.2f} times what missing takes")
        of_all = exp(fmean(map(log, found)))
        print(f"{len(found)} rows: {of_all:.3f} over all, from {min(found):.2f} to {max(found):.2f}")
        assert abs(log(of_all)) < log(WIDEST_OF_ALL), of_all

    def ratio(self, row: Row, column: str) -> float:
        """How long foreign takes, over how long missing does."""
        spent: tuple[list[float], list[float]] = ([], [])
        with self.prepared(row) as (path, ids):
            both = (ids, self.missing(ids))
            for turn in range(2 * TIMES):
                which = (turn + turn // 2) % 2  # neither is always the first
                since = time.perf_counter()
                self.ask(column, path, both[which])
                spent[which].append(time.perf_counter() - since)
        return median(spent[0]) / median(spent[1])
