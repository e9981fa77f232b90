"""The pages that somebody sees in the browser when a sign-in came to nothing: what happened, what to do, whom to phone.

No script, no picture, nothing from elsewhere, nothing of the person: the same bytes for everybody in a language.
"""

import base64
import hashlib
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from server.common.words import WORDS

STYLE = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:2rem auto;padding:0 1rem}a{font-weight:600}"
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'",
}

DO: dict[str, Any] = {
    "not_registered": gettext_lazy(
        "You have shown who you are, but no service has registered you here. No account was made. Ask those who help "
        "you, for instance your doctor or your team, to register you. Then sign in again."
    ),
    "no_account_here": gettext_lazy(
        "You have shown who you are, but you have no account for work here. Ask your leader, or whoever looks after "
        "this service where you work. If you are a patient, choose the way in for patients."
    ),
    "sign_in_cancelled": gettext_lazy("Go back and sign in again when you want to. Nothing has changed."),
    "sign_in_expired": gettext_lazy(
        "It took too long, was used already, or was begun on another device. Go back and begin again there."
    ),
    "sign_in_level": gettext_lazy(
        "Go back and sign in with BankID, Buypass or another way of the highest level. If you have none, ask your "
        "team: they can let you in when you meet."
    ),
    "sign_in_unavailable": gettext_lazy(
        "Try again in a little while. Whoever is signed in stays signed in. If you are a patient, your team can let "
        "you in with a code when you meet."
    ),
}
"""What to do about it, by code."""
ELSE = gettext_lazy("Go back and begin again. If it happens again, tell your team or whoever looks after this service.")


def failed(code: str, status: int, title: str) -> HttpResponse:
    """The page for a code; `title` is what happened, where the code has no words of its own."""
    page = format_html(
        '<!doctype html>\n<html lang="{lang}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="samsnakk-code" content="{code}">\n<title>{title}</title>\n<style>{style}</style>\n</head>\n'
        "<body>\n<h1>{title}</h1>\n<p>{do}</p>\n<p>{help}</p>\n"
        '<p><a href="tel:113">113</a> · <a href="tel:116117">116 117</a></p>\n{back}</body>\n</html>\n',
        lang=get_language() or "nb",
        code=code,
        title=WORDS.get(code, title),
        style=mark_safe(STYLE),  # noqa: S308 - ours
        do=DO.get(code, ELSE),
        help=_("Do you need help now? In danger of life, call 113. The out-of-hours doctor answers at 116 117."),
        back=_back(code),
    )
    return HttpResponse(page, status=status, headers=HEADERS, content_type="text/html; charset=utf-8")


def _back(code: str) -> SafeString:
    """To the app, which reads the code from the link. In a browser that has no such app it does nothing."""
    link = f"{settings.ENV.app_link}?error={code}"
    return format_html('<p><a href="{}">{}</a></p>\n', link, _("Back to the app"))
