"""As `test_schema.py`, for as long as it takes: everybody, right and wrong, on the engine that the proofs run on."""

import os
import time

import pytest

from tests.doors.house import PEOPLE
from tests.doors.played import RIGHT, WRONG, PlayedTestCase
from tests.doors.table import table

pytestmark = pytest.mark.prove
EXAMPLES = int(os.environ.get("PLAYED_EXAMPLES", "12"))
"""Of each operation, person and kind."""


class AsSomebody(PlayedTestCase):
    """In a house of their own: what it holds is good for minutes."""

    __test__ = False
    column = ""

    def test_nothing_answers_otherwise_than_documented(self) -> None:
        since, made = time.monotonic(), 0
        for row in table().rows:
            for mode in (RIGHT, WRONG):
                made += self.play(row, self.column, mode, EXAMPLES)
        print(f"{self.column}: {made} requests in {time.monotonic() - since:.0f} s")


for _column in PEOPLE:
    _name = f"As{_column.title().replace(' ', '')}"
    globals()[_name] = type(_name, (AsSomebody,), {"column": _column, "__test__": True})
