"""A programme's office hours with their exceptions, and the arithmetic of spans of time. Pure; all spans are UTC."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from server.people import hours
from server.people.hours import OfficeHours, hours_of, moment

Span = tuple[datetime, datetime]  # [begins, ends), aware UTC


@dataclass(frozen=True)
class Calendar:
    """Office hours per weekday and for public holidays (`people.hours`), and dates that have hours of their own."""

    office_hours: OfficeHours
    exceptions: Mapping[date, Sequence[Sequence[str]]] = field(default_factory=dict)

    @classmethod
    def stored(cls, office_hours: OfficeHours, exceptions: Mapping[str, Sequence[Sequence[str]]]) -> "Calendar":
        """From what a programme stores: its exceptions are keyed by ISO dates."""
        return cls(office_hours, {date.fromisoformat(day): spans for day, spans in exceptions.items()})

    def hours_of(self, day: date) -> Sequence[Sequence[str]]:
        """The wall-clock intervals of one day: an exception goes before the holiday, the holiday before the weekday."""
        own = self.exceptions.get(day)
        return hours_of(self.office_hours, day) if own is None else own

    def attended(self, first: date, days: int) -> list[Span]:
        """When the office is open in `days` days from `first` (an Oslo date); what touches is one span."""
        return union(_spans(self, first, days))


def _spans(calendar: Calendar, first: date, days: int) -> Iterator[Span]:
    for offset in range(days):
        day = first + timedelta(days=offset)
        for opens, closes in calendar.hours_of(day):
            yield moment(day, opens, fold=0), moment(day, closes, fold=1)


def union(spans: Iterable[Span]) -> list[Span]:
    """The same time as sorted spans that neither overlap nor touch; empty ones fall out."""
    merged: list[Span] = []
    for begins, ends in sorted(span for span in spans if span[0] < span[1]):
        if merged and begins <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], ends))
        else:
            merged.append((begins, ends))
    return merged


def common(left: Sequence[Span], right: Sequence[Span]) -> list[Span]:
    """What lies in both; each argument is sorted and without overlap."""
    found: list[Span] = []
    i = j = 0
    while i < len(left) and j < len(right):
        begins, ends = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if begins < ends:
            found.append((begins, ends))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return found


def minus(left: Sequence[Span], right: Sequence[Span]) -> list[Span]:
    """What lies in `left` and not in `right`; each argument is sorted and without overlap."""
    found: list[Span] = []
    j = 0
    for begins, ends in left:
        while j < len(right) and right[j][1] <= begins:
            j += 1
        rest, k = begins, j
        while k < len(right) and right[k][0] < ends:
            if rest < right[k][0]:
                found.append((rest, right[k][0]))
            rest = right[k][1]
            k += 1
        if rest < ends:
            found.append((rest, ends))
    return found


def exception_faults(exceptions: object) -> list[str]:
    """What is wrong with entered exceptions, `{"2026-12-24": [["08:00", "12:00"]]}`, as codes; empty when usable."""
    if not isinstance(exceptions, dict) or not all(map(is_date, exceptions)):
        return ["date"]
    return sorted({code for spans in exceptions.values() for code in hours.faults({"mon": spans})})


def is_date(text: object) -> bool:
    """Whether it is a date as RFC 3339 writes it, `2026-12-24`, and not one of ISO 8601's other ways."""
    try:
        return isinstance(text, str) and date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
