"""Everything that reads octets or text from outside: nothing comes out of it but what it promises, a value that can be
used, or a refusal of the kind that its callers know. What has such a test elsewhere stands in `ELSEWHERE`.
"""

import io
import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as installation
from django.test import SimpleTestCase
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from server.alerts import calendar, policy, roster, rules
from server.common import origins, proxies
from server.common.errors import NotFound
from server.common.language import asked_for
from server.common.parsers import MAX_DEPTH, StrictJSONParser, Unfit, loads
from server.gateway.app import token_of_upgrade
from server.notify import decide
from server.notify.tokens import delivery_of, page_token
from server.people import hours
from tests.support.served import sqlite_only

pytestmark = sqlite_only
ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = {
    "frames.parse": "tests/gateway/test_bad_input.py",
    "own_origin": "tests/gateway/test_bad_input.py",
    "national_identity_number": "tests/people/test_identity.py",
    "telephone": "tests/people/test_identity.py",
    "organisation_number": "tests/people/test_identity.py",
    "is_signed": "tests/notify/test_gateway.py",
    "parsed": "tests/notify/test_gateway.py",
    "parse": "tests/notify/test_endpoints.py",
    "is_public": "tests/notify/test_endpoints.py",
    "VerifierKey": "tests/audit/test_note.py",
    "parse_tile_path": "tests/audit/test_tiles.py",
    "split_bundle": "tests/audit/test_tiles.py",
    "parse_proof": "tests/audit/test_tiles.py",
    "parse_entry": "tests/audit/test_verify_anything.py",
    "read_id_token": "tests/sign_in/test_checks.py",
    "read_answer": "tests/sign_in/test_checks.py",
    "passkeys": "tests/credentials/test_passkeys.py",
}
"""Parser → where anything at all is put into it."""

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["mon", "08:00"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=10,
)
clock = st.from_regex(r"[0-2][0-9]:[0-6][0-9]", fullmatch=True) | st.text(max_size=6) | anything
spans = st.lists(st.lists(clock, max_size=3), max_size=3) | st.lists(clock, max_size=3) | anything
week = st.dictionaries(st.sampled_from([*hours.DAYS, "holiday", "every", "x"]), spans, max_size=8)
header = st.text(st.characters(max_codepoint=255), max_size=60)
hop = st.ip_addresses().map(str) | st.sampled_from(["", "unknown", "[::1]:80", "10.0.0.1:5", "::ffff:1.2.3.4", "1.2.3"])


def test_what_is_tested_elsewhere_is() -> None:
    for name, path in ELSEWHERE.items():
        said = (ROOT / path).read_text()
        assert "@given" in said, path
        assert name.split(".")[-1] in said, (name, path)


class Json(SimpleTestCase):
    def total(self, text: str) -> None:
        try:
            value = loads(text)
        except Unfit:
            return
        assert depth(value) <= MAX_DEPTH + 1
        json.dumps(value, ensure_ascii=False).encode()

    @given(st.text() | anything.map(json.dumps) | st.text('[]{}":,0a\\u\x00', max_size=60))
    @example("[" * 900 + "]" * 900)
    @example('{"a":' * 500 + "1" + "}" * 500)
    def test_any_text(self, text: str) -> None:
        self.total(text)

    @given(st.integers(1, 1100), st.sampled_from(["[]", '{"a":}']))
    def test_any_depth(self, levels: int, kind: str) -> None:
        """Red when what can just be read cannot be written again: that was a 500."""
        text = kind[:-1] * levels + "1" + kind[-1] * levels
        self.total(text)
        if levels > MAX_DEPTH:
            with pytest.raises(Unfit):
                loads(text)

    @given(st.binary(max_size=80) | st.text(max_size=40).map(lambda one: one.encode("utf-16")))
    def test_any_octets(self, octets: bytes) -> None:
        with suppress(ParseError):
            StrictJSONParser().parse(io.BytesIO(octets))


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


