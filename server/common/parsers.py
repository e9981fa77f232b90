"""JSON as it arrives from outside: text that PostgreSQL or a client could not hold is refused here, once for all."""

import codecs
import json
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

MAX_DEPTH = 20


class Unfit(ValueError):
    """The text is not JSON, or holds what cannot be stored: NUL, lone surrogates, NaN, absurd depth."""


def _no_constant(_: str) -> Any:
    raise Unfit


_decode = json.JSONDecoder(parse_constant=_no_constant).decode  # made once: it is used for every frame


def loads(text: str) -> Any:
    """Parse JSON strictly.

    Raises Unfit, whose message never quotes the text.
    """
    try:
        value = _decode(text)
    except (ValueError, RecursionError):
        raise Unfit("not JSON") from None
    deep = text.count("[") + text.count("{") > MAX_DEPTH  # at most: what parses may still be too deep to write again
    if deep or "\\u" in text or "\x00" in text or not text.isascii():
        _check(value, 0)
    return value


def _check(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise Unfit("nested too deeply")
    if isinstance(value, str):
        if "\x00" in value:
            raise Unfit("NUL")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unfit("lone surrogate") from None
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key, depth + 1)
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)


class StrictJSONParser(BaseParser):
    """The API's only parser."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        raw = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(raw) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise ParseError(code="too_large")
        if not raw.strip():
            return {}
        try:
            return loads(codecs.decode(raw, "utf-8"))
        except (Unfit, UnicodeDecodeError):
            raise ParseError(code="malformed") from None
