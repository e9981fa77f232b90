"""`GET /metrics`: numbers in Prometheus' text format, for this machine or whoever has the token; nobody else learns
that they are there."""

import ipaddress
import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from server.audit.metrics import REGISTRY
from server.common.errors import NotFound
from server.operate import gauges

__all__ = ["gauges", "metrics"]

PASSED_ON = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_FORWARDED", "HTTP_VIA")
"""What a proxy on this machine adds: its address is this machine's, and its clients' are not."""


def metrics(request: HttpRequest) -> HttpResponse:
    """Raises NotFound for everybody who may not; DatabaseError, which is answered with 503."""
    if not (_has_token(request) or _from_here(request)):
        raise NotFound
    body = generate_latest(REGISTRY)
    return HttpResponse(body, content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


def _has_token(request: HttpRequest) -> bool:
    token: str = settings.ENV.metrics_token
    given = request.headers.get("Authorization", "")
    return bool(token) and secrets.compare_digest(given.encode(), f"Bearer {token}".encode())


def _from_here(request: HttpRequest) -> bool:
    if any(name in request.META for name in PASSED_ON):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
