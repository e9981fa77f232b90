"""Each request is counted once, for whoever sends it: what comes through, and what is turned away at the door.

Who asks is known only after a look into the database. So what is refused before it could be counted is counted when it
is refused, and before the refusal goes on record. An address with nothing left is remembered for a moment: its requests
are turned away before anybody looks who it is. What is for help is never counted and never turned away.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from server.common.errors import Problem, TooMany
from server.common.limiting import spend_each
from server.common.problems import answer
from server.common.proxies import address_key

CLOSED_S = 0.5
"""How long an address with nothing left is not asked about again."""
AT_MOST = 10_000
"""Addresses that are remembered; more are forgotten, and asked about."""
SAFE = ("GET", "HEAD", "OPTIONS")


class Closed:
    """Addresses with nothing left, in this process."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[float, TooMany]] = {}

    def note(self, address: str, refusal: TooMany) -> None:
        if len(self._until) >= AT_MOST:
            self._until = {}
        self._until[address] = (time.monotonic() + CLOSED_S, refusal)

    def check(self, address: str) -> None:
        """Raises TooMany."""
        found = self._until.get(address)
        if found is None:
            return
        until, refusal = found
        if time.monotonic() < until:
            raise TooMany(refusal.retry_after_s, limits=refusal.limits)
        self._until.pop(address, None)

    def forget(self) -> None:
        self._until = {}


CLOSED = Closed()


def ensure_open(request: HttpRequest) -> None:
    """Before anybody looks who asks. Raises TooMany; costs nothing."""
    CLOSED.check(address_of(request))


def count(
    request: HttpRequest, *, user_id: UUID | None, sid: UUID | None, more: Sequence[tuple[str, str]] = ()
) -> None:
    """Count this request, once: by address, session, person, and by `more`. Raises TooMany. What is left goes out with
    the answer (`server/common/middleware.py`)."""
    if hasattr(request, "limit_shown"):
        return
    request.limit_shown = None  # type: ignore[attr-defined] # counted, whatever comes of it
    address = address_of(request)
    spent = [
        ("address", address),
        *([("device", str(sid))] if sid else []),
        (kind_of(request), str(user_id or address)),
    ]
    try:
        request.limit_shown = spend_each([*spent, *more])  # type: ignore[attr-defined]
    except TooMany as refusal:
        if refusal.limits.get("RateLimit", "").startswith('"address"'):
            CLOSED.note(address, refusal)
        raise


def kind_of(request: HttpRequest) -> str:
    return "look" if request.method in SAFE else "act"


def count_refused(problem: Problem, request: Any, view: Any) -> Problem:
    """The same for what DRF refused before it came to its limits: no session, or one that may not. `problem`, or that
    there were too many. Not what is for help, and not what counts its own guesses and asks for no session."""
    if request is None or view is None or getattr(view, "for_help", False):
        return problem
    if not view.throttle_classes and not view.authentication_classes:
        return problem
    known = vars(request)  # asked for, it would look anew who it is
    try:
        user_id = getattr(known.get("_user"), "id", None)
        count(request._request, user_id=user_id, sid=getattr(known.get("_auth"), "sid", None))  # noqa: SLF001
    except TooMany as refusal:
        return refusal
    return problem


class DoorMiddleware:
    """Turns away addresses with nothing left, before anybody looks who asks."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: object, kwargs: object
    ) -> HttpResponseBase | None:
        if not getattr(getattr(view, "cls", None), "throttle_classes", ()):
            return None
        try:
            ensure_open(request)
        except TooMany as refusal:
            return answer(refusal, request)
        return None


def address_of(request: HttpRequest) -> str:
    return address_key(request.META.get("REMOTE_ADDR", ""))
