"""What lets a browser carry a session: two HttpOnly cookies, one of them for one address only, and the CSRF cookie that
its scripts read."""

from django.conf import settings
from django.http import HttpResponse
from django.middleware.csrf import CsrfViewMiddleware, get_token
from rest_framework.request import Request
from rest_framework.response import Response

from server.people.authentication import COOKIE
from server.people.models import Session

REFRESH_COOKIE = "samsnakk_refresh" if settings.DEMO else "__Secure-samsnakk_refresh"
REFRESH_PATH = "/api/v1/sign-in/refresh"
"""Nothing else is ever sent the refresh token."""


def set_cookies(request: Request, response: Response, session: Session, token: str, refresh: str = "") -> None:
    """Each for as long as what is in it is good for. `request` gets a CSRF token with them."""
    secure = bool(settings.SESSION_COOKIE_SECURE)
    response.set_cookie(COOKIE, token, expires=session.expiry, httponly=True, samesite="Strict", secure=secure)
    if refresh:
        response.set_cookie(
            REFRESH_COOKIE,
            refresh,
            expires=session.idle_until,
            path=REFRESH_PATH,
            httponly=True,
            samesite="Strict",
            secure=secure,
        )
    plain = request._request  # noqa: SLF001 - Django's own request is what its CSRF code reads and marks
    get_token(plain)
    CsrfViewMiddleware(lambda _: HttpResponse()).process_response(plain, response)


def delete_cookies(response: Response) -> None:
    """On signing out."""
    response.delete_cookie(COOKIE, samesite="Strict")
    response.delete_cookie(REFRESH_COOKIE, path=REFRESH_PATH, samesite="Strict")
