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


class Played(PlayedTestCase):
    def test_nothing_answers_otherwise_than_documented(self) -> None:
        since, made = time.monotonic(), 0
        for row in table().rows:
            for column in PEOPLE:
                for mode in (RIGHT, WRONG):
                    made += self.play(row, column, mode, EXAMPLES)
        print(f"{made} requests in {time.monotonic() - since:.0f} s")
