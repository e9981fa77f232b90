"""Every failure as RFC 9457 `application/problem+json`; a 500 is ours alone and says nothing of the request."""

import json
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import exceptions as drf

from server.common.errors import (
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    NotYet,
    Problem,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from server.common.words import WORDS

MEDIA_TYPE = "application/problem+json"


def to_problem(error: BaseException) -> Problem | None:
    """The typed problem for an exception, or None when it is a fault of ours."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, OperationalError | InterfaceError):
        return Unavailable()
    if isinstance(error, Http404 | drf.NotFound):
        return NotFound()
    if isinstance(error, drf.ValidationError):
        return Invalid(errors=field_errors(error.get_full_details()))
    if isinstance(error, drf.NotAuthenticated | drf.AuthenticationFailed):
        return Unauthenticated()
    if isinstance(error, drf.PermissionDenied | PermissionDenied):
        return Forbidden()
    if isinstance(error, drf.Throttled):
        return TooMany(getattr(error, "wait", None) or 1)
    if isinstance(error, drf.APIException) and error.status_code < 500:
        code = error.get_codes()
        return _of_drf(error, code if isinstance(code, str) else error.default_code)
    if isinstance(error, RequestDataTooBig):
        return plain_problem(413, "too_large")
    if isinstance(error, SuspiciousOperation):
        return plain_problem(400, "malformed")
    return None


def _of_drf(error: drf.APIException, code: str) -> Problem:
    if code == "too_large":
        return plain_problem(413, code)
    if code in ("malformed", "parse_error"):
        return plain_problem(400, "malformed")
    return plain_problem(error.status_code, code)


def plain_problem(status: int, code: str) -> Problem:
    """One that has no class of its own."""
    kind = type("PlainProblem", (Problem,), {"status": status})
    return kind(code=code)


def field_errors(details: Any, prefix: str = "") -> list[FieldError]:
    """Flatten DRF's nested details into one list; the messages are the framework's, values are never in them."""
    if isinstance(details, dict) and set(details) == {"message", "code"}:
        code = str(details["code"])
        return [{"field": prefix, "code": code, "detail": _safe_message(code, str(details["message"]))}]
    found: list[FieldError] = []
    if isinstance(details, dict):
        for key, item in details.items():
            name = "" if key == "non_field_errors" else str(key)
            found += field_errors(item, f"{prefix}.{name}".strip("."))
    elif isinstance(details, list):
        for item in details:
            found += field_errors(item, prefix)
    return found


def _safe_message(code: str, message: str) -> str:
    """Some of the framework's messages quote the value («"x" is not a valid choice»): those are reworded."""
    if code in ("invalid_choice", "does_not_exist", "incorrect_type", "not_a_list"):
        return _("This value is not one of those that can be chosen.")
    return message


def document(problem: Problem, request_id: str) -> dict[str, Any]:
    """The members of the problem document."""
    body: dict[str, Any] = {
        "type": f"urn:samsnakk:problem:{problem.code}",
        "title": str(WORDS.get(problem.code, problem.title)),
        "status": problem.status,
        "code": problem.code,
    }
    if problem.detail:
        body["detail"] = str(problem.detail)
    if problem.errors:
        body["errors"] = problem.errors
    body.update(problem.extra)
    if problem.status != 404:  # every 404 is the same, byte for byte
        body["request_id"] = request_id
    return body


def headers(problem: Problem) -> dict[str, str]:
    found = {}
    if isinstance(problem, NotYet | TooMany | Unavailable):
        found["Retry-After"] = str(problem.retry_after_s)
    if isinstance(problem, TooMany):
        found |= problem.limits
    if isinstance(problem, Unauthenticated):
        found["WWW-Authenticate"] = "Bearer"
    return found


def answer(problem: Problem, request: HttpRequest) -> JsonResponse:
    """The answer outside DRF: middleware, unknown paths."""
    return JsonResponse(
        document(problem, getattr(request, "request_id", "")),
        status=problem.status,
        headers=headers(problem),
        content_type=MEDIA_TYPE,
        json_dumps_params={"ensure_ascii": False, "separators": (",", ":")},  # the same bytes as inside DRF
    )


def octets(problem: Problem, request_id: str) -> bytes:
    """The document as it is sent where there is no request yet."""
    return json.dumps(document(problem, request_id), ensure_ascii=False, separators=(",", ":")).encode()


class InternalProblem(Problem):
    """500: a fault of ours; the request id leads to the log line."""

    status = 500
    code = "internal"
    title = gettext_lazy(
        "Something went wrong on our side. Look whether it was saved before you try again. If it is urgent, phone."
    )