class Headers(SimpleTestCase):
    @given(header | st.from_regex(r"([a-z]{1,8}(-[A-Z]{2})?(;q=[0-9.]{0,4})?,? ?){0,30}", fullmatch=True))
    @example("nb;q=1e9, en;q=-1")
    @example("a," * 5_000)
    def test_accept_language(self, said: str) -> None:
        assert asked_for(said) in ("nb", "nn", "en", None)

    @given(header | st.from_regex(r"https?://[a-z0-9.@:\[\]%-]{0,30}", fullmatch=True), header)
    def test_origin_and_host(self, origin: str, host: str) -> None:
        assert isinstance(origins.own_host(host), bool)
        if origins.is_own(origin, "rooms.example.org"):
            assert origin.lower().endswith(
                ("://rooms.example.org", "://rooms.example.org:443", "://rooms.example.org:80")
            )
        assert origins.is_foreign(origin, host) is not origins.is_own(origin, host)

    @given(st.dictionaries(st.sampled_from([b"authorization", b"cookie", b"origin", b"host"]), st.binary(max_size=60)))
    @example({b"cookie": b"samsnakk_session=\xff; =;;"})
    def test_upgrade(self, headers: dict[bytes, bytes]) -> None:
        assert isinstance(token_of_upgrade({"headers": list(headers.items())}), str | None)

    @given(st.lists(hop | header, max_size=5), hop, st.booleans())
    def test_forwarded(self, hops: list[str], peer: str, named: bool) -> None:
        """Whoever is no named proxy is who they are; a named one names an address, or stands for itself."""
        said = ",".join(hops).encode("latin1", "replace")
        scope = {"headers": [(b"x-forwarded-for", said)], "client": (peer, 1), "scheme": "http"}
        trusted = ["0.0.0.0/0", "::/0"] if named else []
        with self.settings(ENV=settings_with(trusted_proxies=trusted)):
            found = proxies.believed(scope)
        assert found["client"][0] == peer or (named and proxies.address_key(found["client"][0]) != "?")
        assert isinstance(proxies.address_key(peer), str)


def settings_with(**changes: Any) -> Any:
    return installation.ENV.model_copy(update=changes)


class Tokens(SimpleTestCase):
    @given(st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9_=-]{40,46}", fullmatch=True))
    def test_of_pages(self, token: str) -> None:
        with pytest.raises(NotFound):
            delivery_of(token)

    @given(st.uuids(), st.integers(0, 42), st.sampled_from("AQgw_-"))
    def test_of_pages_that_are_ours(self, delivery: Any, at: int, other: str) -> None:
        token = page_token(delivery)
        assert delivery_of(token) == delivery
        forged = token[:at] + other + token[at + 1 :]
        try:
            assert delivery_of(forged) == delivery  # the last character has bits to spare
        except NotFound:
            assert forged != token


class Shapes(SimpleTestCase):
    """JSON that stands for something: a code for what is wrong with it, or it can be used."""

    @given(week | anything)
    @settings(max_examples=2 * settings().max_examples)
    def test_office_hours(self, said: Any) -> None:
        if not hours.faults(said):
            hours.next_attended(said, datetime(2026, 3, 28, 12, tzinfo=UTC))

    @given(st.dictionaries(st.text("0123456789-", max_size=10) | st.dates().map(str), spans))
    def test_exceptions(self, said: Any) -> None:
        assert isinstance(calendar.exception_faults(said), list)

    @given(week | anything)
    def test_quiet_hours(self, said: Any) -> None:
        if not decide.quiet_faults(said):
            decide.quiet_until(said, datetime(2026, 10, 25, 0, 30, tzinfo=UTC))

    @given(st.fixed_dictionaries({}, optional={"admissions": anything, "months": anything}) | anything)
    def test_criterion(self, said: Any) -> None:
        assert isinstance(rules.criterion_faults(said), list)

    @given(
        st.fixed_dictionaries(
            {},
            optional={
                name: anything | clock | st.integers(-1, 400) | st.just("daily") | st.dates().map(str)
                for name in ("people", "every", "days", "starts_on", "ends_on", "handover", "restrictions")
            },
        )
        | anything
    )
    def test_rotation(self, said: Any) -> None:
        assert isinstance(roster.faults(said), list)

    @given(
        st.lists(
            st.fixed_dictionaries(
                {"targets": st.lists(st.sampled_from([*policy.TARGETS, "person:x"]) | anything, max_size=3) | anything},
                optional={
                    "wait_s": st.integers(0, 4000) | anything,
                    "channels": st.lists(st.sampled_from([*policy.CHANNELS]) | anything, max_size=3) | anything,
                    "voice_after_s": anything,
                },
            )
            | anything,
            max_size=3,
        )
        | anything
    )
    def test_policy(self, said: Any) -> None:
        """Whatever stands there, somebody is called."""
        found, as_stored = policy.stored(said)
        assert found.steps
        assert as_stored or found is policy.BUILT_IN
        policy.people(found)
