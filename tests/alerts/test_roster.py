"""Rosters by name: DST nights, Norwegian holidays, exceptions, handovers, overrides (issue 5, law 10)."""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from server.alerts.roster import (
    Calendar,
    Override,
    Restriction,
    expand,
    faults,
    next_on_call,
    on_call,
    quality,
)
from tests.alerts.rosters import (
    BACKUP,
    CHANGE,
    EVERY_DAY,
    IDA,
    MONA,
    NEVER_OPEN,
    NILS,
    OFFICE,
    WEEKDAYS,
    for_long,
    oslo,
    override,
    read,
    rotation,
)
from tests.support.served import sqlite_only

pytestmark = sqlite_only

HOUR = timedelta(hours=1)
NIGHTLY = tuple(Restriction(day, "15:30", "08:00") for day in range(7))
DST_NIGHTS = [("2026-03-28", 15.5), ("2026-10-24", 17.5), ("2027-03-27", 15.5), ("2027-10-30", 17.5)]


@pytest.mark.parametrize(("evening", "hours"), [*DST_NIGHTS, ("2026-03-27", 16.5), ("2026-10-25", 16.5)])
@pytest.mark.parametrize(
    ("layer", "calendar"),
    [(rotation(), EVERY_DAY), (rotation(outside_office_hours=False, restrictions=NIGHTLY), NEVER_OPEN)],
)
def test_a_shift_from_1530_to_0800(layer: Any, calendar: Calendar, evening: str, hours: float) -> None:
    (shift,) = (
        shift
        for shift in expand([layer], [], calendar, date.fromisoformat(evening), 1)
        if shift.begins == oslo(f"{evening}T15:30")
    )
    morning = date.fromisoformat(evening) + timedelta(days=1)
    assert shift.ends == oslo(f"{morning}T08:00").astimezone(UTC)
    assert (shift.ends - shift.begins) / HOUR == hours


@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize(("evening", "hours"), DST_NIGHTS)
def test_at_half_past_two_somebody_is_on_call(evening: str, hours: float, fold: int) -> None:
    shifts = expand([rotation()], [], EVERY_DAY, date.fromisoformat(evening), 2)
    before = on_call(shifts, oslo(f"{evening}T23:00"))
    night = date.fromisoformat(evening) + timedelta(days=1)
    assert len(before) == 1
    assert on_call(shifts, oslo(f"{night}T02:30", fold=fold)) == before
    assert on_call(shifts, oslo(f"{night}T02:30", fold=fold).astimezone(UTC)) == before


@pytest.mark.parametrize(
    ("night", "moment"),
    [
        ("2026-03-29", "2026-03-29T01:00"),  # left out: at the change, 02:00 becomes 03:00
        ("2027-03-28", "2027-03-28T01:00"),
        ("2026-10-25", "2026-10-25T00:30"),  # twice: the first
        ("2027-10-31", "2027-10-31T00:30"),
    ],
)
def test_a_handover_at_half_past_two_has_neither_gap_nor_overlap(night: str, moment: str) -> None:
    layer = rotation(handover="02:30", outside_office_hours=False)
    shifts = expand([layer], [], NEVER_OPEN, date.fromisoformat(night), 1)
    assert shifts[0].ends == shifts[1].begins == datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert {shifts[0].user, shifts[1].user} == {NILS, IDA}


def test_office_hours_until_half_past_two_and_shifts_after_them_leave_no_hole() -> None:
    late = Calendar({day: [["00:00", "02:30"]] for day in ("sun", "holiday")})  # Easter Sunday of 2027 is one
    for night in (date(2026, 3, 29), date(2026, 10, 25), date(2027, 3, 28), date(2027, 10, 31)):
        before, after = expand([for_long()], [], late, night - timedelta(days=1), 2)
        assert [(before.ends, after.begins)] == late.attended(night, 1)


