"""What holds of every roster, against a slow reading of the same rules by Oslo's clock, minute by minute."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from server.alerts.roster import Calendar, Override, Restriction, Rotation, Shift, expand, on_call, overlay, quality
from server.people.hours import DAYS, OSLO
from tests.alerts.rosters import BACKUP, CHANGE, IDA, MONA, NILS, PRIMARY, oslo
from tests.support.served import sqlite_only

pytestmark = sqlite_only

PEOPLE = (NILS, IDA, MONA)
FIRST, LENGTH = date(2026, 10, 20), 9  # the night to 25 October is in it
SPRING = date(2027, 3, 23)  # Maundy Thursday, Good Friday and the night to 28 March are
QUARTERS = timedelta(minutes=45)

clocks = st.integers(0, 47).map(lambda half: f"{half // 2:02}:{half % 2 * 30:02}")
days_hours = st.lists(clocks, min_size=2, max_size=4, unique=True).map(
    lambda times: [list(pair) for pair in zip(*[iter(sorted(times))] * 2, strict=False)]
)
firsts = st.sampled_from([FIRST, SPRING])
calendars = st.builds(
    Calendar,
    st.dictionaries(st.sampled_from([*DAYS, "holiday"]), days_hours),
    st.dictionaries(st.builds(lambda first, n: first + timedelta(days=n), firsts, st.integers(0, LENGTH)), days_hours),
)
restrictions = st.lists(st.builds(Restriction, st.integers(0, 6), clocks, clocks | st.just("24:00")), max_size=4).map(
    tuple
)


def rotations(source: UUID) -> st.SearchStrategy[Rotation]:
    return st.builds(
        Rotation,
        id=st.just(source),
        people=st.lists(st.sampled_from(PEOPLE), max_size=4).map(tuple),
        every=st.just("custom"),
        days=st.integers(1, 10),
        starts_on=st.integers(-400, 8).map(lambda n: FIRST + timedelta(days=n)),
        handover=clocks,
        outside_office_hours=st.booleans(),
        restrictions=restrictions,
        ends_on=st.none() | st.integers(0, 170).map(lambda n: FIRST + timedelta(days=n)),
    )


rosters = st.tuples(rotations(PRIMARY), rotations(BACKUP))
moments = st.builds(
    lambda first, minutes: datetime.combine(first, datetime.min.time(), UTC) + timedelta(minutes=minutes),
    firsts,
    st.integers(0, LENGTH * 24 * 60),
)
overrides = st.builds(
    lambda user, begins, hours, instead_of, number: Override(
        user, begins, begins + timedelta(hours=hours), instead_of, UUID(int=CHANGE.int + number)
    ),
    st.none() | st.sampled_from(PEOPLE),
    moments,
    st.integers(1, 60),
    st.none() | st.sampled_from(PEOPLE),
    st.integers(1, 1000),
)
changes = st.lists(overrides, max_size=4)


def slowly(rotation: Rotation, calendar: Calendar, at: datetime) -> UUID | None:
    """Who a rotation says is on call, read off the clock on the wall."""
    local = at.astimezone(OSLO)
    day, clock, yesterday = local.date(), f"{local:%H:%M}", local.date() - timedelta(days=1)
    turn_day = day if rotation.handover <= clock else yesterday
    if not rotation.people or turn_day < rotation.starts_on or (rotation.ends_on and turn_day >= rotation.ends_on):
        return None
    if rotation.outside_office_hours and any(opens <= clock < shuts for opens, shuts in calendar.hours_of(day)):
        return None
    if rotation.restrictions and not any(
        part.begins <= clock < part.ends
        if part.weekday == day.weekday() and part.begins < part.ends
        else part.begins >= part.ends
        and (
            (part.weekday == day.weekday() and part.begins <= clock)
            or (part.weekday == yesterday.weekday() and clock < part.ends)
        )
        for part in rotation.restrictions
    ):
        return None
    turn = (turn_day - rotation.starts_on).days // rotation.days
    return rotation.people[turn % len(rotation.people)]


def certain(at: datetime) -> bool:
    """Whether the clock on the wall says which moment it is, by its hour alone."""
    local = at.astimezone(OSLO)
    return not (local.hour in (2, 3) and local.date() in (date(2026, 10, 25), date(2027, 3, 28)))


def samples(first: date) -> list[datetime]:
    start = oslo(f"{first}T00:07").astimezone(UTC)
    return [at for n in range(LENGTH * 32) if certain(at := start + n * QUARTERS)]


@settings(deadline=None, max_examples=60)
@given(rosters, calendars, firsts)
def test_shifts_are_what_the_clock_on_the_wall_says(roster: Any, calendar: Calendar, first: date) -> None:
    shifts = expand(roster, [], calendar, first, LENGTH + 1)
    for at in samples(first):
        expected = {slowly(rotation, calendar, at) for rotation in roster} - {None}
        assert set(on_call(shifts, at)) == expected


@settings(deadline=None)
@given(rosters, changes, calendars, firsts)
def test_shifts_are_in_order_in_utc_and_none_of_one_layer_overlap(
    roster: Any, some: list[Override], calendar: Calendar, first: date
) -> None:
    shifts = expand(roster, some, calendar, first, LENGTH)
    assert all(shift.begins.tzinfo is shift.ends.tzinfo is UTC and shift.begins < shift.ends for shift in shifts)
    assert all(one.begins <= other.begins for one, other in pairwise(shifts))
    for source in (PRIMARY, BACKUP):
        assert all(
            one.ends <= other.begins for one, other in pairwise([shift for shift in shifts if shift.source == source])
        )
    assert len({(shift.source, shift.user, shift.begins) for shift in shifts}) == len(shifts)


@settings(deadline=None)
@given(rotations(PRIMARY), calendars, firsts)
def test_an_unrestricted_rotation_and_the_office_cover_all_the_time(
    rotation: Rotation, calendar: Calendar, first: date
) -> None:
    always = Rotation(PRIMARY, PEOPLE, "custom", rotation.days, rotation.starts_on, rotation.handover, True)
    begins = max(oslo(f"{first}T00:00"), oslo(f"{rotation.starts_on}T{rotation.handover}") + timedelta(hours=2))
    shifts = expand([always], [], calendar, first, LENGTH)
    assert quality(shifts, calendar, begins, oslo(f"{first + timedelta(days=LENGTH)}T00:00"), {}).gaps == ()


@settings(deadline=None)
@given(rosters, changes, calendars, firsts, st.integers(0, LENGTH - 1), st.integers(1, LENGTH))
def test_a_window_has_the_shifts_of_every_wider_one(
    roster: Any, some: list[Override], calendar: Calendar, first: date, skipped: int, days: int
) -> None:
    """Expanding again tomorrow makes the same rows; so does another order of the layers."""
    begins, ends = (oslo(f"{first + timedelta(days=n)}T00:00").astimezone(UTC) for n in (skipped, skipped + days))
    wide = expand(roster[::-1], some, calendar, first - timedelta(days=12), 40)
    narrow = expand(roster, some, calendar, first + timedelta(days=skipped), days)
    assert narrow == [shift for shift in wide if shift.begins < ends and begins < shift.ends]


@settings(deadline=None)
@given(rosters, changes, overrides, calendars, moments)
def test_the_last_override_wins(
    roster: Any, some: list[Override], last: Override, calendar: Calendar, at: datetime
) -> None:
    first = last.begins.date() - timedelta(days=2)
    before = expand(roster, some, calendar, first, 8)
    after = expand(roster, [*some, last], calendar, first, 8)
    inside = last.begins + (at - at.replace(hour=0, minute=0)) % (last.ends - last.begins)
    own = {last.user} - {None}
    was = set(on_call(before, inside))
    if last.instead_of is None:
        assert set(on_call(after, inside)) == own
    else:
        assert set(on_call(after, inside)) == (was - {last.instead_of} | own if last.instead_of in was else was)
    for outside in (last.begins - timedelta(minutes=1), last.ends):
        assert on_call(after, outside) == on_call(before, outside) or set(on_call(after, outside)) == set(
            on_call(before, outside)
        )


def test_an_override_that_is_over_before_it_begins_does_nothing() -> None:
    shift = Shift(NILS, oslo("2026-01-05T15:30").astimezone(UTC), oslo("2026-01-06T08:00").astimezone(UTC), PRIMARY)
    for ends in ("2026-01-05T20:00", "2026-01-05T19:00"):
        assert overlay([shift], [Override(MONA, oslo("2026-01-05T20:00"), oslo(ends))]) == [shift]
