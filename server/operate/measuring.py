"""Requests and loops of this process, in numbers: how many, how long, what came of them. Never who, or about what."""

import time
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from prometheus_client import Counter, Histogram

from server.audit.metrics import REGISTRY

REQUESTS = Histogram(
    "samsnakk_request_seconds",
    "Requests that this process has answered, by the first word of their route and the kind of status.",
    ["area", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
LOOPS_FAILED = Counter(
    "samsnakk_loop_failures", "Rounds of this process's loops that ended with a fault.", ["loop"], registry=REGISTRY
)
PREFIX = "api/v1/"


class MeasureMiddleware:
    """Around all others."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        begun = time.perf_counter()
        response = self.get_response(request)
        status = f"{response.status_code // 100}xx"
        REQUESTS.labels(area_of(request), status).observe(time.perf_counter() - begun)
        return response


def area_of(request: HttpRequest) -> str:
    """A word of the route's own, of which there are few; «-» where nothing is."""
    match = request.resolver_match
    if match is None:
        return "-"
    word = match.route.removeprefix(PREFIX).lstrip("^").split("/")[0]
    return word if word.replace("-", "").replace(".", "").isalpha() else "-"
