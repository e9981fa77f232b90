"""Is it alive, can it serve? Warnings stand in the body and never change the status."""

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

from server.operate import watch


def live(request: HttpRequest) -> JsonResponse:
    """200 while the process answers."""
    return JsonResponse({"status": "live"})


def ready(request: HttpRequest) -> JsonResponse:
    """200 while requests can be served: the database answers."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
        warnings = watch.warnings()
    except DatabaseError:
        return JsonResponse({"status": "unavailable", "warnings": ["database"]}, status=503)
    return JsonResponse({"status": "ready", "warnings": warnings})
