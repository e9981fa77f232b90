"""Nothing is answered otherwise than documented, whoever asks what: never a 5xx, no status, header or shape that
the OpenAPI document does not name. A few examples of each operation, always the same; `prove_schema.py` draws many.
"""

from tests.doors.played import RIGHT, WRONG, PlayedTestCase, prime_column
from tests.doors.table import table
from tests.support.served import sqlite_only

pytestmark = sqlite_only
PEOPLE = ("member", "patient", "officer", "leader", "admin", "nobody", "key")
FEW = 1
"""Of each operation and person; and the request of the table."""


class Played(PlayedTestCase):
    def test_nothing_answers_otherwise_than_documented(self) -> None:
        made = 0
        for number, row in enumerate(table().rows):
            made += self.play(row, prime_column(row), RIGHT, FEW)
            made += self.play(row, PEOPLE[number % len(PEOPLE)], WRONG, FEW)
        assert made > len(table().rows), "they were played"
