"""How fast people answered (M6): counts, medians and nine tenths, by hour and weekday in Oslo. Pure.

No figure names anybody; where few are counted, whoever is not in the team does not learn how few.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any

from django.utils.translation import gettext_lazy as _

from server.alerts.times import Times
from server.people.hours import OSLO

FEWEST = 5
"""Of fewer, others than the team are told nothing."""
MEASURES: Mapping[str, Callable[[Times], datetime | None]] = {
    "page": lambda one: one.sent,
    "acceptance": lambda one: one.accepted,
    "contact": lambda one: one.contact,
}
DEFINITIONS: Mapping[str, Any] = {
    "count": _("Calls for help that were raised in the time. The hourly trial is not among them."),
    "page": _("From the press until a provider had first accepted a page. It does not say that a device received it."),
    "acceptance": _("From the press until a person had first accepted."),
    "contact": _("From the press until whoever had it wrote that they had spoken with the patient."),
    "median_s": _("Half were as fast as this or faster, in seconds, of those where it happened at all."),
    "p90_s": _("Nine of ten were as fast as this or faster, in seconds, of those where it happened at all."),
    "happened": _("For how many it happened at all."),
    "by_hour": _("By the hour of the press, by the clock in Oslo."),
    "by_weekday": _("By the weekday of the press in Oslo; 0 is Monday."),
    "hidden": _("Where fewer than five are counted, only the team sees the figures."),
}


@dataclass(frozen=True, slots=True)
class Measure:
    """One span of time. None: hidden, or it never happened."""

    happened: int | None
    median_s: float | None
    p90_s: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """Of alerts that were raised in one hour of the day, on one weekday, or at all. `key` is None for all."""

    key: int | None
    count: int | None
    measures: Mapping[str, Measure]


@dataclass(frozen=True, slots=True)
class Figures:
    total: Group
    by_hour: Sequence[Group]
    by_weekday: Sequence[Group]


def figures(times: Iterable[Times], *, for_team: bool) -> Figures:
    """Every hour and weekday is there, with or without alerts."""
    known = list(times)
    hidden_below = 0 if for_team else FEWEST

    def grouped(keys: int, key_of: Callable[[datetime], int]) -> list[Group]:
        groups: list[list[Times]] = [[] for _key in range(keys)]
        for one in known:
            groups[key_of(one.raised.astimezone(OSLO))].append(one)
        return [group(key, members, hidden_below) for key, members in enumerate(groups)]

    return Figures(
        group(None, known, hidden_below),
        grouped(24, lambda at: at.hour),
        grouped(7, lambda at: at.weekday()),
    )


def group(key: int | None, times: Sequence[Times], hidden_below: int) -> Group:
    """One cell. Of fewer than `hidden_below` not even that there are none is told: from the others it could be
    reckoned out."""
    if len(times) < hidden_below:
        return Group(key, None, {name: Measure(None, None, None) for name in MEASURES})
    return Group(key, len(times), {name: _measure(times, when, hidden_below) for name, when in MEASURES.items()})


def _measure(times: Sequence[Times], when: Callable[[Times], datetime | None], hidden_below: int) -> Measure:
    spans = sorted((at - one.raised).total_seconds() for one in times if (at := when(one)) is not None)
    if len(spans) < hidden_below:
        return Measure(None, None, None)
    return Measure(len(spans), nearest(spans, 0.5), nearest(spans, 0.9))


def nearest(spans: Sequence[float], part: float) -> float | None:
    """The nearest rank: a time that was, and that at least this part of all were no slower than. `spans` are sorted."""
    return round(spans[max(ceil(part * len(spans)), 1) - 1], 1) if spans else None
