"""The quality report: gaps, double shifts, rest under 11 hours (arbeidsmiljøloven § 10-8), nobody reachable."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from server.alerts.roster import Gap, Report, Shift, ShortRest, Unreachable, expand, quality
from tests.alerts.rosters import BACKUP, IDA, MONA, NEVER_OPEN, NILS, OFFICE, PRIMARY, oslo, override, rotation
from tests.support.served import sqlite_only

pytestmark = sqlite_only

MONDAY, FORTNIGHT = oslo("2026-01-12T00:00"), oslo("2026-01-26T00:00")
ALL = {NILS: ["push"], IDA: ["push"], MONA: ["sms"]}
DAILY = rotation(people=(NILS, IDA, MONA))


def report(rotations: Sequence[Any], overrides: Sequence[Any] = (), reachable: Any = ALL) -> Report:
    return quality(expand(rotations, overrides, OFFICE, date(2026, 1, 11), 16), OFFICE, MONDAY, FORTNIGHT, reachable)


def shift(user: Any, begins: str, ends: str, source: Any = PRIMARY) -> Shift:
    return Shift(user, oslo(begins).astimezone(UTC), oslo(ends).astimezone(UTC), source)


def test_a_good_roster() -> None:
    """Three who take turns: every rest is long, all hours outside office hours are somebody's."""
    assert report([DAILY]) == Report((), (), (), (), ())
    year = expand([DAILY], [], OFFICE, date(2026, 1, 11), 366)
    assert quality(year, OFFICE, MONDAY, MONDAY + timedelta(days=364), ALL) == Report((), (), (), (), ())


def test_with_nobody_every_hour_outside_office_hours_is_a_gap() -> None:
    gaps = report([]).gaps
    assert gaps[0] == Gap(MONDAY, oslo("2026-01-12T08:00"))
    assert gaps[5] == Gap(oslo("2026-01-16T15:30"), oslo("2026-01-19T08:00"))
    assert gaps[-1] == Gap(oslo("2026-01-23T15:30"), FORTNIGHT)
    assert len(gaps) == 11


def test_a_time_that_ends_in_the_middle_of_a_day() -> None:
    """The office is open until 15:30 on the last day, too."""
    assert quality([], OFFICE, MONDAY, oslo("2026-01-13T12:00"), {}).gaps == (
        Gap(MONDAY, oslo("2026-01-12T08:00")),
        Gap(oslo("2026-01-12T15:30"), oslo("2026-01-13T08:00")),
    )


def test_a_gap_is_what_is_left_open_and_office_hours_leave_none() -> None:
    away = override(None, "2026-01-13T06:00", "2026-01-13T17:00")
    assert report([DAILY], [away]).gaps == (
        Gap(oslo("2026-01-13T06:00"), oslo("2026-01-13T08:00")),
        Gap(oslo("2026-01-13T15:30"), oslo("2026-01-13T17:00")),
    )


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_gap_on_a_dst_day(day: str, hours: int) -> None:
    begins = oslo(f"{day}T00:00")
    (gap,) = quality([], NEVER_OPEN, begins, begins + timedelta(days=1), {}).gaps
    assert gap.ends - gap.begins == timedelta(hours=hours)


def test_one_person_in_two_layers_at_once() -> None:
    doubles = report([DAILY, rotation(id=BACKUP, people=(NILS, MONA, IDA))]).doubles
    assert {double.user for double in doubles if double.at_once} == {NILS}
    assert all({double.first.source, double.second.source} == {PRIMARY, BACKUP} for double in doubles if double.at_once)


def test_two_shifts_without_a_pause() -> None:
    (double,) = report([rotation(people=(NILS, IDA, MONA, MONA, IDA))]).doubles[:1]
    assert not double.at_once
    assert double.first.user == double.second.user == double.user
    assert double.first.ends == double.second.begins


