"""Everything that exists, found in the code itself, and what of it nobody has classified."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.management import get_commands
from django.urls import URLPattern, URLResolver, get_resolver

from server.asgi import application
from server.gateway import frames
from server.operate.loops import LOOPS
from tests.exposure.paths import WHERE
from tests.gateway.test_documents import server_frames, strings_in_cases, types_of

API = "api/v1/"


def routes(patterns: Iterable[URLPattern | URLResolver] | None = None, prefix: str = "") -> set[str]:
    """Every address with every method it answers: `GET rooms/{room_id}`, without `/api/v1/`; others begin with `/`. A
    view that is a plain function answers `ANY`. HEAD and OPTIONS go with every address, and are walked so."""
    found: set[str] = set()
    for one in get_resolver().url_patterns if patterns is None else patterns:
        path = prefix + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(one.pattern))
        if isinstance(one, URLResolver):
            found |= routes(one.url_patterns, path)
        else:
            name = path.removeprefix(API) if path.startswith(API) else f"/{path}"
            found |= {f"{method} {name}" for method in methods(one.callback)}
    return found


def methods(view: Any) -> set[str]:
    """The methods a view answers, but for HEAD and OPTIONS."""
    actions = getattr(view, "actions", None)  # of a viewset
    if actions:
        return {name.upper() for name in actions} - {"HEAD", "OPTIONS"}
    kind = getattr(view, "cls", None) or getattr(view, "view_class", None)
    if kind is None:
        return {"ANY"}
    return {name.upper() for name in kind.http_method_names if hasattr(kind, name)} - {"HEAD", "OPTIONS"}


def said() -> set[str]:
    """Frames that a client may send: what the code takes and what the document names."""
    return strings_in_cases(frames.parse) | types_of("say")


def heard() -> set[str]:
    """Frames that the server sends."""
    return server_frames() | types_of("hear")


def sockets() -> set[str]:
    """Patterns of WebSocket addresses; and that nothing else is served than these and HTTP."""
    kinds = application.application.application_mapping  # behind the doors
    assert set(kinds) == {"http", "websocket", "lifespan"}, f"what is this? {sorted(kinds)}"
    return {str(one.pattern) for one in kinds["websocket"].routes}


def commands() -> set[str]:
    return set(get_commands())


def loops() -> set[str]:
    return {loop.name for loop in LOOPS}


def faults(found: set[str], table: Mapping[str, object], name: str) -> list[str]:
    """What stands in one of the two and not in the other, in words that say what to do."""
    new = [
        f"{one} is not classified: add it to {name} in {WHERE}, as Content (how to ask for it) or as Plain (why)"
        for one in sorted(found - set(table))
    ]
    return new + [f"{one} is in {name} in {WHERE} and exists no more" for one in sorted(set(table) - found)]
