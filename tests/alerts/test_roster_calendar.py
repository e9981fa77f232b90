"""Spans of time, and office hours with exceptions."""

from datetime import UTC, date
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.alerts.calendar import Calendar, Span, common, exception_faults, minus, union
from tests.alerts.rosters import WEEKDAYS, oslo
from tests.support.served import sqlite_only

pytestmark = sqlite_only

HOURS = [oslo(f"2026-01-05T{hour:02}:00") for hour in range(24)]
spans = st.lists(st.tuples(st.integers(0, 23), st.integers(0, 23)), max_size=8).map(
    lambda pairs: [(HOURS[begins], HOURS[ends]) for begins, ends in pairs]
)


def hours_in(some: list[Span]) -> set[Any]:
    return {hour for hour in HOURS if any(begins <= hour < ends for begins, ends in some)}


@given(spans, spans)
def test_spans_are_sets_of_time(left: list[Span], right: list[Span]) -> None:
    a, b = union(left), union(right)
    assert hours_in(a) == hours_in(left)
    assert hours_in(common(a, b)) == hours_in(a) & hours_in(b)
    assert hours_in(minus(a, b)) == hours_in(a) - hours_in(b)
    for some in (a, common(a, b), minus(a, b)):
        assert all(begins < ends for begins, ends in some)
        assert all(one[1] <= other[0] for one, other in pairwise(some))
    assert all(one[1] < other[0] for one, other in pairwise(a))


def test_an_open_night_is_one_span() -> None:
    night = Calendar({"mon": [["20:00", "24:00"]], "tue": [["00:00", "06:00"]]})
    assert night.attended(date(2026, 1, 5), 2) == [(oslo("2026-01-05T20:00"), oslo("2026-01-06T06:00"))]


def test_hours_until_half_past_two_last_until_the_second_one() -> None:
    late = Calendar({"sun": [["00:00", "02:30"]]})
    assert late.attended(date(2026, 10, 25), 1) == [
        (oslo("2026-10-25T00:00"), oslo("2026-10-25T02:30", fold=1).astimezone(UTC))
    ]


def test_an_exception_goes_before_the_holiday_and_the_holiday_before_the_weekday() -> None:
    calendar = Calendar.stored(WEEKDAYS, {"2026-05-14": [["10:00", "11:00"]], "2026-05-15": []})
    assert calendar.hours_of(date(2026, 5, 13)) == [["08:00", "15:30"]]
    assert calendar.hours_of(date(2026, 5, 14)) == [["10:00", "11:00"]]
    assert calendar.hours_of(date(2026, 5, 15)) == []
    assert Calendar(WEEKDAYS).hours_of(date(2026, 5, 14)) == []


@pytest.mark.parametrize(
    ("exceptions", "codes"),
    [
        ({}, []),
        ({"2026-12-24": [["08:00", "12:00"]], "2026-12-28": []}, []),
        ([], ["date"]),
        ({"24.12": []}, ["date"]),
        ({"20261224": []}, ["date"]),
        ({"2026-W52-4": []}, ["date"]),
        ({"2026-02-29": []}, ["date"]),
        ({20261224: []}, ["date"]),
        ({"2026-12-24": [["12:00", "08:00"]], "2026-12-31": "half"}, ["intervals", "order"]),
    ],
)
def test_exception_faults(exceptions: Any, codes: list[str]) -> None:
    assert exception_faults(exceptions) == codes
