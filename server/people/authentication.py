"""From a token to a session, in one statement (docs/decisions/0004-sessions.md)."""

import re
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from knox.crypto import hash_token
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.request import Request

from server.common.errors import Forbidden, Unauthenticated
from server.common.language import speak_to
from server.common.prepared import Prepared
from server.people.models import Session, User
from server.people.periods import DatabaseNow

COOKIE = "samsnakk_session" if settings.DEMO else "__Host-samsnakk_session"
REUSED = "refresh_reused"
"""Why a session ended whose tokens somebody had twice; its owner is told, on every device that still asks."""
SEEN_EVERY = timedelta(minutes=10)
TOKEN = re.compile(r"[0-9a-f]{64}\Z")
_BY_DIGEST = Prepared(lambda digest: Session.objects.in_full().filter(digest=digest))


def refusal_code(session: Session, at: datetime) -> str | None:
    """Why the session opens no door at `at`, or None when it does. Mirrors `SessionQuerySet.live`."""
    return refusal_after(session, session.expiry, at)


def refusal_after(session: Session, over: datetime, at: datetime) -> str | None:
    """The same for what is good until `over`: a token until it expires, a refresh token until the session is idle."""
    if session.ended_at is not None and session.ended_at <= at:
        return REUSED if session.end_reason == REUSED else "session_ended"
    if session.sign_in == "demo" and not settings.DEMO:  # made before this installation became a real one
        return "session_ended"
    if over <= at:
        return "session_expired"
    if not session.user.is_active:
        return "account_deactivated"
    if any(one is not None and not one.holds(at) for one in (session.engagement, session.officer)):
        return "engagement_ended"
    return None


def authenticate_token(token: str) -> Session:
    """The live session of a token, with user, patient, engagement, unit and controller; one statement.

    Raises Unauthenticated with code `unauthenticated`, `session_ended`, `refresh_reused`, `session_expired`,
    `account_deactivated` or `engagement_ended`. What is not shaped like a token costs no statement.
    """
    if not TOKEN.match(token):
        raise Unauthenticated
    session = find_session(digest=hash_token(token))
    if session is None:
        raise Unauthenticated
    code = refusal_code(session, session.read_at)
    if code is not None:
        raise Unauthenticated(code=code)
    return session


def find_session(*, digest: str) -> Session | None:
    """The session with this digest, whatever its state, read through `in_full`."""
    return _BY_DIGEST.first(digest)


def live_sessions(sids: list[UUID]) -> dict[UUID, Session]:
    """Those of `sids` that still open a door, in full, in one statement: the gateway asks at each heartbeat (law 4)."""
    return {one.sid: one for one in Session.objects.in_full().live().filter(sid__in=sids)}


class SessionTokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>`, or the browser's HttpOnly cookie with CSRF enforced.

    An `Authorization` header of another scheme (an alert key) is left to others; the cookie is then not looked at.
    """

    def authenticate(self, request: Request) -> tuple[User, Session] | None:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if header:
            scheme, _, token = header.partition(" ")
            if scheme.lower() != "bearer":
                return None
            session = authenticate_token(token.strip())
        else:
            cookie = request.COOKIES.get(COOKIE)
            if not cookie:
                return None
            session = authenticate_token(cookie)
            enforce_csrf(request)
        note_seen(session)
        request._request.acting_user_id = session.user_id  # type: ignore[attr-defined] # noqa: SLF001 - for the log line
        speak_to(request._request, session.user.language)  # noqa: SLF001 - what the language was chosen for
        return session.user, session

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def enforce_csrf(request: Request) -> None:
    """Refuse a cookie-borne request that another site may have made.

    Raises Forbidden `csrf_failed`.
    """
    check = CSRFCheck(lambda _: HttpResponse())
    plain: HttpRequest = request._request  # noqa: SLF001 - as DRF's own SessionAuthentication does
    check.process_request(plain)
    if check.process_view(plain, lambda _: HttpResponse(), (), {}):
        raise Forbidden(code="csrf_failed")


def note_seen(session: Session) -> None:
    """Remember that the session is in use, at most once in ten minutes, and when tokens are used for the first time:
    then their answer has come (`actions/refresh.py`). One statement when it is due. By the token's digest: what was
    under way with the old token while it was refreshed says nothing of the new one."""
    if session.read_at - session.last_seen_at >= SEEN_EVERY or not is_answered(session):
        Session.objects.filter(digest=session.digest).update(last_seen_at=DatabaseNow())


def is_answered(session: Session) -> bool:
    """Whether the present tokens have been used since they were given."""
    return session.rotated_at is None or session.last_seen_at > session.rotated_at


class SessionTokenScheme(OpenApiAuthenticationExtension):
    """How OpenAPI shows it."""

    target_class = SessionTokenAuthentication
    name = ["bearer", "cookie"]

    def get_security_requirement(self, auto_schema: object) -> list[dict[str, list[str]]]:
        return [{name: []} for name in self.name]  # either; one dictionary would ask for both

    def get_security_definition(self, auto_schema: object) -> list[dict[str, str]]:
        return [
            {"type": "http", "scheme": "bearer", "description": "The session token."},
            {
                "type": "apiKey",
                "in": "cookie",
                "name": COOKIE,
                "description": "Browsers; POST, PUT, PATCH and DELETE also need the `X-CSRFToken` header.",
            },
        ]
