"""A small town's rosters for the tests of `roster.py` and its neighbours."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from server.alerts.roster import Calendar, Override, Rotation, Shift
from server.people.hours import DAYS, OSLO

NILS, IDA, MONA = (UUID(int=number) for number in (1, 2, 3))
PRIMARY, BACKUP, CHANGE = (UUID(int=number) for number in (11, 12, 13))
NAMES = {NILS: "Nils", IDA: "Ida", MONA: "Mona"}

WEEKDAYS = {**{day: [["08:00", "15:30"]] for day in DAYS[:5]}, "sat": [], "sun": [], "holiday": []}
OFFICE = Calendar(WEEKDAYS)
EVERY_DAY = Calendar({day: [["08:00", "15:30"]] for day in (*DAYS, "holiday")})
NEVER_OPEN = Calendar({})


def oslo(text: str, *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=OSLO, fold=fold)


def rotation(**changes: Any) -> Rotation:
    """Nils and Ida, a day each from 15:30, outside office hours."""
    usual: dict[str, Any] = {
        "id": PRIMARY,
        "people": (NILS, IDA),
        "every": "daily",
        "days": 1,
        "starts_on": date(2026, 1, 5),  # a Monday
        "handover": "15:30",
        "outside_office_hours": True,
    }
    return Rotation(**{**usual, **changes})


def for_long(**changes: Any) -> Rotation:
    """One person for months, so that the office hours alone cut the shifts."""
    return rotation(people=(NILS,), every="custom", days=366, **changes)


def override(user: UUID | None, begins: str, ends: str, instead_of: UUID | None = None) -> Override:
    return Override(user=user, begins=oslo(begins), ends=oslo(ends), instead_of=instead_of, id=CHANGE)


def read(shifts: list[Shift]) -> list[str]:
    """Shifts as Oslo's clock shows them."""
    return [
        f"{NAMES[shift.user]} {shift.begins.astimezone(OSLO):%d.%m %H:%M}-{shift.ends.astimezone(OSLO):%d.%m %H:%M}"
        for shift in shifts
    ]
