"""Around each HTTP request: its id, its one log line, and the last net under every exception."""

import time
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from server.common.ids import new_id
from server.common.problems import InternalProblem, answer, to_problem

log = structlog.get_logger(__name__)


class RequestMiddleware:
    """Gives `request.request_id`, answers `X-Request-ID`, and logs one line without path arguments or query."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        request.request_id = request_id = str(new_id())  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        response = self.get_response(request)
        response.headers["X-Request-ID"] = request_id
        if "Cache-Control" not in response.headers and request.path.startswith("/api/"):
            response.headers["Cache-Control"] = "no-store"
        limit = getattr(request, "limit_shown", None)
        if limit is not None and "RateLimit" not in response.headers:
            for name, value in limit.headers().items():
                response.headers[name] = value
        match = request.resolver_match
        user = getattr(request, "acting_user_id", None)
        log.info(
            "request",
            method=request.method,
            route=match.route if match else "-",
            status=response.status_code,
            user=str(user) if user else None,
            ms=round((time.perf_counter() - started) * 1000, 1),
        )
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse:
        problem = to_problem(error)
        if problem is None:
            log.error("request_failed", exc_info=error)
            problem = InternalProblem()
        return answer(problem, request)
