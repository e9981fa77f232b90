"""Office hours: Oslo's wall clock, Norwegian holidays, both DST nights (law 10, S10)."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.people.hours import DAYS, OSLO, faults, is_open, next_attended, public_holidays
from tests.support.served import sqlite_only

pytestmark = sqlite_only

OFFICE = {**{day: [["08:00", "15:30"]] for day in DAYS[:5]}, "sat": [], "sun": [], "holiday": []}
ALWAYS = {day: [["00:00", "24:00"]] for day in (*DAYS, "holiday")}
NIGHT = {day: [["00:00", "02:30"], ["22:00", "24:00"]] for day in (*DAYS, "holiday")}


START = datetime(2024, 1, 1, tzinfo=UTC)
moments = st.integers(0, 8 * 366 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes))


def oslo(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=OSLO)


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("2026-11-23T07:00", "2026-11-23T08:00"),  # Monday morning
        ("2026-11-23T08:00", "2026-11-23T08:00"),  # as the door opens
        ("2026-11-23T15:29", "2026-11-23T15:29"),
        ("2026-11-23T15:30", "2026-11-24T08:00"),  # closed is closed
        ("2026-11-20T16:00", "2026-11-23T08:00"),  # Friday afternoon
        ("2026-12-24T16:00", "2026-12-28T08:00"),  # Christmas, then a weekend
        ("2026-04-01T16:00", "2026-04-07T08:00"),  # Maundy Thursday to Easter Monday
        ("2026-04-30T16:00", "2026-05-04T08:00"),  # 1 May is a Friday
        ("2027-05-14T16:00", "2027-05-18T08:00"),  # Whit Monday and 17 May are one day in 2027
        ("2026-03-27T16:00", "2026-03-30T08:00"),  # the clock goes forward: 06:00 UTC, not 07:00
        ("2026-10-23T16:00", "2026-10-26T08:00"),  # and back
    ],
)
def test_next_attended(now: str, then: str) -> None:
    assert next_attended(OFFICE, oslo(now)) == oslo(then).astimezone(UTC)


def test_utc_follows_the_season() -> None:
    assert next_attended(OFFICE, datetime(2026, 3, 27, 20, tzinfo=UTC)) == datetime(2026, 3, 30, 6, tzinfo=UTC)
    assert next_attended(OFFICE, datetime(2026, 10, 23, 20, tzinfo=UTC)) == datetime(2026, 10, 26, 7, tzinfo=UTC)


def test_the_hour_that_is_left_out() -> None:
    """29 March 2026: 02:00-03:00 does not exist; hours until 02:30 end when the clock jumps, 01:00 UTC."""
    assert is_open(NIGHT, datetime(2026, 3, 29, 0, 59, tzinfo=UTC))
    assert not is_open(NIGHT, datetime(2026, 3, 29, 1, 0, tzinfo=UTC))


def test_the_hour_that_comes_twice() -> None:
    """25 October 2026: 02:00-03:00 comes twice; hours until 02:30 last until the second one, 01:30 UTC."""
    assert is_open(NIGHT, datetime(2026, 10, 25, 1, 29, tzinfo=UTC))
    assert not is_open(NIGHT, datetime(2026, 10, 25, 1, 30, tzinfo=UTC))


@given(moments)
def test_a_ward_that_never_closes(now: datetime) -> None:
    assert next_attended(ALWAYS, now) == now
    assert is_open(ALWAYS, now)


clocks = st.integers(0, 23 * 60 + 59).map(lambda minutes: f"{minutes // 60:02}:{minutes % 60:02}")
spans = st.lists(clocks, min_size=2, max_size=4, unique=True).map(
    lambda times: [list(pair) for pair in zip(*[iter(sorted(times))] * 2, strict=False)]
)
weeks = st.dictionaries(st.sampled_from([*DAYS, "holiday"]), spans)


@given(weeks, moments)
def test_the_next_moment_is_attended_and_nothing_before_it_is(hours: Any, now: datetime) -> None:
    assert faults(hours) == []
    then = next_attended(hours, now)
    if then is None:
        return
    assert then >= now
    assert is_open(hours, then)
    if then > now:
        middle = now + (then - now) / 2
        assert not is_open(hours, middle)
        assert not is_open(hours, then - timedelta(seconds=1))


def test_nobody_ever() -> None:
    assert next_attended({}, datetime(2026, 1, 1, tzinfo=UTC)) is None
    assert not is_open({"mon": []}, datetime(2026, 1, 5, 12, tzinfo=UTC))


def test_the_national_holidays() -> None:
    assert date(2026, 5, 17) in public_holidays(2026)
    assert date(2026, 5, 14) in public_holidays(2026)  # Ascension Day
    assert date(2026, 12, 24) not in public_holidays(2026)
    assert len(public_holidays(2026)) == 12


@pytest.mark.parametrize(
    ("hours", "code"),
    [
        ([], "days"),
        ({"monday": []}, "days"),
        ({"mon": "08-15"}, "intervals"),
        ({"mon": [["08:00"]]}, "clock"),
        ({"mon": [["8:00", "15:00"]]}, "clock"),
        ({"mon": [["08:00", "25:00"]]}, "clock"),
        ({"mon": [["08:60", "15:00"]]}, "clock"),
        ({"mon": [["08:00", None]]}, "clock"),
        ({"mon": [["15:00", "08:00"]]}, "order"),
        ({"mon": [["08:00", "12:00"], ["11:00", "15:00"]]}, "order"),
    ],
)
def test_faults(hours: Any, code: str) -> None:
    assert faults(hours) == [code]
