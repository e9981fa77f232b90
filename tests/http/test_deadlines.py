"""The seconds that a client has, on a clock that the test turns."""

from types import SimpleNamespace
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from server.operate.wire import BODY_S, HEADERS_S, LINGER_S, READ_S, Channel, Request
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class Transport(StringTransport):
    """Remembers how it was closed."""

    half_closed = aborted = False

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()


class Waiting(Request):
    """Asks nobody for the answer."""

    def process(self) -> None:
        pass


def connection() -> tuple[Any, Transport, Clock]:
    clock, transport, channel = Clock(), Transport(), Channel()
    nobody = SimpleNamespace(protocol_connected=lambda _: None, protocol_disconnected=lambda _: None)
    channel.callLater, channel.timeOut, channel.requestFactory = clock.callLater, 60, Waiting
    channel.factory = SimpleNamespace(server=nobody, log=lambda _: None)
    channel.makeConnection(transport)
    return channel, transport, clock


HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"


def drip(channel: Any, clock: Clock, data: bytes, every_s: float) -> None:
    for octet in data:
        channel.dataReceived(bytes([octet]))
        clock.advance(every_s)


def test_a_body_that_takes_its_time() -> None:
    channel, transport, clock = connection()
    channel.dataReceived(HEAD)
    drip(channel, clock, b"123456789", BODY_S / 10)
    assert transport.value() == b""
    clock.advance(BODY_S / 5)
    assert transport.value().startswith(b"HTTP/1.1 408 ")
    assert transport.half_closed
    assert not transport.aborted
    channel.dataReceived(b"0" * 1000)
    clock.advance(LINGER_S)
    assert transport.aborted


def test_headers_end_the_time_for_headers() -> None:
    channel, transport, clock = connection()
    clock.advance(HEADERS_S - 1)
    channel.dataReceived(HEAD)
    clock.advance(HEADERS_S)
    assert transport.value() == b""
    channel.dataReceived(b"0123456789")
    clock.advance(3600)
    assert (transport.value(), transport.aborted) == (b"", False), "while the answer is made nobody is hurried"


def test_the_next_request_has_its_own_time() -> None:
    channel, transport, clock = connection()
    channel.dataReceived(HEAD + b"0123456789")
    channel.requests[0].finish()
    before = len(transport.value())
    clock.advance(HEADERS_S * 3)
    assert not transport.disconnecting, "between requests a connection may wait longer"
    drip(channel, clock, b"GET / HT", HEADERS_S / 4)
    assert transport.value()[before:].startswith(b"HTTP/1.1 408 ")


def test_whoever_reads_nothing_is_cut_off() -> None:
    channel, transport, clock = connection()
    channel.dataReceived(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    channel.requests[0].write(b"x" * 1000)
    channel.requests[0].finish()
    clock.advance(READ_S - 1)
    assert not transport.aborted
    clock.advance(2)
    assert transport.aborted


def test_nothing_is_left_behind() -> None:
    for said in (b"", b"GET /", HEAD, HEAD + b"0123456789", b"nonsense\r\n"):
        channel, _, clock = connection()
        channel.dataReceived(said)
        channel.connectionLost(Failure(ConnectionDone()))
        assert not clock.getDelayedCalls(), said


def test_of_what_is_refused_nothing_is_kept() -> None:
    channel, transport, _ = connection()
    channel.dataReceived(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 100_000)
    for _ in range(50):
        channel.dataReceived(b"x" * 100_000)
    assert transport.value().startswith(b"HTTP/1.1 413 ")
    assert channel.requests[0].content is None
