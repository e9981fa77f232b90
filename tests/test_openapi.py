"""The OpenAPI document: valid, complete, its examples right, and what the server answers is what it says."""

import re
from functools import cache
from typing import Any
from uuid import uuid4

import hypothesis
import jsonschema
import pytest
import schemathesis
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.test import SimpleTestCase
from django.urls import URLPattern, URLResolver
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from server.alerts.demo import build_programme
from server.urls import api
from tests.base import TownTransactionTestCase
from tests.support.served import sqlite_only

OURS = {"schema/", "asyncapi.yaml", "docs/", "docs/{name}"}
"""Addresses that describe the API and are no part of it."""
NOT_PLAYED = {"/api/v1/me/sign-out"}
"""It would end the session that all others are played with; it has tests of its own."""
FEW = 3
EXAMPLES = max(FEW, hypothesis.settings().max_examples // 8)
"""For each operation and person."""
BY_DAY, AT_NIGHT = ("kari", "are"), ("mona", "trine")
OF_THE_NIGHT = tuple(f"/api/v1/{path}" for path in ("alert", "programmes", "on-call", "me/plan"))
JSON = dict[str, Any]


@cache
def document() -> JSON:
    """Made once; nobody changes it."""
    found: JSON = SchemaGenerator().get_schema(public=True)
    return found


def routes(patterns: list[URLPattern | URLResolver], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for one in patterns:
        path = prefix + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(one.pattern))
        found |= routes(one.url_patterns, path) if isinstance(one, URLResolver) else {path}
    return found


@sqlite_only
class Document(SimpleTestCase):
    def test_it_is_valid_openapi_3_1(self) -> None:
        schema = document()
        assert schema["openapi"].startswith("3.1")
        validate_schema(schema)

    def test_every_route_is_in_it(self) -> None:
        described = {path.removeprefix("/api/v1/") for path in document()["paths"]}
        assert described == routes(api) - OURS

    def test_every_operation_says_what_it_is_and_how_it_fails(self) -> None:
        for path, operations in document()["paths"].items():
            for method, operation in operations.items():
                assert operation.get("summary"), (method, path)
                assert {"400", "401", "404", "429", "503"} <= set(operation["responses"]), (method, path)
                for status in ("400", "404", "503"):
                    assert "application/problem+json" in operation["responses"][status]["content"], (method, path)

    def test_a_post_that_makes_something_takes_an_idempotency_key(self) -> None:
        for path, operations in document()["paths"].items():
            post = operations.get("post")
            if post is not None and "201" in post["responses"]:
                assert "Idempotency-Key" in {one["name"] for one in post.get("parameters", ())}, path

    def test_its_examples_are_right(self) -> None:
        schema, checked = document(), 0
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
                for media in (media for body in bodies for media in body.get("content", {}).values()):
                    for example in media.get("examples", {}).values():
                        shape = {**media["schema"], "components": schema["components"]}
                        jsonschema.Draft202012Validator(shape).validate(example["value"])
                        checked += 1
                        assert path
        assert checked >= 2


def ends_access(operation: Any) -> bool:
    """Played last: afterwards most answers are 404."""
    return operation.method == "delete" or operation.path.endswith(("/withdraw", "/decline", "/change"))


@pytest.mark.skipif(settings.EMBEDDED, reason="what is answered is the same on both: played where people are served")
class Played(TownTransactionTestCase):
    """Schemathesis, a bounded and derandomised run through every operation, as staff and as the patient."""

    def test_nothing_answers_otherwise_than_documented(self) -> None:
        programme = build_programme()
        shared = self.open_shared_room()
        said = self.post(shared, "kari")
        self.post(shared, "are")
        members = self.members(shared)
        known = {
            "room_id": str(shared.id),
            "consent_id": str(shared.consent),
            "member_id": members["vera"]["id"],
            "patient_id": str(self.patient_id()),
            "seq": said["seq"],
            "programme_id": str(programme.id),
            "alert_id": self.person("trine").ok("put", f"alerts/{uuid4()}", {})["id"],
        }
        schema = schemathesis.openapi.from_wsgi("/api/v1/schema/", get_wsgi_application())
        played = 0
        operations = [result.ok() for result in schema.get_all_operations()]
        for operation in sorted(operations, key=ends_access):
            if operation.path in NOT_PLAYED:
                continue
            played += 1
            people = AT_NIGHT if operation.path.startswith(OF_THE_NIGHT) else BY_DAY
            # Both where there is time (`HYPOTHESIS_PROFILE=long`); else staff and patient in turn.
            for who in people if EXAMPLES > FEW else people[played % 2 :][:1]:
                self._play(operation, known, self.person(who).token)
        assert played == sum(len(one) for path, one in document()["paths"].items() if path not in NOT_PLAYED)

    def _play(self, operation: Any, known: JSON, token: str) -> None:
        @hypothesis.settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        )
        @hypothesis.given(case=operation.as_strategy(), real=st.booleans())
        def one(case: Any, real: bool) -> None:
            if real:
                case.path_parameters = {
                    name: known.get(name, value) for name, value in (case.path_parameters or {}).items()
                }
            case.call_and_validate(
                headers={"Authorization": f"Bearer {token}"},
                checks=[
                    not_a_server_error,
                    status_code_conformance,
                    content_type_conformance,
                    response_headers_conformance,
                    response_schema_conformance,
                ],
            )

        one()
