"""What is wrong with a roster in a time to come: gaps, double shifts, short rests, nobody who can be reached. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from server.alerts.calendar import Calendar
from server.alerts.shifts import Shift

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
    raise NotImplementedError
