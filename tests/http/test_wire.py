"""Raw octets against a real server: how many, how many headers, and how slowly."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from server.operate import wire
from tests.gateway.servers import Server, site
from tests.support.served import once

pytestmark = [once, pytest.mark.django_db]

MOST = 1024 * 1024


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[Server]:
    with site(LOG_LEVEL="DEBUG") as here, here.server() as one:
        yield one


@contextlib.contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])), timeout=60) as made:
        yield made


def answered(made: socket.socket) -> tuple[int, dict[str, str], Any]:
    """Status, headers and document of the next answer; the connection may be closed after it."""
    said = b""
    while b"\r\n\r\n" not in said:
        more = made.recv(65536)
        assert more, said
        said += more
    head, _, body = said.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin1").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += made.recv(65536)
    return int(first.split()[1]), headers, json.loads(body) if body else None


def refused(made: socket.socket, status: int, code: str) -> dict[str, str]:
    found, headers, body = answered(made)
    assert (found, body["status"], body["code"]) == (status, status, code)
    assert headers["content-type"] == "application/problem+json"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-request-id"] == body["request_id"]
    assert "daphne" not in json.dumps([headers, body]).lower()
    return headers


def head(more: str = "", method: str = "POST", path: str = "/api/v1/demo/sign-in") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{more}".encode()


def still_serves(server: Server) -> None:
    with connected(server) as made:
        made.sendall(head(method="GET", path="/health/live") + b"\r\n")
        assert answered(made)[0] == 200


def test_a_body_that_says_how_long_it_is_is_refused_before_it_comes(server: Server) -> None:
    with connected(server) as made:
        made.sendall(head(f"Content-Length: {MOST + 1}\r\n\r\n"))
        assert refused(made, 413, "too_large")["connection"] == "close"
        assert made.recv(10) == b"", "and closed"
    with connected(server) as made:
        made.sendall(head(f"Content-Length: {10**30}\r\nExpect: 100-continue\r\n\r\n"))
        refused(made, 413, "too_large")


def test_a_body_in_chunks_is_counted_as_it_comes(server: Server) -> None:
    with connected(server) as made:
        made.sendall(head("Transfer-Encoding: chunked\r\n\r\n"))
        chunk = b"%x\r\n" % 65536 + b" " * 65536 + b"\r\n"
        for _ in range(16):
            made.sendall(chunk)
        made.settimeout(0.3)
        with pytest.raises(TimeoutError):
            made.recv(1)  # a megabyte may come
        made.settimeout(60)
        made.sendall(chunk)  # and it never ends
        refused(made, 413, "too_large")


def test_as_much_as_is_taken(server: Server) -> None:
    body = b'{"persona": "kari"}'.ljust(MOST)
    for how in (f"Content-Length: {MOST}\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"):
        with connected(server) as made:
            said = body if "Length" in how else b"%x\r\n" % MOST + body + b"\r\n0\r\n\r\n"
            made.sendall(head(how) + said)
            assert answered(made)[0] == 200, how


def test_what_comes_after_a_refusal_is_no_request(server: Server) -> None:
    with connected(server) as made:
        made.sendall(head(f"Content-Length: {MOST * 2}\r\n\r\n") + head("\r\n", "GET", "/health/live") * 3)
        refused(made, 413, "too_large")
        assert made.recv(10) == b""


@pytest.mark.parametrize(
    "more",
    [
        pytest.param("".join(f"X-{n}: 1\r\n" for n in range(wire.MOST_HEADERS + 1)), id="many"),
        pytest.param("".join(f"X-{n}: {'a' * 1000}\r\n" for n in range(20)), id="long together"),
        pytest.param(f"X-A: {'a' * 20_000}\r\n", id="one long"),
        pytest.param(f"X-A: {'a' * 40_000}", id="one without end"),
    ],
)
def test_headers(server: Server, more: str) -> None:
    with connected(server) as made:
        made.sendall(head(more + "\r\n", "GET", "/health/live"))
        refused(made, 431, "headers_too_large")


def test_an_address_without_end(server: Server) -> None:
    with connected(server) as made:
        made.sendall(b"GET /" + b"a" * 20_000)
        refused(made, 431, "headers_too_large")


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"nonsense\r\n\r\n", id="no request line"),
        pytest.param(head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), id="two lengths"),
        pytest.param(head("Content-Length: 5\r\nContent-Length: 6\r\n\r\n"), id="one length twice"),
        pytest.param(head("Content-Length: -5\r\n\r\n"), id="less than nothing"),
        pytest.param(head("Transfer-Encoding: gzip\r\n\r\n"), id="unknown coding"),
        pytest.param(head("Transfer-Encoding: chunked\r\n\r\nzz\r\n"), id="no chunk"),
        pytest.param(head("No colon\r\n\r\n"), id="no header"),
        pytest.param(head("Bad name: 1\r\n\r\n"), id="no name"),
        pytest.param(head("X-A: a\x0bb\r\n\r\n"), id="no value"),
        pytest.param("GET /æ HTTP/1.1\r\nHost: a\r\n\r\n".encode(), id="no address"),
    ],
)
def test_what_is_no_request(server: Server, said: bytes) -> None:
    with connected(server) as made:
        made.sendall(said)
        refused(made, 400, "malformed")
    still_serves(server)


def test_headers_that_take_their_time(server: Server) -> None:
    """A byte now and then keeps nothing open: Twisted alone would wait for ever."""
    begun = time.monotonic()
    with connected(server) as made, connected(server) as silent:
        made.sendall(b"GET /health/live HTTP/1.1\r\n")
        made.settimeout(0.5)
        said = b""
        while not said and time.monotonic() - begun < 3 * wire.HEADERS_S:
            with contextlib.suppress(TimeoutError):
                said = made.recv(1, socket.MSG_PEEK)
            if not said:
                made.sendall(b"X-A: 1\r\n")
        made.settimeout(60)
        refused(made, 408, "too_slow")
        assert wire.HEADERS_S - 1 < time.monotonic() - begun < wire.HEADERS_S + 5
        silent.settimeout(20)
        assert silent.recv(1) == b"", "who says nothing is let go without a word"


def test_two_requests_on_one_connection_each_have_their_time(server: Server) -> None:
    with connected(server) as made:
        for _ in range(3):
            made.sendall(head(method="GET", path="/health/live") + b"\r\n")
            assert answered(made)[0] == 200


def test_nobody_says_where_the_root_is(server: Server) -> None:
    with connected(server) as made:
        made.sendall(head("Daphne-Root-Path: /elsewhere\r\n\r\n", "GET", "/health/live"))
        assert answered(made)[0] == 200
