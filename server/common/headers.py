"""What every answer tells a browser to refuse: scripts that are not ours, frames, guesses at types, other sites."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from server.common.errors import Forbidden
from server.common.origins import is_foreign
from server.common.problems import answer

NOTHING = "default-src 'none'; frame-ancestors 'none'"
"""For data: nothing in it is to be run or loaded."""
PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""For our few HTML pages: what this host itself serves, and nothing inline."""
PERMISSIONS = ", ".join(
    f"{one}=()"
    for one in (
        *("accelerometer", "autoplay", "bluetooth", "browsing-topics", "camera", "display-capture", "encrypted-media"),
        *("fullscreen", "geolocation", "gyroscope", "hid", "idle-detection", "local-fonts", "magnetometer", "midi"),
        *("microphone", "payment", "picture-in-picture", "screen-wake-lock", "serial", "usb", "web-share"),
        "xr-spatial-tracking",
    )
)
ALWAYS = {
    "Permissions-Policy": PERMISSIONS,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
HARD = {**ALWAYS, "Content-Security-Policy": NOTHING, "Cache-Control": "no-store"}
"""For answers that are given before Django sees the request."""


class HeadersMiddleware:
    """Sets them, unless a view has set its own; refuses what a page of another site sends."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        for name, value in ALWAYS.items():
            response.headers.setdefault(name, value)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        response.headers.setdefault("Content-Security-Policy", PAGE if is_page else NOTHING)
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: object, kwargs: object
    ) -> HttpResponseBase | None:
        """A browser says from which page a request comes, and cannot be made to lie. What is for help is not asked: it
        is opened by a key that no browser sends by itself."""
        if getattr(getattr(view, "cls", None), "for_help", False):
            return None
        if is_foreign(request.headers.get("Origin"), request.get_host()):
            return answer(Forbidden(code="foreign_origin"), request)
        return None
