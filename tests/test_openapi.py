"""The OpenAPI document: valid, complete, its examples right. Whether the server answers as it says: `tests/doors`."""

import re
from functools import cache
from typing import Any

import jsonschema
from django.test import SimpleTestCase
from django.urls import URLPattern, URLResolver
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from server.urls import api
from tests.support.served import sqlite_only

OURS = {"schema/", "asyncapi.yaml", "docs/", "docs/{name}"}
"""Addresses that describe the API and are no part of it."""
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
