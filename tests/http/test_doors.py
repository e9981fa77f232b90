"""Around the application, whichever ASGI server there is: how much is read, and what is passed on of it."""

import asyncio
import json
from typing import Any

import pytest

from server.common.doors import Doors, refusal
from tests.support.limits import limited
from tests.support.served import sqlite_only

pytestmark = sqlite_only

MOST = 1024 * 1024


class Asked:
    """A request in pieces: what the application got, what was answered, and how many pieces were taken."""

    def __init__(
        self, pieces: list[bytes], headers: list[tuple[bytes, bytes]] | None = None, *, gone: bool = False
    ) -> None:
        self.pieces = pieces
        self.taken = 0
        self.gone = gone
        self.sent: list[dict[str, Any]] = []
        self.body: bytes | None = None
        self.headers: dict[bytes, bytes] = {}
        scope = {"type": "http", "headers": headers or [], "client": ["198.51.100.7", 1]}
        asyncio.run(Doors(self.application)(scope, self.receive, self.send))

    async def receive(self) -> dict[str, Any]:
        self.taken += 1
        if self.taken > len(self.pieces):
            return {"type": "http.disconnect"}
        more = self.gone or self.taken < len(self.pieces)
        return {"type": "http.request", "body": self.pieces[self.taken - 1], "more_body": more}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    async def application(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        assert message["more_body"] is False
        self.body, self.headers = message["body"], dict(scope["headers"])
        assert (await receive())["type"] == "http.disconnect"

    @property
    def status(self) -> int:
        found: int = self.sent[0]["status"]
        return found


def test_what_fits_is_passed_on_in_one_piece() -> None:
    asked = Asked([b"a" * 1000] * 10)
    assert asked.body == b"a" * 10_000
    assert asked.headers[b"content-length"] == b"10000", "it came in chunks, and readers ask for its length"
    assert Asked([b"a" * MOST]).body == b"a" * MOST
    assert Asked([b""]).body == b""


def test_it_is_read_no_further_than_it_is_too_long() -> None:
    asked = Asked([b"a" * 65536] * 1000)
    assert (asked.status, asked.body) == (413, None)
    assert asked.taken == MOST // 65536 + 1
    document = json.loads(asked.sent[1]["body"])
    assert document["code"] == "too_large"
    headers = dict(asked.sent[0]["headers"])
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"connection"] == b"close"


@pytest.mark.parametrize("length", [b"1048577", b"9" * 400])
def test_a_length_that_is_too_long_is_enough(length: bytes) -> None:
    asked = Asked([b"a"], [(b"content-length", length)])
    assert (asked.status, asked.body, asked.taken) == (413, None, 0)


@pytest.mark.parametrize("length", [b"", b"-1", b"x", b"\xb2", b"1e9", b"0x10"])
def test_a_length_that_is_none_is_not_believed(length: bytes) -> None:
    assert Asked([b"a"], [(b"content-length", length)]).body == b"a"


def test_who_goes_away_meanwhile_asked_nothing() -> None:
    asked = Asked([b"a", b"b"], gone=True)
    assert (asked.body, asked.sent) == (None, [])


def test_refusals_speak_the_readers_language() -> None:
    said = {language: json.loads(refusal(413, "too_large", language=language)[1])["title"] for language in ("nb", "en")}
    assert said["en"] == "The request is too large."
    assert said["nb"] != said["en"]
    assert json.loads(refusal(413, "too_large", language="xx;q=\xff")[1])["title"] == said["nb"]


def test_whose_address_it_is() -> None:
    forwarded = [(b"x-forwarded-for", b"203.0.113.9")]
    with limited(trusted_proxies=["198.51.100.7"]):
        assert b"x-forwarded-for" in Asked([b""], forwarded).headers
    assert b"x-forwarded-for" not in Asked([b""], forwarded).headers
