"""Is it alive, can it serve? Warnings stand in the body and never change the status; they are for those who run it, and
a stranger learns no more than that it is ready."""

from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

from server.operate import watch
from server.operate.insiders import may_see_health


def live(request: HttpRequest) -> JsonResponse:
    """200 while the process answers."""
    return JsonResponse({"status": "live"})


def ready(request: HttpRequest) -> JsonResponse:
    """200 while requests can be served: the database answers."""
    inside = may_see_health(request)
    warnings: Sequence[str] = ()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
        if inside:
            warnings = watch.warnings()
    except DatabaseError:
        return _said("unavailable", ["database"], inside, 503)
    return _said("ready", warnings, inside, 200)


def _said(status: str, warnings: Sequence[str], inside: bool, code: int) -> JsonResponse:
    body: dict[str, Any] = {"status": status}
    if inside:
        body["warnings"] = list(warnings)
    return JsonResponse(body, status=code, headers={"Cache-Control": "no-store"})
