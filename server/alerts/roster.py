"""Rotations and overrides as shifts: wall-clock rules in Europe/Oslo, expanded to UTC (law 10). Pure.

A rotation hands over every `days` days at a wall-clock time; each turn is one person's. Of a turn, what lies in the
restrictions (if it has any) and, where the rotation says so, outside office hours becomes shifts. Rotations add to each
other: two at once are two people on call. Overrides then change what is left, in the order given.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Literal, get_args
from uuid import UUID

from server.alerts.calendar import Calendar, Span, common, is_date, minus, union
from server.alerts.ical import ics
from server.alerts.quality import Double, Gap, Report, ShortRest, Unreachable, quality
from server.alerts.shifts import Shift, in_order, next_on_call, on_call
from server.people.hours import OSLO, is_clock, moment

__all__ = [
    "Calendar",
    "Double",
    "Every",
    "Gap",
    "Override",
    "Report",
    "Restriction",
    "Rotation",
    "Shift",
    "ShortRest",
    "Unreachable",
    "expand",
    "faults",
    "ics",
    "next_on_call",
    "on_call",
    "overlay",
    "quality",
]

Every = Literal["daily", "weekly", "custom"]
NIL = UUID(int=0)
LONGEST_TURN_DAYS = 366


@dataclass(frozen=True)
class Restriction:
    """A part of the week, by the clock in Oslo. An end that is not after the beginning is the next day's."""

    weekday: int  # 0 is Monday
    begins: str  # HH:MM
    ends: str  # HH:MM; 24:00 is the end of the day


@dataclass(frozen=True)
class Rotation:
    """People who take turns, from the handover on `starts_on` to the handover on `ends_on`."""

    id: UUID
    people: tuple[UUID, ...]
    every: Every
    days: int  # length of one turn
    starts_on: date
    handover: str  # HH:MM; of a time that comes twice in autumn, the first
    outside_office_hours: bool = False
    restrictions: tuple[Restriction, ...] = ()
    ends_on: date | None = None


@dataclass(frozen=True)
class Override:
    """A time, aware, in which it is otherwise.

    With `instead_of`: `user` takes over those parts of that person's shifts. Without: `user` alone is on call the whole
    time, whoever else was, and where nobody was. No `user`: nobody takes over.
    """

    user: UUID | None
    begins: datetime
    ends: datetime
    instead_of: UUID | None = None
    id: UUID = NIL  # becomes the source of its shifts


def expand(
    rotations: Sequence[Rotation], overrides: Sequence[Override], calendar: Calendar, first: date, days: int
) -> list[Shift]:
    """Every shift that touches the `days` days from `first` (an Oslo date), in order. Shifts are never cut at the
    window's edges: another window that they touch has the same ones.
    """
    begins, ends = moment(first, "00:00", fold=0), moment(first + timedelta(days=days), "00:00", fold=0)
    planned = [shift for rotation in rotations for shift in _planned(rotation, calendar, first, days)]
    touching = [shift for shift in planned if shift.begins < ends and begins < shift.ends]
    return [shift for shift in overlay(touching, overrides) if shift.begins < ends and begins < shift.ends]


def overlay(shifts: Sequence[Shift], overrides: Sequence[Override]) -> list[Shift]:
    """The shifts as the overrides leave them, each acting on what the ones before it left."""
    current = list(shifts)
    for override in overrides:
        begins, ends = override.begins.astimezone(UTC), override.ends.astimezone(UTC)
        if ends <= begins:
            continue
        left: list[Shift] = []
        taken: list[Span] = []
        for shift in current:
            if shift.ends <= begins or ends <= shift.begins or override.instead_of not in (None, shift.user):
                left.append(shift)
                continue
            if shift.begins < begins:
                left.append(replace(shift, ends=begins))
            if ends < shift.ends:
                left.append(replace(shift, begins=ends))
            taken.append((max(begins, shift.begins), min(ends, shift.ends)))
        if override.user is not None:
            spans = sorted(taken) if override.instead_of else [(begins, ends)]
            # Of two that begin together (one person in two layers) the longer says it all.
            left += [Shift(override.user, *span, override.id) for span in dict(spans).items()]
        current = left
    return in_order(current)


