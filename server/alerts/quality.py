"""What is wrong with a roster in a time to come: gaps, double shifts, short rests, nobody who can be reached. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from server.alerts.calendar import Calendar, Span, common, minus, union
from server.alerts.shifts import Shift, in_order
from server.people.hours import OSLO

REST = timedelta(hours=11)  # arbeidsmiljøloven § 10-8: free time between two periods of work
SOON_DAYS = 14
YEAR_DAYS = 52 * 7
Reachable = Callable[[UUID], object] | Mapping[UUID, object]  # true, or a list that is not empty: can be reached


@dataclass(frozen=True)
class Gap:
    """Nobody is on call, outside office hours."""

    begins: datetime
    ends: datetime


@dataclass(frozen=True)
class Double:
    """One person's two shifts that overlap, or of which one begins the moment the other ends."""

    user: UUID
    first: Shift
    second: Shift

    @property
    def at_once(self) -> bool:
        return self.second.begins < self.first.ends


@dataclass(frozen=True)
class ShortRest:
    """One person's free time between two shifts, more than none and less than `REST`."""

    user: UUID
    begins: datetime
    ends: datetime


@dataclass(frozen=True)
class Unreachable:
    """Those on call outside office hours, none of whom anything reaches."""

    begins: datetime
    ends: datetime
    users: tuple[UUID, ...]


@dataclass(frozen=True)
class Report:
    gaps: tuple[Gap, ...]
    doubles: tuple[Double, ...]
    short_rests: tuple[ShortRest, ...]
    unreachable: tuple[Unreachable, ...]
    out_of_reach: tuple[UUID, ...]  # everybody with a shift in the time whom nothing reaches


def quality(
    shifts: Sequence[Shift], calendar: Calendar, begins: datetime, ends: datetime, reachable: Reachable
) -> Report:
    """What is wrong in `[begins, ends)` (aware). `shifts` hold at least those that touch it; a rest before the first
    of them is only seen when the shift before it is among them, too.
    """
    begins, ends = begins.astimezone(UTC), ends.astimezone(UTC)
    shifts = in_order(shifts)
    closed = _closed(calendar, begins, ends)
    covered = union((shift.begins, shift.ends) for shift in shifts)
    reached = {user: bool(_asked(reachable, user)) for user in {shift.user for shift in shifts}}
    answering = union((shift.begins, shift.ends) for shift in shifts if reached[shift.user])
    silent = [shift for shift in shifts if not reached[shift.user] and _touches(shift, begins, ends)]
    doubles, short_rests = _pairs(shifts, begins, ends)
    return Report(
        gaps=tuple(Gap(*span) for span in minus(closed, covered)),
        doubles=tuple(doubles),
        short_rests=tuple(short_rests),
        unreachable=tuple(_unreachable(common(minus(covered, answering), closed), silent)),
        out_of_reach=tuple(dict.fromkeys(shift.user for shift in silent)),
    )


def _closed(calendar: Calendar, begins: datetime, ends: datetime) -> list[Span]:
    first = begins.astimezone(OSLO).date()
    days = (ends.astimezone(OSLO).date() - first).days + 1
    return minus(union([(begins, ends)]), calendar.attended(first, days))


def _asked(reachable: Reachable, user: UUID) -> object:
    return reachable(user) if callable(reachable) else reachable.get(user)


def _touches(shift: Shift, begins: datetime, ends: datetime) -> bool:
    return shift.begins < ends and begins < shift.ends


def _pairs(shifts: Sequence[Shift], begins: datetime, ends: datetime) -> tuple[list[Double], list[ShortRest]]:
    """Compares each shift with the one of the same person that ends last of those that began before it."""
    doubles: list[Double] = []
    short_rests: list[ShortRest] = []
    latest: dict[UUID, Shift] = {}
    for shift in shifts:
        before = latest.get(shift.user)
        if before is not None and _touches(shift, begins, ends):
            if shift.begins <= before.ends:
                doubles.append(Double(shift.user, before, shift))
            elif shift.begins - before.ends < REST:
                short_rests.append(ShortRest(shift.user, before.ends, shift.begins))
        if before is None or before.ends < shift.ends:
            latest[shift.user] = shift
    return doubles, short_rests


def _unreachable(spans: Sequence[Span], silent: Sequence[Shift]) -> Iterator[Unreachable]:
    """Both in order of time: of those on call in one span, none has to be looked for from the start again."""
    on: list[Shift] = []
    coming = 0
    for begins, ends in spans:
        while coming < len(silent) and silent[coming].begins < ends:
            on.append(silent[coming])
            coming += 1
        on = [shift for shift in on if begins < shift.ends]
        yield Unreachable(begins, ends, tuple(dict.fromkeys(shift.user for shift in on)))