@pytest.mark.parametrize(
    ("first", "days", "shifts"),
    [
        # Easter of 2026: from Wednesday afternoon to Tuesday morning.
        ("2026-04-01", 7, ["31.03 15:30-01.04 08:00", "01.04 15:30-07.04 08:00", "07.04 15:30-08.04 08:00"]),
        ("2027-03-24", 7, ["23.03 15:30-24.03 08:00", "24.03 15:30-30.03 08:00", "30.03 15:30-31.03 08:00"]),
        # 1 May is a Friday in 2026, a Saturday in 2027.
        ("2026-04-30", 4, ["29.04 15:30-30.04 08:00", "30.04 15:30-04.05 08:00"]),
        ("2027-04-30", 3, ["29.04 15:30-30.04 08:00", "30.04 15:30-03.05 08:00"]),
        # Ascension Day, a Thursday; 17 May is the Sunday after it in 2026.
        (
            "2026-05-13",
            5,
            ["12.05 15:30-13.05 08:00", "13.05 15:30-15.05 08:00", "15.05 15:30-18.05 08:00"],
        ),
        ("2027-05-05", 2, ["04.05 15:30-05.05 08:00", "05.05 15:30-07.05 08:00"]),
        # Whit Monday, which is 17 May in 2027.
        ("2026-05-22", 4, ["21.05 15:30-22.05 08:00", "22.05 15:30-26.05 08:00"]),
        ("2027-05-14", 4, ["13.05 15:30-14.05 08:00", "14.05 15:30-18.05 08:00"]),
        # Christmas, Boxing Day a Sunday in 2027; 24 December is a whole working day without an exception.
        ("2026-12-24", 4, ["23.12 15:30-24.12 08:00", "24.12 15:30-28.12 08:00"]),
        ("2027-12-24", 3, ["23.12 15:30-24.12 08:00", "24.12 15:30-27.12 08:00"]),
    ],
)
def test_holidays(first: str, days: int, shifts: list[str]) -> None:
    found = expand([for_long(starts_on=date(2026, 3, 2))], [], OFFICE, date.fromisoformat(first), days)
    assert [line.removeprefix("Nils ") for line in read(found)] == shifts


def test_dates_with_hours_of_their_own() -> None:
    calendar = Calendar.stored(
        WEEKDAYS,
        {
            "2026-12-24": [["08:00", "12:00"]],
            "2026-12-28": [],  # a planning day
            "2026-12-31": [["08:00", "12:00"]],
            "2027-01-01": [["10:00", "12:00"]],  # open on a holiday
        },
    )
    assert [line.removeprefix("Nils ") for line in read(expand([for_long()], [], calendar, date(2026, 12, 24), 9))] == [
        "23.12 15:30-24.12 08:00",
        "24.12 12:00-29.12 08:00",
        "29.12 15:30-30.12 08:00",
        "30.12 15:30-31.12 08:00",
        "31.12 12:00-01.01 10:00",
        "01.01 12:00-04.01 08:00",
    ]


def test_weeks_hand_over_on_a_monday_that_is_a_holiday_too() -> None:
    layer = rotation(every="weekly", days=7, handover="08:00")
    assert read(expand([layer], [], OFFICE, date(2026, 4, 4), 3)) == [
        "Nils 01.04 15:30-06.04 08:00",
        "Ida 06.04 08:00-07.04 08:00",
    ]


def test_custom_turns_go_round() -> None:
    layer = rotation(people=(NILS, IDA, MONA), every="custom", days=3, handover="08:00", outside_office_hours=False)
    assert read(expand([layer], [], OFFICE, date(2026, 1, 5), 12)) == [
        "Nils 05.01 08:00-08.01 08:00",
        "Ida 08.01 08:00-11.01 08:00",
        "Mona 11.01 08:00-14.01 08:00",
        "Nils 14.01 08:00-17.01 08:00",
    ]


