"""Who comes in: an administrator, in a session of ours, who has just shown a passkey. To everybody else nothing is
there."""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect, ensure_csrf_cookie

from server.audit.actions import record
from server.audit.entry import Entry
from server.audit.refusals import record_refusal
from server.common.counting import count, ensure_open
from server.common.errors import Forbidden, NotFound, Problem, Refusal, Unauthenticated
from server.common.language import speak_to
from server.people import step_up
from server.people.actors import Acting, acting_in
from server.people.authentication import COOKIE, authenticate_token, note_seen

VIEWED = "admin.viewed"
HEADERS = {"Referrer-Policy": "same-origin", "Cache-Control": "no-store"}
"""A page that sends a form has to say where it comes from: with `no-referrer` a browser names no origin, and its own
forms would be refused as another site's."""
HOW_SHOWN = ("o", "p", "e", "all", "_changelist_filters")
"""Of a page's address: in which order of its columns, which part of it, and where it leads back to."""
View = Callable[..., HttpResponseBase]


def known_administrator(request: HttpRequest) -> Acting:
    """Who acts, by the session's cookie.

    Counted like any other request, before anything goes on record. Raises NotFound for everybody who does not act as
    administrator now, with or without a session; TooMany.
    """
    ensure_open(request)
    try:
        session = authenticate_token(request.COOKIES.get(COOKIE, ""))
    except Unauthenticated:
        count(request, user_id=None, sid=None)
        raise NotFound from None
    count(request, user_id=session.user_id, sid=session.sid)
    acting = acting_in(session)
    note_seen(session)
    request.acting_user_id = session.user_id  # type: ignore[attr-defined]
    if acting.kind != "administrator":
        _refuse(acting, NotFound(refusal=Refusal(VIEWED, "not_administrator")))
    speak_to(request, acting.user.language)
    return acting


def proved(acting: Acting) -> bool:
    """Whether they have proved a moment ago who they are: outside demo mode, by a passkey."""
    by_passkey = step_up.proved_by_passkey(acting) or (settings.DEMO and _demo(acting))
    return by_passkey and step_up.fresh(acting)


def guarded(
    view: View,
    refusal: Callable[[HttpRequest, Problem], HttpResponseBase],
    proof: Callable[..., HttpResponseBase],
    filters: Mapping[str, str],
) -> View:
    """A page for administrators: each time on record before it is shown (law 1), with what it was filtered by.
    `refusal` shows what a rule said; `proof` asks for a passkey, and shows nothing else. `filters`: by what the address
    may filter, and how that is called on record; for an address that says anything else nothing is there."""
    protected, asking = csrf_protect(never_cache(view)), ensure_csrf_cookie(never_cache(proof))

    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        acting = known_administrator(request)
        request.user = acting.user
        request.acting = acting  # type: ignore[attr-defined]
        if not proved(acting):
            stale = Forbidden(code="step_up_needed", refusal=Refusal(VIEWED, "step_up_needed"))
            if request.method != "GET":
                _refuse(acting, stale)
            _note(acting, stale)
            return _with_headers(asking(request))
        if not set(request.GET) <= {*filters, *HOW_SHOWN}:
            _refuse(acting, NotFound(refusal=Refusal(VIEWED, "unknown_filter")))
        by = sorted({filters[name] for name in request.GET if name in filters})
        with transaction.atomic():
            detail = {"page": _name(request)} | ({"filters": by} if by else {})
            record(Entry(VIEWED, acting.actor, object_id=_object(kwargs), detail=detail))
        try:
            response = protected(request, *args, **kwargs)
        except NotFound:
            raise
        except Problem as problem:  # a rule of a verb: nothing was done
            if problem.refusal is not None:
                record_refusal(acting.actor, problem.refusal)
            response = refusal(request, problem)
        return _with_headers(response)

    return page


def _with_headers(response: HttpResponseBase) -> HttpResponseBase:
    for name, value in HEADERS.items():
        response.headers[name] = value
    return response


def _refuse(acting: Acting, problem: Problem) -> NoReturn:
    _note(acting, problem)
    raise problem


def _note(acting: Acting, problem: Problem) -> None:
    assert problem.refusal is not None, "refusals here are on record"
    record_refusal(acting.actor, problem.refusal)


def _demo(acting: Acting) -> bool:
    return acting.session is not None and acting.session.sign_in == "demo"


def _name(request: HttpRequest) -> str:
    return request.resolver_match.url_name or "" if request.resolver_match is not None else ""


def _object(kwargs: dict[str, Any]) -> UUID | None:
    """What a page is about, where that is one thing."""
    try:
        return UUID(str(kwargs.get("object_id")))
    except ValueError:
        return None