@pytest.mark.parametrize(
    ("ends", "begins", "short"),
    [
        ("2026-01-13T08:00", "2026-01-13T18:59", True),
        ("2026-01-13T08:00", "2026-01-13T19:00", False),  # 11 hours are enough
        ("2026-03-28T22:00", "2026-03-29T09:30", True),  # by the clock 11.5 hours, in truth 10.5
        ("2026-10-24T22:00", "2026-10-25T08:30", False),  # by the clock 10.5 hours, in truth 11.5
    ],
)
def test_rest(ends: str, begins: str, short: bool) -> None:
    shifts = [shift(NILS, f"{ends[:10]}T01:00", ends), shift(NILS, begins, f"{begins[:10]}T23:00")]
    window = oslo("2026-01-01T00:00"), oslo("2026-12-31T00:00")
    found = quality(shifts, NEVER_OPEN, *window, ALL)
    assert found.short_rests == ((ShortRest(NILS, oslo(ends), oslo(begins)),) if short else ())
    assert found.doubles == ()


def test_rest_is_counted_from_the_shift_that_ends_last() -> None:
    """A short shift inside a long one does not make a rest."""
    shifts = [
        shift(NILS, "2026-01-12T08:00", "2026-01-13T08:00"),
        shift(NILS, "2026-01-12T10:00", "2026-01-12T12:00", BACKUP),
        shift(NILS, "2026-01-13T12:00", "2026-01-13T14:00"),
    ]
    found = quality(shifts[::-1], NEVER_OPEN, MONDAY, FORTNIGHT, ALL)
    assert found.short_rests == (ShortRest(NILS, oslo("2026-01-13T08:00"), oslo("2026-01-13T12:00")),)
    assert [double.at_once for double in found.doubles] == [True]


def test_the_shift_before_the_window_counts_for_rest_and_what_lies_outside_it_is_not_told() -> None:
    shifts = [
        shift(NILS, "2026-01-10T08:00", "2026-01-10T12:00"),
        shift(NILS, "2026-01-10T14:00", "2026-01-11T20:00"),
        shift(NILS, "2026-01-12T02:00", "2026-01-12T08:00"),
        shift(IDA, "2026-01-26T08:00", "2026-01-26T12:00"),
        shift(IDA, "2026-01-26T13:00", "2026-01-26T14:00"),
    ]
    found = quality(shifts, NEVER_OPEN, MONDAY, FORTNIGHT, {})
    assert found.short_rests == (ShortRest(NILS, oslo("2026-01-11T20:00"), oslo("2026-01-12T02:00")),)
    assert found.out_of_reach == (NILS,)


@pytest.mark.parametrize("reachable", [{NILS: ["push"], IDA: [], MONA: ["sms"]}, lambda user: user != IDA])
def test_nobody_reachable(reachable: Any) -> None:
    found = report([DAILY], reachable=reachable)
    assert found.out_of_reach == (IDA,)
    # Her turns are every third day, from the 6th.
    assert found.unreachable[:2] == (
        Unreachable(oslo("2026-01-12T15:30"), oslo("2026-01-13T08:00"), (IDA,)),
        Unreachable(oslo("2026-01-15T15:30"), oslo("2026-01-16T08:00"), (IDA,)),
    )
    assert [one.users for one in found.unreachable] == [(IDA,)] * len(found.unreachable)
    assert found.gaps == ()


def test_reachable_by_the_other_layer() -> None:
    found = report([DAILY, rotation(id=BACKUP, people=(MONA, NILS))], reachable={MONA: 1, NILS: 1})
    assert found.out_of_reach == (IDA,)
    assert found.unreachable == ()


def test_when_nothing_reaches_anybody_the_time_of_each_night_is_told_with_all_of_its_people() -> None:
    found = report([DAILY, rotation(id=BACKUP, people=(IDA, MONA, NILS))], reachable={})
    assert [(one.begins, one.ends) for one in found.unreachable] == [(gap.begins, gap.ends) for gap in report([]).gaps]
    # Until Monday morning the ones of Sunday; from then on, a night has the two of its evening.
    assert [set(one.users) for one in found.unreachable[:4]] == [{NILS, IDA}, {IDA, MONA}, {MONA, NILS}, {NILS, IDA}]


def test_in_office_hours_nobody_needs_to_be_reached() -> None:
    meeting = override(MONA, "2026-01-13T09:00", "2026-01-13T15:00")
    assert report([rotation(people=(NILS, IDA))], [meeting], {NILS: 1, IDA: 1}).unreachable == ()


def test_an_empty_time() -> None:
    at: datetime = MONDAY
    assert quality([], OFFICE, at, at, {}) == Report((), (), (), (), ())
