"""In which language an answer is given: the one that the request asks for, else the person's own, else bokmål."""

from django.conf import settings
from django.http import HttpRequest
from django.middleware.locale import LocaleMiddleware
from django.utils import translation
from django.utils.translation.trans_real import parse_accept_lang_header

NORWEGIAN = {"no": "nb"}
"""Some browsers name the macro-language."""


def asked_for(header: str) -> str | None:
    """The first language of ours in an `Accept-Language` header, by its weights; None when it names none."""
    offered = {code for code, _ in settings.LANGUAGES}
    for tag, weight in parse_accept_lang_header(header.lower()):
        code = tag.split("-")[0]
        code = NORWEGIAN.get(code, code)
        if code in offered and weight > 0:
            return code
    return None


def speak_to(request: HttpRequest, own: str) -> None:
    """Answer a signed-in person in their own language, unless the request asks for another."""
    if asked_for(request.META.get("HTTP_ACCEPT_LANGUAGE", "")) is None:
        translation.activate(own)


class LanguageMiddleware(LocaleMiddleware):
    """Django's, without cookies and paths that choose a language. The person is known later: see `speak_to`."""

    def process_request(self, request: HttpRequest) -> None:
        header = request.META.get("HTTP_ACCEPT_LANGUAGE", "")
        translation.activate(asked_for(header) or settings.LANGUAGE_CODE)
