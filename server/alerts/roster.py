"""Rotations and overrides as shifts: wall-clock rules in Europe/Oslo, expanded to UTC (law 10). Pure.

A rotation hands over every `days` days at a wall-clock time; each turn is one person's. Of a turn, what lies in the
restrictions (if it has any) and, where the rotation says so, outside office hours becomes shifts. Rotations add to each
other: two at once are two people on call. Overrides then change what is left, in the order given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from server.alerts.calendar import Calendar
from server.alerts.ical import ics
from server.alerts.quality import Double, Gap, Report, ShortRest, Unreachable, quality
from server.alerts.shifts import Shift, next_on_call, on_call

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
    """Every shift that touches the `days` days from `first` (an Oslo date), whole: a later window has the same ones."""
    raise NotImplementedError


def overlay(shifts: Sequence[Shift], overrides: Sequence[Override]) -> list[Shift]:
    """The shifts as the overrides leave them, each acting on what the ones before it left."""
    raise NotImplementedError


def faults(data: object) -> list[str]:
    """What is wrong with an entered rotation (a mapping with the fields of `Rotation`), as codes; empty when usable."""
    raise NotImplementedError
