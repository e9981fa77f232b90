"""Schemathesis in the house: what the OpenAPI document says of an operation, and anything else, asked by somebody.

Each request finds the house as it was prepared for the row, and leaves no trace: so nothing has to be played last, and
sign-out, ends and deletions are played as everything is.
"""

from contextlib import suppress
from functools import cache
from typing import Any
from unittest.mock import patch

import hypothesis
import schemathesis
from django.core.wsgi import get_wsgi_application
from django.db.backends.base.base import BaseDatabaseWrapper
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.doors.house import CALLBACK, PEOPLE
from tests.doors.requests import prime, request_of
from tests.doors.table import Row
from tests.doors.walk import DoorsTestCase
from tests.exposure.asks import Ask
from tests.exposure.stage import Ids, fill, undone

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
RIGHT, WRONG = GenerationMode.POSITIVE, GenerationMode.NEGATIVE


@cache
def operations() -> dict[str, Any]:
    """Schemathesis' operations by the names of the table."""
    schema = schemathesis.openapi.from_wsgi("/api/v1/schema/", get_wsgi_application())
    found = (result.ok() for result in schema.get_all_operations())
    return {f"{one.method.upper()} {one.path.removeprefix('/api/v1/')}": one for one in found}


class PlayedTestCase(DoorsTestCase):
    """`play` gathers faults, one for each operation, person and kind of fault."""

    def setUp(self) -> None:
        super().setUp()
        # Requests come as a server's do: at their ends Django would close the connection that all is undone in.
        self.enterContext(patch.object(BaseDatabaseWrapper, "close_if_unusable_or_obsolete", lambda _: None))

    def play(self, row: Row, column: str, mode: GenerationMode, examples: int) -> int:
        """How many requests were made of it."""
        operation, made = operations()[row.operation], 0
        if mode is WRONG and not (operation.body or operation.query):
            return 0  # there is nothing in it that could be wrong
        with self.prepared(row) as (path, known_ids):
            ids = self.house.at_once(path, known_ids)
            ask, real = path.ask, self._real(row, path.ask, ids)

            @hypothesis.settings(
                max_examples=examples,
                derandomize=True,
                database=None,
                deadline=None,
                suppress_health_check=list(hypothesis.HealthCheck),
                phases=[hypothesis.Phase.generate],
            )
            @hypothesis.given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
            def one(case: Any, known: bool) -> None:
                nonlocal made
                made += 1
                if known:
                    case.path_parameters = dict(case.path_parameters or {}) | real
                self._ask(row, column, case)

            if row.name != CALLBACK:  # what is signed is asked in the table
                self._ask(row, column, self._as_written(operation, ask, ids, real))
            with suppress(hypothesis.errors.Unsatisfiable):  # whatever it is, it fits
                one()
        return made

    def _real(self, row: Row, ask: Ask, ids: Ids) -> Ids:
        """What stands in the address when the request is that of the table."""
        names = {one.split("}")[0] for one in row.operation.split("{")[1:]}
        return {name: str(fill(ask.use.get(name, f"{{{name}}}"), ids)) for name in names}

    def _as_written(self, operation: Any, ask: Ask, ids: Ids, real: Ids) -> Any:
        """The request of the table itself: what succeeds is compared with the document too."""
        query = dict(one.split("=", 1) for one in fill(ask.query, ids).split("&")) if ask.query else {}
        body = NOT_SET if operation.method.upper() in ("GET", "DELETE") else fill(ask.body or {}, ids)
        media = None if body is NOT_SET else "application/json"
        return operation.Case(path_parameters=real, query=query, body=body, media_type=media)

    def _ask(self, row: Row, column: str, case: Any) -> None:
        header = self.house.person(PEOPLE[column])._credentials.get("HTTP_AUTHORIZATION")
        case.headers = {name: value for name, value in (case.headers or {}).items() if name != "Authorization"}
        with undone():
            try:
                case.call_and_validate(headers={"Authorization": header} if header else {}, checks=CHECKS)
            except (Failure, FailureGroup) as failure:
                self._told(row, column, failure)

    def _told(self, row: Row, column: str, failure: Any) -> None:
        for one in getattr(failure, "exceptions", [failure]):
            self.fault(row, column, " ".join(f"{one.title}: {one.message}".split())[:600])

    def fault(self, row: Row, column: str, what: str) -> None:
        if not any(one.startswith(f"- {row.name} · ") and one.endswith(what) for one in self.faults):
            super().fault(row, column, what)


def prime_column(row: Row) -> str:
    """Whom the row's request is written for."""
    ask = request_of(row.name)
    assert ask is not None
    return next(column for column, who in PEOPLE.items() if who == prime(ask))
