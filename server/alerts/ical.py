"""Shifts as an iCalendar feed (RFC 5545). Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from server.alerts.shifts import Shift


def ics(shifts: Sequence[Shift], name_of: Callable[[UUID], str], host: str, *, stamp: datetime | None = None) -> str:
    raise NotImplementedError
