"""Talking to a provider: little patience, no redirects, no cookies, small answers, and only so many at once.

An ordinary client's timeout counts from each byte: whoever drips would hold a thread for ever. Here one limit holds for
all of it, by shutting the socket.
"""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx
from django.db import connection

CONNECT_S, READ_S, WHOLE_S = 3.0, 5.0, 8.0
"""How long a provider is waited for: until it takes a connection, for each piece, and for all of it."""
MOST_BYTES = 256 * 1024
AT_ONCE = 8
"""Requests to one provider by one process; a provider that hangs takes no more of our threads than these."""
QUEUE_S = 1.0


class Away(Exception):
    """No usable answer now; the text is a word for the log: `busy`, `unreachable`, `slow`, `large`, `malformed`, …"""


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON object that the provider answered, whatever the status. Header names are in small letters."""

    status: int
    said: dict[str, Any]
    headers: Mapping[str, str]

    @property
    def error(self) -> str:
        """The OAuth error code; nothing that is not shaped like one."""
        code = self.said.get("error")
        usable = isinstance(code, str) and len(code) <= 60 and code.replace("_", "").isalnum() and code.isascii()
        return str(code) if usable else ""


def get(address: str, *, proxy: str | None = None) -> Answer:
    """Raises Away."""
    return _ask("GET", address, {}, None, proxy)


def post(address: str, form: Mapping[str, str], *, headers: Mapping[str, str], proxy: str | None = None) -> Answer:
    """Raises Away."""
    return _ask("POST", address, headers, form, proxy)


def _ask(
    method: str, address: str, headers: Mapping[str, str], form: Mapping[str, str] | None, proxy: str | None
) -> Answer:
    with _turn(urlsplit(address).netloc):
        limit = _Limit()
        try:
            with limit, _client(proxy) as client:
                request = client.build_request(
                    method,
                    address,
                    headers={"Accept": "application/json", "Accept-Encoding": "identity", **headers},
                    data=form,
                    extensions={"trace": limit.trace},
                )
                response = client.send(request, stream=True)
                body = _read(response)
        except httpx.TimeoutException:
            raise Away("slow") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError):
            raise Away("slow" if limit.over else "unreachable") from None
        if limit.over:
            raise Away("slow")
    return Answer(response.status_code, _object(body, response.status_code), response.headers)


def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    for piece in response.iter_bytes(16 * 1024):
        body += piece
        if len(body) > MOST_BYTES:
            raise Away("large")
    return bytes(body)


def _object(body: bytes, status: int) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict):
        return said
    if status >= 400:
        return {}
    raise Away("malformed")


def let_go() -> None:
    """Put this thread's connection back into the pool: a provider that hangs holds none of ours."""
    if not connection.in_atomic_block:
        connection.close()


@contextlib.contextmanager
def _turn(host: str) -> Iterator[None]:
    let_go()
    slots = _slots(host)
    if not slots.acquire(timeout=QUEUE_S):
        raise Away("busy")
    try:
        yield
    finally:
        slots.release()


@cache
def _slots(host: str) -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(AT_ONCE)


def _client(proxy: str | None) -> httpx.Client:
    return httpx.Client(
        timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
        follow_redirects=False,
        trust_env=False,
        verify=_tls(),
        proxy=proxy,
    )


@cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the certificates that are trusted takes longer than asking."""
    return ssl.create_default_context()


class _Limit:
    """Shuts the socket when the time for the whole request is up, whatever the thread is waiting for."""

    def __init__(self) -> None:
        self.over = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(WHOLE_S, self._shut)
        self._timer.daemon = True
        self._began = time.monotonic()

    def __enter__(self) -> "_Limit":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self.over = self.over or time.monotonic() - self._began > WHOLE_S

    def trace(self, event: str, said: Mapping[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = said["return_value"].get_extra_info("socket")
            if self.over:
                self._shut()

    def _shut(self) -> None:
        self.over = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # not TLS's own, which would wait
