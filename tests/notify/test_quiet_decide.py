"""Quiet hours, pure: what they hold, until when by Oslo's clock, both nights on which clocks change among them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.notify.decide import DAYS, EVERY, is_silenced, may_wait, quiet_faults, quiet_until
from server.notify.models import DeliveryKind
from server.people.hours import OSLO
from tests.support.served import sqlite_only

pytestmark = sqlite_only

NIGHT = {"every": ["22:00", "07:00"]}
A_MINUTE = timedelta(minutes=1)
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)
"""02:00 becomes 03:00, and 03:00 becomes 02:00."""


def oslo(text: str, *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=OSLO, fold=fold).astimezone(UTC)


def until(hours: Any, text: str) -> datetime | None:
    return quiet_until(hours, oslo(text))


def test_only_what_may_wait() -> None:
    """Red when a page, a test, what follows a page, or anything urgent is held back."""
    assert {kind for kind in DeliveryKind.values if may_wait(kind, urgent=False)} == {"message", "notice"}
    assert not any(may_wait(kind, urgent=True) for kind in DeliveryKind.values)


def test_a_span_over_midnight() -> None:
    morning = oslo("2026-02-04T07:00")
    assert until(NIGHT, "2026-02-03T22:00") == until(NIGHT, "2026-02-04T06:59") == morning
    assert until(NIGHT, "2026-02-03T21:59") is until(NIGHT, "2026-02-04T07:00") is None


def test_a_day_of_its_own() -> None:
    """It is named by the day on which it begins. 2026-02-06 is a Friday."""
    hours = {**NIGHT, "fri": ["23:30", "10:00"], "sat": None, "sun": ["13:00", "15:00"]}
    assert until(hours, "2026-02-06T23:00") is None
    assert until(hours, "2026-02-07T09:00") == oslo("2026-02-07T10:00")
    assert until(hours, "2026-02-07T23:00") is until(hours, "2026-02-08T03:00") is None
    assert until(hours, "2026-02-08T14:00") == oslo("2026-02-08T15:00")
    assert until(hours, "2026-02-08T23:00") is None, "Sunday's own, in place of every day's"


def test_spans_that_touch_are_one() -> None:
    weekend = {"fri": ["22:00", "24:00"], "sat": ["00:00", "24:00"], "sun": ["00:00", "20:00"]}
    assert until(weekend, "2026-02-06T22:30") == until(weekend, "2026-02-08T19:00") == oslo("2026-02-08T20:00")
    one_in_the_other = {"fri": ["22:00", "10:00"], "sat": ["08:00", "09:00"]}
    assert until(one_in_the_other, "2026-02-07T08:30") == oslo("2026-02-07T10:00")


def test_the_night_that_is_an_hour_shorter() -> None:
    begins, ends = oslo("2026-03-28T22:00"), oslo("2026-03-29T07:00")
    assert ends - begins == timedelta(hours=8)
    assert quiet_until(NIGHT, begins) == quiet_until(NIGHT, ends - A_MINUTE) == ends
    assert quiet_until(NIGHT, ends) is None
    change = datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert quiet_until({"every": ["00:00", "02:30"]}, change - A_MINUTE) == change, "02:30 never comes"
    assert quiet_until({"every": ["02:30", "05:00"]}, change) == oslo("2026-03-29T05:00")
    assert quiet_until({"every": ["02:30", "05:00"]}, change - A_MINUTE) is None
    assert quiet_until({"every": ["02:10", "02:50"]}, change) is None, "nothing of it is left"


def test_the_night_that_is_an_hour_longer() -> None:
    begins, ends = oslo("2026-10-24T22:00"), oslo("2026-10-25T07:00")
    assert ends - begins == timedelta(hours=10)
    assert quiet_until(NIGHT, begins) == quiet_until(NIGHT, ends - A_MINUTE) == ends
    half_past, again = oslo("2026-10-25T02:30"), oslo("2026-10-25T02:30", fold=1)
    assert again - half_past == timedelta(hours=1)
    assert quiet_until({"every": ["00:00", "02:30"]}, half_past) == again, "until it shows 02:30 for the last time"
    assert quiet_until({"every": ["02:30", "05:00"]}, again - 2 * A_MINUTE) is not None, "since it did for the first"


clocks = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.sampled_from((0, 1, 15, 29, 30, 59)))
spans = st.none() | st.tuples(clocks, clocks | st.just("24:00")).filter(lambda one: one[0] != one[1]).map(list)
weeks = st.dictionaries(st.sampled_from((*DAYS, EVERY)), spans).filter(lambda hours: not quiet_faults(hours))
moments = st.builds(
    lambda day, minutes: datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minutes),
    st.sampled_from((SPRING, AUTUMN)) | st.dates(date(2026, 1, 1), date(2027, 12, 31)),
    st.integers(-24 * 60, 2 * 24 * 60),
)


@given(weeks, moments)
@example({"every": ["02:30", "02:15"]}, datetime(2026, 10, 25, 0, 20, tzinfo=UTC))
@example({"every": ["02:15", "02:45"]}, datetime(2026, 3, 29, 1, 0, tzinfo=UTC))
def test_it_is_what_the_clock_on_the_wall_says(hours: dict[str, Any], at: datetime) -> None:
    """Quiet from when the clock has shown the beginning until it shows the end for the last time, and over then,
    however many spans there are. Counted minute by minute, in another way than the rule does."""
    ends = quiet_until(hours, at)
    assert (ends is not None) == _quiet(hours, at)
    if ends is not None:
        assert at < ends <= at + timedelta(days=8)
        assert not _quiet(hours, ends)
        minutes = int((ends - at) / A_MINUTE)
        assert all(
            _quiet(hours, at + n * A_MINUTE) for n in {0, 1, minutes // 3, minutes // 2, minutes - 1} if n < minutes
        )


def _quiet(hours: dict[str, Any], at: datetime) -> bool:
    # What the wall has shown in the last 61 minutes, and will show in the next: a clock is put back by an hour at most.
    shown = max(_wall(at - n * A_MINUTE) for n in range(62))
    coming = min(_wall(at + n * A_MINUTE) for n in range(1, 62))
    today = _wall(at).date()
    for day in (today - timedelta(days=1), today):
        span = hours[DAYS[day.weekday()]] if DAYS[day.weekday()] in hours else hours.get(EVERY)
        if span:
            begins, ends = _on(day, span[0]), _on(day, span[1])
            ends += timedelta(days=ends <= begins)
            if begins <= shown and (_wall(at) < ends or coming <= ends):
                return True
    return False


def _wall(at: datetime) -> datetime:
    return at.astimezone(OSLO).replace(tzinfo=None)


def _on(day: date, clock: str) -> datetime:
    hour, minute = map(int, clock.split(":"))
    return datetime(day.year, day.month, day.day) + timedelta(hours=hour, minutes=minute)  # noqa: DTZ001 - the wall's


@pytest.mark.parametrize(
    ("hours", "code"),
    [
        ({}, ""),
        (NIGHT, ""),
        ({"every": None, "mon": ["22:00", "24:00"]}, ""),
        ([], "days"),
        ({"man": ["22:00", "07:00"]}, "days"),
        ({"mon": ["22:00"]}, "clock"),
        ({"mon": "22:00"}, "clock"),
        ({"mon": ["22:60", "07:00"]}, "clock"),
        ({"mon": ["24:00", "07:00"]}, "clock"),
        ({"mon": [22, 7]}, "clock"),
        ({"mon": ["22:00", "22:00"]}, "empty"),
        ({"every": ["00:00", "24:00"]}, "never_ends"),
        ({"every": ["12:00", "11:59"], "wed": ["00:00", "24:00"], "tue": ["11:00", "12:00"]}, ""),
        ({day: ["10:00", "09:00"] for day in DAYS} | {"mon": ["08:00", "10:00"]}, ""),
    ],
)
def test_what_cannot_be_kept(hours: Any, code: str) -> None:
    assert quiet_faults(hours) == code


def test_who_ended_a_session_and_what_is_silent_then() -> None:
    """Red when a session that ran out silences whoever is on call, or one that a person ended leaves anything."""
    kinds = set(DeliveryKind.values)
    for reason in ("", "expired"):
        assert not any(is_silenced(kind, reason) for kind in kinds), reason
    for reason in ("signed_out", "signed_out_elsewhere", "refresh_reused", "account_deactivated", "not known here"):
        assert all(is_silenced(kind, reason) for kind in kinds), reason
    for reason in ("engagement_ended", "restored"):
        assert {kind for kind in kinds if is_silenced(kind, reason)} == {"message", "notice"}, reason
