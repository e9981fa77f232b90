"""`GET /metrics`: numbers in Prometheus' text format, for this machine or whoever has the token; nobody else learns
that they are there."""

from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from server.audit.metrics import REGISTRY
from server.common.errors import NotFound
from server.operate import gauges
from server.operate.insiders import is_insider

__all__ = ["gauges", "metrics"]


def metrics(request: HttpRequest) -> HttpResponse:
    """Raises NotFound for everybody who may not; DatabaseError, which is answered with 503."""
    if not is_insider(request):
        raise NotFound
    body = generate_latest(REGISTRY)
    return HttpResponse(body, content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})
