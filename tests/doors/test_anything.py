"""Headers and queries of any kind, over the API: a refusal with a code, never a 500 (`Client` looks at each)."""

from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.base import TownPropertyTestCase
from tests.support.served import sqlite_only
from tests.test_openapi import document

pytestmark = sqlite_only
NAMES = (
    *("Authorization", "Accept", "Accept-Language", "Accept-Encoding", "Content-Type", "Content-Encoding", "Cookie"),
    *("Idempotency-Key", "If-None-Match", "If-Modified-Since", "Range", "Origin", "Referer", "X-CSRFToken"),
    *("X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Request-ID", "X-HTTP-Method-Override", "DPoP"),
)
values = st.one_of(
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40),
    st.sampled_from(
        [
            *("Bearer ", "Bearer x y", "Alert-Key x", "Basic eDp4", "bearer " + "a" * 5_000),
            *(
                "*/*;q=x",
                "application/json;q=0",
                "application/json;indent=9999",
                "text/html",
                ";",
                "a/b;=",
                "x" * 4_000,
            ),
            *("bytes=0-1", "bytes=9-1", '"x"', "W/", "Sat, 99 Foo 2026 00:00:00 GMT", "null", "http://[", "gzip, br"),
            *("samsnakk_session=x", "samsnakk_session=;csrftoken=\xff", "=", "application/json; charset=utf-99"),
        ]
    ),
)
headers = st.dictionaries(st.sampled_from(NAMES), values, min_size=1, max_size=4)
PLACES = (
    *("", "=", "cD0x", "bz0x", "cD0=", "bz0tMQ==", "cj0xJnA9", "cD0lMDA="),
    *("bz05OTk5OTk5OTk5OTk5OTk5OTk5", "cD05OTk5OTk5OTk5OTk5OTk5OTk5OTk5OQ=="),
)
"""Cursors that decode: to positions and offsets that are none of ours."""
queries = st.dictionaries(
    st.sampled_from(
        ["cursor", "limit", "after", "from", "to", "q", "unit", "role", "room", "patient", "kind", "format"]
    ),
    st.sampled_from(PLACES) | st.text(max_size=12) | st.integers().map(str) | st.dates().map(str) | st.uuids().map(str),
    min_size=1,
    max_size=3,
)

ADDRESSES = ("me", "rooms", "devices", "pages/x/accept")


def lists() -> list[str]:
    """Addresses that are read without naming anything."""
    found = (path.removeprefix("/api/v1/") for path, known in document()["paths"].items() if "get" in known)
    return sorted(path for path in found if "{" not in path)


class Anything(TownPropertyTestCase):
    @settings(max_examples=max(20, settings().max_examples))
    @given(
        headers,
        st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
        st.sampled_from(["me", "rooms", "devices", "pages/x/accept"]),
    )
    @example({"Idempotency-Key": "é" * 200}, "POST", "rooms")
    @example({"Content-Type": "application/json; charset=utf-16"}, "POST", "rooms")
    def test_headers(self, said: dict[str, str], method: str, path: str) -> None:
        self._arrive()
        kari = self.person("kari")
        sent: Any = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in said.items()}
        kind = sent.pop("HTTP_CONTENT_TYPE", "application/json")
        answer = kari.generic(method, path, b'{"purpose": "coordination"}', content_type=kind, **sent)
        assert answer.status_code < 500

    @settings(max_examples=max(8, settings().max_examples // 3))
    @given(st.data())
    def test_queries(self, data: st.DataObject) -> None:
        self._arrive()
        for path in lists():
            who = "ola" if path.startswith(("review", "audit")) else data.draw(st.sampled_from(["kari", "are", "mona"]))
            said = data.draw(queries)
            answer = self.person(who).get(f"{path}?{urlencode(said, quote_via=quote)}")
            if hasattr(answer, "streaming_content"):
                b"".join(answer)
