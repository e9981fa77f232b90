"""Office hours: wall-clock rules in Europe/Oslo, expanded to UTC (S10, law 10). Pure: the moment is an argument.

`OfficeHours` is `{"mon": [["08:00", "15:30"]], …, "sun": [], "holiday": []}`: intervals `[open, close)` of one day;
`24:00` is the end of the day; a missing day is closed. A Norwegian public holiday has the hours of `holiday`, whatever
weekday it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

OSLO = ZoneInfo("Europe/Oslo")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HORIZON_DAYS = 370
OfficeHours = Mapping[str, Sequence[Sequence[str]]]


@lru_cache(maxsize=16)
def public_holidays(year: int) -> frozenset[date]:
    """Norwegian public holidays of a year (lov om helligdager og helligdagsfred § 2, and 1 and 17 May)."""
    return frozenset(holidays.country_holidays("NO", years=year))


def hours_of(office_hours: OfficeHours, day: date) -> Sequence[Sequence[str]]:
    """The wall-clock intervals of one day."""
    return office_hours.get("holiday" if day in public_holidays(day.year) else DAYS[day.weekday()], ())


def moment(day: date, clock: str, *, fold: int) -> datetime:
    """UTC of a wall-clock time `HH:MM` in Oslo. An hour that comes twice in autumn is `fold`; one that is left out in
    spring counts from the moment of the change.
    """
    hour, minute = (int(part) for part in clock.split(":"))
    if hour == 24:
        day, hour = day + timedelta(days=1), 0
    local = datetime.combine(day, time(hour, minute), OSLO)
    utc = local.replace(fold=fold).astimezone(UTC)
    if utc.astimezone(OSLO).replace(tzinfo=None) == local.replace(tzinfo=None):
        return utc
    # Left out: the change lies at the last UTC hour before the time as the winter clock would have shown it.
    return local.replace(fold=0).astimezone(UTC).replace(minute=0)


def intervals(office_hours: OfficeHours, first: date, days: int) -> Iterator[tuple[datetime, datetime]]:
    """Attended intervals in UTC, in order, of `days` days from `first` (an Oslo date)."""
    for offset in range(days):
        day = first + timedelta(days=offset)
        for opens, closes in hours_of(office_hours, day):
            begin, end = moment(day, opens, fold=0), moment(day, closes, fold=1)
            if begin < end:
                yield begin, end


def is_open(office_hours: OfficeHours, now: datetime) -> bool:
    """Whether somebody attends at `now` (aware)."""
    return next_attended(office_hours, now) == now


def next_attended(office_hours: OfficeHours, now: datetime) -> datetime | None:
    """When somebody attends next, aware UTC: `now` itself while open; None when nothing opens within a year."""
    if not any(office_hours.values()):
        return None
    for begin, end in intervals(office_hours, now.astimezone(OSLO).date(), HORIZON_DAYS):
        if now < end:
            return max(begin, now)
    return None


def faults(office_hours: object) -> list[str]:
    """What is wrong with stored or entered office hours, as codes; empty when they are usable."""
    if not isinstance(office_hours, dict) or not set(office_hours) <= {*DAYS, "holiday"}:
        return ["days"]
    for spans in office_hours.values():
        last = "00:00"
        if not isinstance(spans, list):
            return ["intervals"]
        for span in spans:
            if not (isinstance(span, list) and len(span) == 2 and all(map(is_clock, span))):
                return ["clock"]
            if not last <= span[0] < span[1]:
                return ["order"]
            last = span[1]
    return []


def is_clock(text: object) -> bool:
    """Whether it is a time of day, `HH:MM`; 24:00 is the end of the day."""
    if not isinstance(text, str) or len(text) != 5 or text[2] != ":" or not (text[:2] + text[3:]).isdecimal():
        return False
    return text == "24:00" or (text[:2] < "24" and text[3:] < "60")
