"""Answers that are files, not JSON: they come as they are, whatever `Accept` says, and a client may ask if they have
changed."""

import hashlib
from collections.abc import Iterable
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class AsItIs(BaseContentNegotiation):
    """For views that answer one kind of file. Refusals are problem+json all the same."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        return next(iter(parsers))

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, str(first.media_type)


def unless_known(request: Request, body: bytes, *, content_type: str, cache: str) -> HttpResponseBase:
    """The file with its ETag, or 304 to whoever has it already (RFC 9110 section 13). `cache` is `Cache-Control`."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    whole = HttpResponse(body, content_type=content_type, headers={"ETag": tag, "Cache-Control": cache})
    plain: Any = request
    return get_conditional_response(plain, etag=tag, response=whole) or whole
