"""OpenAPI: what every operation shares, said once."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "detail"],
                "properties": {k: {"type": "string"} for k in ("field", "code", "detail")},
            },
        },
    },
}

_COMMON = {
    "400": "Malformed; `errors` names the fields.",
    "401": "No session, or one that has ended.",
    "403": "Known, but not open to you (for instance `consent_missing`).",
    "404": "Foreign, ended or missing: always the same answer.",
    "405": "This address does not answer to that method.",
    "406": "Only application/json is answered.",
    "408": "It took too long to arrive; the connection is closed.",
    "409": "At odds with what is there already.",
    "413": "Too large.",
    "415": "Only application/json is understood.",
    "429": "Too many; wait `Retry-After` seconds.",
    "431": "The headers are too large, or too many.",
    "503": "Something that this needs does not answer now.",
}
_HEADERS: dict[str, Any] = {
    "429": {
        "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds after which there is room."},
        "RateLimit-Policy": {"schema": {"type": "string"}, "description": 'Which limit: `"act";q=3000;w=60`.'},
        "RateLimit": {"schema": {"type": "string"}, "description": 'What is left of it: `"act";r=0;t=42`.'},
    },
    "503": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds after which to try again."}},
}


PROBLEM_IS = {"$ref": "#/components/schemas/Problem"}
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Any text up to 200 characters; a retry with the same key is the same act.",
)


class Schema(AutoSchema):
    """Adds the problem answers and the `Idempotency-Key` header."""

    def get_override_parameters(self) -> list[Any]:
        found = list(super().get_override_parameters())
        handler = getattr(self.view, self.method.lower(), None)
        if self.method == "POST" and hasattr(handler, "__wrapped__"):
            found.append(IDEMPOTENCY_KEY)
        return found

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        for status, words in _COMMON.items():
            content = {"application/problem+json": {"schema": PROBLEM_IS}}
            said: dict[str, Any] = {"description": words, "content": content}
            if status in _HEADERS:
                said["headers"] = _HEADERS[status]
            operation["responses"].setdefault(status, said)
        return operation


def say_problem_once(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: each operation may answer with a dozen problems, and all are of one shape."""
    result["components"]["schemas"]["Problem"] = PROBLEM
    return result
