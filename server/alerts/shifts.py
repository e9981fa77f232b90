"""Shifts, and who is on call by them. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class Shift:
    """One person on call in `[begins, ends)`, aware UTC. `source` is the rotation or the override that says so."""

    user: UUID
    begins: datetime
    ends: datetime
    source: UUID


def in_order(shifts: Iterable[Shift]) -> list[Shift]:
    """By beginning; the rest only makes the order certain."""
    return sorted(shifts, key=lambda shift: (shift.begins, shift.ends, shift.source.int, shift.user.int))


def on_call(shifts: Sequence[Shift], at: datetime) -> tuple[UUID, ...]:
    """Who is on call at `at` (aware), each once, whoever began first ahead."""
    return tuple(dict.fromkeys(shift.user for shift in in_order(s for s in shifts if s.begins <= at < s.ends)))


def next_on_call(shifts: Sequence[Shift], at: datetime) -> tuple[UUID, ...]:
    """Who begins next after `at` (aware) and is not on call now; several when they begin together."""
    now = set(on_call(shifts, at))
    coming = in_order(shift for shift in shifts if shift.begins > at and shift.user not in now)
    return tuple(dict.fromkeys(shift.user for shift in coming if shift.begins == coming[0].begins))
