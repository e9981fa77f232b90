"""One POST over HTTP/1.1: to addresses that are looked up and judged first, within one limit for all of it, with no
redirects, no proxies and no cookies. The answer's body is not read.

An ordinary client's timeout counts from each byte, so a server that drips holds a thread for ever; it also looks the
name up itself, after we have judged it.
"""

import contextlib
import functools
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.notify.endpoints import Endpoint, addresses_of
from server.notify.names import PUSHING, Names, SocketAddress


class Fault(Exception):
    """No answer; the text is one of `decide.Fault`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`retry_after` as the server said it."""

    status: int
    retry_after: str | None


class Limit:
    """Shuts the socket that is in use when the time is up, whatever the thread is waiting for."""

    def __init__(self, limit_s: float) -> None:
        self._ends = time.monotonic() + limit_s
        self._socket: socket.socket | None = None
        self.over = False
        self._timer = threading.Timer(limit_s, self._shut)
        self._timer.daemon = True

    def __enter__(self) -> "Limit":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    @property
    def left_s(self) -> float:
        return max(0.05, self._ends - time.monotonic())

    def watch(self, used: socket.socket) -> None:
        self._socket = used
        if self.over:
            self._shut()

    def _shut(self) -> None:
        self.over = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # not TLS's own, which would wait


@functools.cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the certificates that are trusted takes longer than sending."""
    return ssl.create_default_context()


class _Connection(http.client.HTTPConnection):
    """To one of the given addresses and to no other; TLS is checked against the name."""

    def __init__(self, to: Endpoint, addresses: Sequence[tuple[int, SocketAddress]], limit: Limit) -> None:
        super().__init__(to.host, to.port)
        self._to, self._addresses, self._limit = to, addresses, limit

    def connect(self) -> None:
        self.sock = self._first()
        if self._to.scheme == "https":
            self.sock = _tls().wrap_socket(self.sock, server_hostname=self._to.host, do_handshake_on_connect=False)
            self._limit.watch(self.sock)
            self.sock.do_handshake()

    def _first(self) -> socket.socket:
        failure: OSError = ConnectionError()
        for family, address in self._addresses[:4]:
            used = socket.socket(family, socket.SOCK_STREAM)
            used.settimeout(self._limit.left_s)
            self._limit.watch(used)
            try:
                used.connect(address)
            except OSError as error:
                used.close()
                failure = error
            else:
                return used
        raise failure


def post(to: Endpoint, *, headers: Mapping[str, str], body: bytes, limit_s: float, names: Names = PUSHING) -> Answer:
    """Send it and return the status. Raises Fault, and Forbidden for an address that we do not connect to."""
    with Limit(limit_s) as limit:
        try:
            addresses = addresses_of(to, limit_s / 3, names)
        except OSError as error:  # TimeoutError too
            raise Fault(_named(error, connected=False, over=limit.over)) from None
        connection, connected = _Connection(to, addresses, limit), False
        try:
            connection.connect()
            connected = True
            connection.request("POST", to.target, body=body, headers=dict(headers))
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheader("Retry-After"))
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Fault(_named(error, connected=connected, over=limit.over)) from None
        finally:
            connection.close()


def _named(error: Exception, *, connected: bool, over: bool) -> str:
    if over or isinstance(error, TimeoutError):
        return "timeout"
    if not connected:
        return "unreachable"  # nothing was sent; a certificate that is not theirs, too
    return "reset" if isinstance(error, OSError) else "bad_answer"
