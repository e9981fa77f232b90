"""Every cell of `docs/permissions.md`, asked of the server.

The request of a row is made in one prepared house by everybody in turn, each time as it stands, and undone again: what
is refused to one is what succeeds for another. A 404 is the same, byte for byte, as that of ids that nobody has.
"""

from django.test import SimpleTestCase

from tests.doors.house import PEOPLE
from tests.doors.requests import REQUESTS, prime, request_of
from tests.doors.table import WHERE, Row, line_to_add, table
from tests.doors.walk import MAKES, DoorsTestCase, word_of
from tests.exposure.stage import Answer
from tests.support.served import sqlite_only
from tests.test_openapi import document

pytestmark = sqlite_only
NOT_HERE = {"POST review/erasures/{erasure_id}/begin": "hindered"}
"""What cannot succeed in a house where so much is open; it does in `tests/review/test_erasure.py`."""


def operations() -> set[str]:
    return {
        f"{method.upper()} {path.removeprefix('/api/v1/')}"
        for path, found in document()["paths"].items()
        for method in found
    }


class Page(SimpleTestCase):
    def test_every_operation_has_a_row_and_every_row_an_operation(self) -> None:
        said = {row.operation for row in table().rows}
        missing = sorted(operations() - said)
        assert not missing, f"say in {WHERE} who may do this, a mark for each ?:\n" + "\n".join(
            line_to_add(one, table().columns) for one in missing
        )
        gone = sorted(said - operations())
        assert not gone, f"these rows of {WHERE} are of no operation: {gone}"

    def test_every_row_is_asked(self) -> None:
        for row in table().rows:
            assert request_of(row.name) is not None, f"{row.name}: say in tests/doors/requests.py how it is asked"
        unused = set(REQUESTS) - {row.name for row in table().rows}
        assert not unused, f"requests without a row in {WHERE}: {sorted(unused)}"

    def test_the_page_says_what_its_words_mean(self) -> None:
        assert table().columns == list(PEOPLE), "the columns are the people of the house"
        names = [row.name for row in table().rows]
        assert len(names) == len(set(names)), "one row each"
        used = {mark for row in table().rows for mark in row.cells.values()}
        assert used == set(table().marks), "a mark that is not explained, or one that nobody uses"

    def test_each_row_is_allowed_to_whom_its_request_is_written_for(self) -> None:
        """A row of nothing but refusals would prove nothing."""
        for row in table().rows:
            ask = request_of(row.name)
            assert ask is not None
            column = next(one for one, who in PEOPLE.items() if who == prime(ask))
            assert row.cells[column] in ("yes", NOT_HERE.get(row.name)), (
                f"{row.name}: {column} is whom it is written for"
            )


class Cells(DoorsTestCase):
    def test_every_cell(self) -> None:
        """Red when any door opens to another, or to fewer, or tells what is foreign from what is missing."""
        for row in table().rows:
            with self.prepared(row) as (path, ids):
                nothing: dict[str, Answer] = {}
                for column, meant in row.cells.items():
                    answer = self.ask(column, path, ids)
                    found = word_of(answer, path.ask, ids, table().marks)
                    if found != meant:
                        self.fault(row, column, f"is meant to be «{meant}», and is «{found}»: {answer}")
                    elif meant == "404" and row.name not in MAKES:
                        language = answer.headers["Content-Language"]
                        if language not in nothing:  # the first who is refused asks; the others are to get the same
                            nothing[language] = self.ask(column, path, self.missing(ids))
                        self._same(row, column, answer, nothing[language])

    def _same(self, row: Row, column: str, answer: Answer, nothing: Answer) -> None:
        if answer.compared != nothing.compared:
            self.fault(row, column, f"{answer.compared}; of nothing {nothing.compared}")