def test_parts_of_the_week() -> None:
    """From Friday afternoon to Monday morning is one shift, whatever parts it is entered in."""
    weekend = (
        Restriction(4, "15:30", "24:00"),
        Restriction(5, "00:00", "00:00"),  # the whole day
        Restriction(6, "00:00", "24:00"),
        Restriction(0, "00:00", "08:00"),
    )
    layer = rotation(every="weekly", days=7, restrictions=weekend)
    assert read(expand([layer], [], OFFICE, date(2026, 1, 7), 12)) == [
        "Nils 09.01 15:30-12.01 08:00",
        "Ida 16.01 15:30-19.01 08:00",
    ]


def test_a_night_begun_the_day_before_the_first_turn_belongs_to_nobody() -> None:
    layer = rotation(handover="00:00", outside_office_hours=False, restrictions=NIGHTLY)
    assert read(expand([layer], [], OFFICE, date(2026, 1, 5), 2))[:2] == [
        "Nils 05.01 00:00-05.01 08:00",
        "Nils 05.01 15:30-06.01 00:00",
    ]


def test_a_part_of_the_week_until_half_past_two_lasts_until_the_second_one() -> None:
    layer = rotation(outside_office_hours=False, restrictions=(Restriction(6, "00:00", "02:30"),))
    (shift,) = expand([layer], [], NEVER_OPEN, date(2026, 10, 25), 1)
    assert shift.ends == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert (shift.ends - shift.begins) / HOUR == 3.5


def test_a_rotation_follows_another_without_gap_or_overlap() -> None:
    old, new = rotation(ends_on=date(2026, 1, 8)), rotation(id=BACKUP, people=(MONA,), starts_on=date(2026, 1, 8))
    assert read(expand([old, new], [], OFFICE, date(2026, 1, 7), 3)) == [
        "Ida 06.01 15:30-07.01 08:00",
        "Nils 07.01 15:30-08.01 08:00",
        "Mona 08.01 15:30-09.01 08:00",
        "Mona 09.01 15:30-10.01 15:30",
    ]


def test_before_it_starts_and_after_it_ends_there_is_nothing() -> None:
    layer = rotation(ends_on=date(2026, 1, 7))
    assert expand([layer], [], OFFICE, date(2025, 12, 1), 34) == []
    assert expand([layer], [], OFFICE, date(2026, 1, 9), 400) == []
    assert expand([rotation(ends_on=date(2026, 1, 5))], [], OFFICE, date(2026, 1, 1), 30) == []


def test_a_roster_with_nobody() -> None:
    for rotations in ([], [rotation(people=())], [rotation(days=0)]):
        assert expand(rotations, [], OFFICE, date(2026, 1, 5), 60) == []
    assert on_call([], oslo("2026-01-05T20:00")) == ()
    assert next_on_call([], oslo("2026-01-05T20:00")) == ()
    covered = expand([], [override(MONA, "2026-01-05T20:00", "2026-01-06T08:00")], OFFICE, date(2026, 1, 5), 1)
    assert on_call(covered, oslo("2026-01-05T20:00")) == (MONA,)


def test_a_team_of_one() -> None:
    shifts = expand([rotation(people=(NILS,))], [], OFFICE, date(2026, 1, 5), 14)
    assert on_call(shifts, oslo("2026-01-07T02:10")) == (NILS,)
    assert next_on_call(shifts, oslo("2026-01-07T02:10")) == ()
    assert next_on_call(shifts, oslo("2026-01-07T12:00")) == (NILS,)


def test_now_and_next() -> None:
    both = [rotation(), rotation(id=BACKUP, people=(MONA, NILS))]
    shifts = expand(both, [], OFFICE, date(2026, 1, 5), 4)
    assert set(on_call(shifts, oslo("2026-01-06T02:10"))) == {NILS, MONA}
    assert on_call(shifts, oslo("2026-01-06T08:00")) == ()  # an end is not in it
    assert set(on_call(shifts, oslo("2026-01-06T15:30"))) == {IDA, NILS}  # a beginning is
    assert next_on_call(shifts, oslo("2026-01-06T02:10")) == (IDA,)
    assert set(next_on_call(shifts, oslo("2026-01-06T12:00"))) == {IDA, NILS}


