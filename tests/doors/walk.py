"""How the rows of the table are asked in the house."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from server.common.ids import new_id
from tests.base import TownTestCase
from tests.doors.house import PEOPLE, House, open_means
from tests.doors.requests import prime, request_of
from tests.doors.table import Mark, Row
from tests.exposure.asks import Ask
from tests.exposure.stage import Answer, Ids, Path, fill, undone
from tests.exposure.walk import statutory_grounds_on

UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MAKES = frozenset({"PUT alerts/{alert_id}"})
"""Requests that make what does not exist, so that nothing is missing."""


class DoorsTestCase(TownTestCase):
    """One house for all tests of a class."""

    house: House

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.house = House()

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(statutory_grounds_on())
        self.enterContext(open_means())
        self.faults: list[str] = []

    def tearDown(self) -> None:
        super().tearDown()
        assert not self.faults, f"{len(self.faults)} faults:\n" + "\n".join(self.faults)

    def fault(self, row: Row, column: str, what: str) -> None:
        self.faults.append(f"- {row.name} · {column}: {what}")

    @contextmanager
    def prepared(self, row: Row) -> Iterator[tuple[Path, Ids]]:
        """What the request of a row needs has been done; afterwards it has not."""
        ask = request_of(row.name)
        assert ask is not None, f"{row.name}: say in tests/doors/requests.py how it is asked"
        path, who = Path(row.operation, 0, ask), prime(ask)
        with undone():
            ids = self.house.ids_for(who if who in self.house.more else "kari", self.house.ids)
            yield path, self.house.prepare_as(who, path, ids)

    def missing(self, ids: Ids) -> Ids:
        """The same names, of what does not exist."""
        return {name: str(new_id()) if UUID_TEXT.fullmatch(value) else value for name, value in ids.items()}

    def ask(self, column: str, path: Path, ids: Ids) -> Answer:
        """The request of a row as this column's person makes it; it leaves no trace."""
        with undone():
            return self.house.ask(self.house.person(PEOPLE[column]), path, ids)


def word_of(answer: Answer, ask: Ask, ids: Ids, marks: dict[str, Mark]) -> str:
    """The mark that an answer deserves, or what it is in full."""
    if answer.status < 300 or answer.status == 303:  # on to where it is shown
        if answer.kind == "waiting":
            return "new"
        shows: Any = fill(ask.shows, ids)
        return "yes" if str(shows) in answer.said else "own"
    found = [one.word for one in marks.values() if answer.status in one.statuses and one.code == answer.kind]
    return found[0] if found else f"{answer.status} {answer.kind}"