def _planned(rotation: Rotation, calendar: Calendar, first: date, days: int) -> Iterator[Shift]:
    """The shifts of all turns that may touch the window, and of no others."""
    turns = list(_turns(rotation, first, days))
    if not turns:
        return
    hull = (turns[0][0], turns[-1][1])
    day = hull[0].astimezone(OSLO).date() - timedelta(days=1)  # a night's restriction may have begun then
    span_days = (hull[1].astimezone(OSLO).date() - day).days + 1
    allowed = [hull]
    if rotation.restrictions:
        allowed = common(allowed, _restricted(rotation.restrictions, day, span_days))
    if rotation.outside_office_hours:
        allowed = minus(allowed, calendar.attended(day, span_days))
    handovers = [begins for begins, _, _ in turns]
    for begins, ends in common([turn[:2] for turn in turns], allowed):
        yield Shift(turns[bisect_right(handovers, begins) - 1][2], begins, ends, rotation.id)


def _turns(rotation: Rotation, first: date, days: int) -> Iterator[tuple[datetime, datetime, UUID]]:
    """Turns in order, without a hole between them: begins, ends, whose."""
    if not rotation.people or rotation.days < 1:
        return
    over = None if rotation.ends_on is None else moment(rotation.ends_on, rotation.handover, fold=0)
    # On the first day, until its handover, it is still the turn before.
    number = max(0, (first - rotation.starts_on).days // rotation.days - 1)
    day = rotation.starts_on + timedelta(days=number * rotation.days)
    while day < first + timedelta(days=days):
        begins = moment(day, rotation.handover, fold=0)
        day += timedelta(days=rotation.days)
        ends = moment(day, rotation.handover, fold=0)
        if over is not None:
            ends = min(ends, over)
        if begins < ends:
            yield begins, ends, rotation.people[number % len(rotation.people)]
        number += 1


def _restricted(restrictions: Sequence[Restriction], first: date, days: int) -> list[Span]:
    return union(
        (
            moment(day, part.begins, fold=0),
            moment(day if part.begins < part.ends else day + timedelta(days=1), part.ends, fold=1),
        )
        for day in (first + timedelta(days=offset) for offset in range(days))
        for part in restrictions
        if part.weekday == day.weekday()
    )


def faults(data: object) -> list[str]:
    """What is wrong with an entered rotation, as codes that are its fields' names; empty when it is usable.

    `data` is a mapping as a client sends it and a row stores it: ids and dates may be text, restrictions are mappings.
    """
    if not isinstance(data, Mapping):
        return ["rotation"]
    starts_on, ends_on = _date(data.get("starts_on")), _date(data.get("ends_on"))
    people, restrictions = data.get("people"), data.get("restrictions", ())
    usable = {
        "people": isinstance(people, list | tuple) and len(people) > 0 and all(map(_is_id, people)),
        "every": data.get("every") in get_args(Every),
        "days": _is_length(data.get("every"), data.get("days")),
        "starts_on": starts_on is not None,
        "handover": is_clock(data.get("handover")) and data.get("handover") != "24:00",
        "outside_office_hours": isinstance(data.get("outside_office_hours", False), bool),
        "restrictions": isinstance(restrictions, list | tuple) and all(map(_is_restriction, restrictions)),
        "ends_on": data.get("ends_on") is None
        or (ends_on is not None and starts_on is not None and starts_on < ends_on),
    }
    return [code for code, good in usable.items() if not good]


def _is_length(every: object, days: object) -> bool:
    if not isinstance(days, int) or isinstance(days, bool):
        return False
    return {"daily": days == 1, "weekly": days == 7}.get(str(every), 1 <= days <= LONGEST_TURN_DAYS)


def _is_restriction(part: object) -> bool:
    if not isinstance(part, Mapping):
        return False
    weekday, begins, ends = part.get("weekday"), part.get("begins"), part.get("ends")
    return type(weekday) is int and 0 <= weekday <= 6 and is_clock(begins) and begins != "24:00" and is_clock(ends)


def _is_id(value: object) -> bool:
    if isinstance(value, UUID):
        return True
    try:
        return isinstance(value, str) and bool(UUID(value))
    except ValueError:
        return False


def _date(value: object) -> date | None:
    if isinstance(value, str) and is_date(value):
        return date.fromisoformat(value)
    return value if isinstance(value, date) and not isinstance(value, datetime) else None