def test_one_person_in_two_layers_is_one_person() -> None:
    shifts = expand([rotation(), rotation(id=BACKUP)], [], OFFICE, date(2026, 1, 5), 2)
    assert on_call(shifts, oslo("2026-01-06T02:10")) == (NILS,)
    assert next_on_call(shifts, oslo("2026-01-06T02:10")) == (IDA,)


def test_somebody_else_takes_over_a_part_of_a_shift() -> None:
    sick = override(MONA, "2026-01-05T20:00", "2026-01-06T23:00", instead_of=NILS)
    assert read(expand([rotation()], [sick], OFFICE, date(2026, 1, 5), 2)) == [
        "Nils 05.01 15:30-05.01 20:00",
        "Mona 05.01 20:00-06.01 08:00",
        "Ida 06.01 15:30-07.01 08:00",
    ]


def test_who_stands_in_can_be_stood_in_for() -> None:
    sick = override(IDA, "2026-01-05T15:00", "2026-01-06T09:00", instead_of=NILS)
    too = override(MONA, "2026-01-05T22:00", "2026-01-06T09:00", instead_of=IDA)
    assert read(expand([rotation()], [sick, too], OFFICE, date(2026, 1, 5), 1)) == [
        "Ida 05.01 15:30-05.01 22:00",
        "Mona 05.01 22:00-06.01 08:00",
    ]


def test_a_swap() -> None:
    swap = [
        override(IDA, "2026-01-05T15:30", "2026-01-06T08:00", instead_of=NILS),
        override(NILS, "2026-01-06T15:30", "2026-01-07T08:00", instead_of=IDA),
    ]
    assert read(expand([rotation()], swap, OFFICE, date(2026, 1, 5), 2)) == [
        "Ida 05.01 15:30-06.01 08:00",
        "Nils 06.01 15:30-07.01 08:00",
    ]


def test_one_for_everybody_also_where_nobody_was() -> None:
    """The whole time, office hours included; the source says where it comes from."""
    layers = [rotation(), rotation(id=BACKUP, people=(IDA, NILS))]
    meeting = override(MONA, "2026-01-06T00:00", "2026-01-06T16:00")
    shifts = expand(layers, [meeting], OFFICE, date(2026, 1, 5), 2)
    assert read(shifts) == [
        "Nils 05.01 15:30-06.01 00:00",
        "Ida 05.01 15:30-06.01 00:00",
        "Mona 06.01 00:00-06.01 16:00",
        "Ida 06.01 16:00-07.01 08:00",
        "Nils 06.01 16:00-07.01 08:00",
    ]
    assert shifts[2].source == CHANGE


def test_nobody_for_a_time() -> None:
    away = override(None, "2026-01-05T20:00", "2026-01-05T22:00")
    assert read(expand([rotation()], [away], OFFICE, date(2026, 1, 5), 1)) == [
        "Nils 05.01 15:30-05.01 20:00",
        "Nils 05.01 22:00-06.01 08:00",
    ]
    only = override(None, "2026-01-05T20:00", "2026-01-05T22:00", instead_of=IDA)
    assert expand([rotation()], [only], OFFICE, date(2026, 1, 5), 1) == expand(
        [rotation()], [], OFFICE, date(2026, 1, 5), 1
    )


def test_of_two_layers_that_begin_together_the_longer_one_is_taken_over() -> None:
    short = rotation(id=BACKUP, restrictions=(Restriction(0, "15:30", "22:00"),))
    sick = override(MONA, "2026-01-05T12:00", "2026-01-06T12:00", instead_of=NILS)
    for layers in ([rotation(), short], [short, rotation()]):
        assert read(expand(layers, [sick], OFFICE, date(2026, 1, 5), 1)) == ["Mona 05.01 15:30-06.01 08:00"]


