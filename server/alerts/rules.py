"""Rules about programmes and the patients in them. Pure: everything is an argument."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

EMERGENCY_NUMBERS = frozenset(f"+47{short}" for short in ("110", "112", "113", "116117", "116123"))
"""Shown to people, and rung by people alone: the software itself never calls them."""
MOST_MONTHS, MOST_ADMISSIONS = 120, 100


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a programme has of what a call for help needs. `agreed_on` is an Oslo date, as is `today`."""

    on_call_number: str
    final_number: str
    final_answered_by: str
    final_agreement: str
    final_agreed_on: date | None
    members: int
    leaders: int
    day_contacts: int
    policies: int
    today: date
    voice: bool = True
    """Whether this installation can ring a telephone: the final target has no other."""


def missing(has: Readiness) -> list[str]:
    """Why it cannot open, as stable codes in the order in which they are best mended; empty when it can.

    No programme opens without an on-call telephone number and a telephone staffed round the clock under a written
    agreement (M3, law 6).
    """
    agreed = has.final_agreement and has.final_agreed_on is not None and has.final_agreed_on <= has.today
    lacking = {
        "no_leader": not has.leaders,
        "no_team": not has.members,
        "no_day_contact": not has.day_contacts,
        "no_on_call_number": not has.on_call_number,
        "no_final_number": not has.final_number,
        "no_final_answered_by": not has.final_answered_by,
        "no_final_agreement": not agreed,
        "no_policy": not has.policies,
        "no_voice": not has.voice,
    }
    return [code for code, lacks in lacking.items() if lacks]


def meets(criterion: Any, admissions: Iterable[date], today: date) -> bool:
    """Whether so many admissions fall within so many months up to `today` (M1). It advises (M5): a criterion that says
    nothing usable is met by everybody. Two wards on one day are one admission."""
    if criterion_faults(criterion) or not criterion:
        return True
    since = months_before(today, criterion["months"])
    return len({day for day in admissions if since <= day <= today}) >= criterion["admissions"]


def criterion_faults(criterion: Any) -> list[str]:
    """What is wrong with an entered criterion, as codes; empty when it can be used. `{}` asks for nothing."""
    if not isinstance(criterion, Mapping) or not set(criterion) <= {"admissions", "months"}:
        return ["criterion"]
    if not criterion:
        return []
    bounds = {"admissions": MOST_ADMISSIONS, "months": MOST_MONTHS}
    return [name for name, most in bounds.items() if not _whole(criterion.get(name), most)]


def months_before(day: date, months: int) -> date:
    """The same day so many months earlier; the month's last where there is none."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    for number in (day.day, 30, 29, 28):
        try:
            return date(year, month + 1, number)
        except ValueError:
            continue
    raise AssertionError("every month has 28 days")


def may_be_rung(number: str) -> bool:
    """Whether the software may call this number at all."""
    return number not in EMERGENCY_NUMBERS


def _whole(value: Any, most: int) -> bool:
    return type(value) is int and 0 < value <= most
