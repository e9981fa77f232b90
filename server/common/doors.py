"""Around the whole ASGI application, whatever serves it: whose word counts, how much is read, which pages come in."""

from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from django.utils import translation

from server.common.headers import HARD
from server.common.ids import new_id
from server.common.language import asked_for
from server.common.origins import is_foreign, own_host
from server.common.problems import MEDIA_TYPE, octets, plain_problem
from server.common.proxies import believed

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class TooLarge(Exception):
    """The body is longer than anything that is taken here."""


class Doors:
    """Passes on what may come in."""

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._request(believed(scope), receive, send)
        elif scope["type"] == "websocket":
            await self._socket(believed(scope), receive, send)
        else:
            await self.application(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await _read(scope, receive)
        except TooLarge:
            await _refuse(scope, send, 413, "too_large")
            return
        if body is None:  # gone before it was all said
            return
        if body and _header(scope, b"content-length") is None:  # it came in chunks: what reads it asks how long it is
            length = (b"content-length", str(len(body)).encode())
            scope = {**scope, "headers": [*scope["headers"], length]}
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return whole.pop() if whole else await receive()

        await self.application(scope, again, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A page of another site, or a host that is not ours, is refused before the upgrade. Without an Origin it is an
        app, which needs a token: a cookie is taken with an Origin only (`server/gateway/app.py`)."""
        origin, host = _header(scope, b"origin"), _header(scope, b"host") or ""
        if own_host(host) and not is_foreign(origin, host):
            await self.application(scope, receive, send)
        elif (await receive())["type"] == "websocket.connect":
            await send({"type": "websocket.close"})


async def _read(scope: Scope, receive: Receive) -> bytes | None:
    """All that the client says; None when it goes away meanwhile. Raises TooLarge as soon as that is known."""
    most: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    said = _header(scope, b"content-length") or ""
    if said.isdecimal() and (len(said) > 15 or int(said) > most):
        raise TooLarge
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(part := message.get("body", b""))
        size += len(part)
        if size > most:
            raise TooLarge
        if not message.get("more_body", False):
            return b"".join(parts)


def _header(scope: Scope, name: bytes) -> str | None:
    """The value of a header; None when it is absent. One that is said twice is not what a browser sends."""
    found = [value for given, value in scope["headers"] if given.lower() == name]
    return b",".join(found).decode("latin1") if found else None


async def _refuse(scope: Scope, send: Send, status: int, code: str) -> None:
    headers, body = refusal(status, code, language=_header(scope, b"accept-language") or "")
    head = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": [*head, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})


def refusal(status: int, code: str, *, language: str = "") -> tuple[dict[str, str], bytes]:
    """Headers and body of an answer that is given before Django sees the request."""
    request_id = str(new_id())
    with translation.override(asked_for(language) or settings.LANGUAGE_CODE):
        body = octets(plain_problem(status, code), request_id)
    own = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body)), "X-Request-ID": request_id}
    return {**own, **HARD}, body
