"""What lets a browser carry a session: two HttpOnly cookies, and the CSRF cookie that its scripts read.

Their names begin with `__Host-`: no other host of the domain can set them. Browsers then ask for the path `/`, so the
refresh token goes with every request here, as the token does. A path of its own would keep it from nobody, and let
others plant theirs: the next refresh would sign the browser in as somebody else."""

from django.conf import settings
from django.http import HttpResponse
from django.middleware.csrf import CsrfViewMiddleware, get_token
from rest_framework.request import Request
from rest_framework.response import Response

from server.people.authentication import COOKIE
from server.people.models import Session

REFRESH_COOKIE = "samsnakk_refresh" if settings.DEMO else "__Host-samsnakk_refresh"


def set_cookies(request: Request, response: Response, session: Session, token: str, refresh: str = "") -> None:
    """Each for as long as what is in it is good for. `request` gets a CSRF token with them."""
    secure = bool(settings.SESSION_COOKIE_SECURE)
    response.set_cookie(COOKIE, token, expires=session.expiry, httponly=True, samesite="Strict", secure=secure)
    if refresh:
        response.set_cookie(
            REFRESH_COOKIE,
            refresh,
            expires=session.idle_until,
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
    response.delete_cookie(REFRESH_COOKIE, samesite="Strict")
