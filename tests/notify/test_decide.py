"""What an attempt means: by table, and by what must hold whatever comes."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from django.test import SimpleTestCase
from hypothesis import given
from hypothesis import strategies as st

from server.notify.decide import FAILURES, PASSING, RETRIES_S, WORDS, Verdict, meaning, retry_after, verdict, within
from tests.support.served import sqlite_only

pytestmark = sqlite_only

AT = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
OUTCOMES = st.one_of(
    st.integers(100, 999),
    st.sampled_from(sorted(PASSING | {"forbidden_host", "not_configured", "unreadable", "refused"})),
)


@pytest.mark.parametrize(
    ("outcome", "attempt", "after", "expected"),
    [
        (201, 1, None, Verdict("accepted", "accepted")),
        (200, 4, None, Verdict("accepted", "accepted")),
        (404, 1, None, Verdict("failed", "gone", disable=True, next_channel=True)),
        (410, 3, None, Verdict("failed", "gone", disable=True, next_channel=True)),
        (413, 1, None, Verdict("failed", "too_large", next_channel=True)),
        (400, 1, None, Verdict("failed", "refused", next_channel=True)),
        (307, 1, None, Verdict("failed", "redirect", next_channel=True)),
        (401, 1, None, Verdict("failed", "keys_refused", next_channel=True, alarm=True)),
        (403, 1, None, Verdict("failed", "keys_refused", next_channel=True, alarm=True)),
        (429, 1, 30.0, Verdict("waiting", "throttled", 30.0, next_channel=True)),
        (429, 1, None, Verdict("waiting", "throttled", 15.0, next_channel=True)),
        (429, 1, 0.0, Verdict("waiting", "throttled", 1.0, next_channel=True)),
        (429, 1, 86_400.0, Verdict("waiting", "throttled", 600.0, next_channel=True)),
        (429, 9, 30.0, Verdict("failed", "throttled", next_channel=True)),
        (500, 1, None, Verdict("waiting", "provider_error", 2.0, next_channel=True)),
        (503, 2, None, Verdict("waiting", "provider_error", 5.0, next_channel=True)),
        ("timeout", 3, None, Verdict("waiting", "timeout", 15.0, next_channel=True)),
        ("reset", 4, None, Verdict("failed", "reset", next_channel=True)),
        ("forbidden_host", 1, None, Verdict("failed", "forbidden_host", next_channel=True)),
    ],
)
def test_verdicts(outcome: int | str, attempt: int, after: float | None, expected: Verdict) -> None:
    assert verdict(outcome, attempt, after) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        (format_datetime(AT + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(AT - timedelta(hours=1), usegmt=True), 0.0),
        ("Sun, 25 Oct 2026 02:31:00 +0100", 60.0),
        ("Sunday, 25-Oct-26 01:31:00 GMT", 60.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("9" * 400, None),
        ("Sun, 99 Oct 2026 99:99:99 GMT", None),
    ],
)
def test_retry_after(header: str | None, expected: float | None) -> None:
    assert retry_after(header, AT) == expected


@pytest.mark.parametrize(
    ("channel", "what", "key", "code", "answered", "expected"),
    [
        ("sms", "delivered", "", "", False, ("received", "")),
        ("voice", "delivered", "", "", False, ("", "")),
        ("voice", "ringing", "", "", False, ("", "")),
        ("voice", "answered", "", "", False, ("", "")),  # perhaps a voicemail
        ("voice", "key", "1", "", False, ("accept", "")),
        ("voice", "key", "2", "", False, ("decline", "")),
        ("voice", "key", "9", "", False, ("", "")),
        ("sms", "key", "1", "", False, ("", "")),
        ("voice", "ended", "", "", False, ("failed", "no_answer")),
        ("voice", "ended", "", "", True, ("", "")),
        ("voice", "failed", "", "busy", False, ("failed", "busy")),
        ("sms", "failed", "", "their own words", False, ("failed", "gateway_failed")),
        ("voice", "failed", "", "busy", True, ("", "")),
    ],
)
def test_what_the_gateway_says(
    channel: str, what: str, key: str, code: str, answered: bool, expected: tuple[str, str]
) -> None:
    said = meaning(channel, what, key, code, answered=answered)
    assert (said.act, said.code) == expected


class WhateverComes(SimpleTestCase):
    @given(OUTCOMES, st.integers(-3, 40), st.none() | st.floats(allow_nan=False), st.integers(-100, 2000))
    def test_verdict(self, outcome: int | str, attempt: int, after: float | None, life_s: int) -> None:
        found = within(verdict(outcome, attempt, after), AT, AT + timedelta(seconds=life_s))
        if found.state == "accepted":
            assert isinstance(outcome, int)
            assert 200 <= outcome < 300
            assert found == Verdict("accepted", "accepted")
        else:
            assert found.next_channel, "whatever fails, another way is taken now"
        assert (found.state == "waiting") == (found.retry_in_s is not None), "what waits is due; what is over is not"
        if found.retry_in_s is not None:
            assert 1 <= found.retry_in_s <= 600
            assert found.retry_in_s <= life_s, "nothing is tried after its time"
        assert not found.disable or outcome in (404, 410)
        assert not found.alarm or outcome in (401, 403)
        assert len(found.code) <= 30

    @given(OUTCOMES, st.none() | st.floats(allow_nan=False))
    def test_it_ends(self, outcome: int | str, after: float | None) -> None:
        assert verdict(outcome, 9, after).final
        assert sum(not verdict(outcome, attempt, after).final for attempt in range(1, 50)) in (0, len(RETRIES_S), 8)

    @given(st.text() | st.datetimes().map(str) | st.integers().map(str))
    def test_retry_after(self, header: str) -> None:
        found = retry_after(header, AT)
        assert found is None or found >= 0

    @given(
        st.sampled_from(["sms", "voice", "push", "email"]),
        st.sampled_from(sorted(WORDS)) | st.text(max_size=9),
        st.text(max_size=3),
        st.text(max_size=50),
        st.booleans(),
    )
    def test_meaning(self, channel: str, what: str, key: str, code: str, answered: bool) -> None:
        said = meaning(channel, what, key, code, answered=answered)
        assert said.code in FAILURES | {"gateway_failed", ""}, "never a word of theirs"
        if said.act in ("accept", "decline"):
            assert (channel, what) == ("voice", "key")
        if said.act == "received":
            assert (channel, what) == ("sms", "delivered")
