"""Who may see how the installation is doing: this machine, whoever has the token, and networks that are named."""

import ipaddress
import secrets

from django.conf import settings
from django.http import HttpRequest

from server.common.proxies import PASSED_ON, within

FROM_PROXIES = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_FORWARDED", "HTTP_VIA")
"""What a proxy on this machine adds: its address is this machine's, and its clients' are not."""


def is_insider(request: HttpRequest) -> bool:
    """This machine, or whoever has METRICS_TOKEN."""
    return _has_token(request) or _from_here(request)


def may_see_health(request: HttpRequest) -> bool:
    """Insiders, the networks of HEALTH_NETWORKS, and everybody in the demo."""
    if settings.DEMO or is_insider(request):
        return True
    return not _passed_on(request) and within(request.META.get("REMOTE_ADDR", ""), settings.ENV.health_networks)


def _has_token(request: HttpRequest) -> bool:
    token: str = settings.ENV.metrics_token
    given = request.headers.get("Authorization", "")
    return bool(token) and secrets.compare_digest(given.encode(), f"Bearer {token}".encode())


def _from_here(request: HttpRequest) -> bool:
    if _passed_on(request) or any(name in request.META for name in FROM_PROXIES):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def _passed_on(request: HttpRequest) -> bool:
    """By a proxy that nobody has named: the address is its own, and whose request it is nobody knows."""
    return bool(getattr(request, "scope", {}).get(PASSED_ON))