def test_an_override_in_the_hour_that_comes_twice() -> None:
    """Of two moments with the same clock, the override means what it says in UTC."""
    begins, ends = oslo("2026-10-25T02:30", fold=0), oslo("2026-10-25T02:30", fold=1)
    shifts = expand([rotation()], [Override(MONA, begins, ends)], EVERY_DAY, date(2026, 10, 24), 2)
    (mona,) = (shift for shift in shifts if shift.user == MONA)
    assert mona.ends - mona.begins == HOUR
    assert on_call(shifts, begins) == (MONA,)
    assert on_call(shifts, ends) != (MONA,)


def test_a_year_with_its_report_is_quick() -> None:
    layers = [rotation(), rotation(id=BACKUP, people=(MONA, NILS, IDA), every="weekly", days=7, restrictions=NIGHTLY)]
    changes = [
        Override(
            MONA, oslo("2026-01-05T20:00") + timedelta(days=7 * n), oslo("2026-01-06T02:00") + timedelta(days=7 * n)
        )
        for n in range(52)
    ]
    expand(layers, changes, OFFICE, date(2026, 1, 5), 364)  # the holidays of the years are kept
    started = time.process_time()
    shifts = expand(layers, changes, OFFICE, date(2026, 1, 5), 364)
    quality(shifts, OFFICE, oslo("2026-01-05T00:00"), oslo("2027-01-04T00:00"), {})
    assert time.process_time() - started < 0.2


GOOD = {
    "people": [str(NILS), IDA],
    "every": "weekly",
    "days": 7,
    "starts_on": "2026-01-05",
    "handover": "08:00",
    "outside_office_hours": True,
    "restrictions": [{"weekday": 4, "begins": "15:30", "ends": "24:00"}],
    "ends_on": None,
}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"every": "daily", "days": 1},
        {"every": "custom", "days": 366},
        {"starts_on": date(2026, 1, 5), "ends_on": "2026-01-06"},
        {"restrictions": []},
        {"restrictions": [{"weekday": 6, "begins": "22:00", "ends": "08:00"}]},
    ],
)
def test_usable(change: dict[str, Any]) -> None:
    assert faults({**GOOD, **change}) == []


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({"people": []}, ["people"]),
        ({"people": "abc"}, ["people"]),
        ({"people": ["Nils"]}, ["people"]),
        ({"people": None}, ["people"]),
        ({"every": "monthly"}, ["every"]),
        ({"every": ["weekly"]}, ["every"]),
        ({"days": 8}, ["days"]),
        ({"every": "daily"}, ["days"]),
        ({"every": "custom", "days": 0}, ["days"]),
        ({"every": "custom", "days": 367}, ["days"]),
        ({"every": "daily", "days": True}, ["days"]),
        ({"starts_on": "5 January"}, ["starts_on"]),
        ({"starts_on": "2026-02-30"}, ["starts_on"]),
        ({"starts_on": datetime(2026, 1, 5, tzinfo=UTC)}, ["starts_on"]),
        ({"starts_on": None, "ends_on": "2026-02-01"}, ["starts_on", "ends_on"]),
        ({"handover": "24:00"}, ["handover"]),
        ({"handover": "8"}, ["handover"]),
        ({"outside_office_hours": "yes"}, ["outside_office_hours"]),
        ({"restrictions": ""}, ["restrictions"]),
        ({"restrictions": ["mon"]}, ["restrictions"]),
        ({"restrictions": [{"weekday": 7, "begins": "15:30", "ends": "24:00"}]}, ["restrictions"]),
        ({"restrictions": [{"weekday": True, "begins": "15:30", "ends": "24:00"}]}, ["restrictions"]),
        ({"restrictions": [{"weekday": 1, "begins": "24:00", "ends": "08:00"}]}, ["restrictions"]),
        ({"restrictions": [{"weekday": 1, "begins": "15:30"}]}, ["restrictions"]),
        ({"ends_on": "2026-01-05"}, ["ends_on"]),
        ({"ends_on": "soon"}, ["ends_on"]),
    ],
)
def test_faults(change: dict[str, Any], codes: list[str]) -> None:
    assert faults({**GOOD, **change}) == codes


def test_what_is_no_rotation_at_all() -> None:
    assert faults(None) == faults([]) == ["rotation"]
    assert "people" in faults({})
