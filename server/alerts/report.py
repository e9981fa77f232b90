"""What is wrong with a roster, in words and without repetition: what comes night after night is one finding."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from server.alerts.quality import Report
from server.people.hours import OSLO

WORDS: Mapping[str, Any] = {
    "gap": _("Nobody is on call from %(begins)s to %(ends)s."),
    "unreachable": _("From %(begins)s to %(ends)s nothing reaches anybody who is on call: %(names)s."),
    "out_of_reach": _("%(names)s is on call, and has no device or telephone that we can reach."),
    "double": _("%(names)s has two shifts at once or on end, from %(begins)s to %(ends)s."),
    "short_rest": _("%(names)s has less than 11 hours of rest, from %(begins)s to %(ends)s."),
}
AGAIN = _("The same comes back %(times)s times until %(last)s.")
TOGETHER = timedelta(hours=30)
"""Of one kind and the same people, and no further apart: one finding."""
MOST = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at. `begins` and `ends` are of the first time, `last` and `over` of the last."""

    kind: str
    users: tuple[UUID, ...]
    begins: datetime | None = None
    ends: datetime | None = None
    last: datetime | None = None
    over: datetime | None = None
    times: int = 1

    def text(self, names: Mapping[UUID, str]) -> str:
        """In the reader's language; times are the wall clock's in Oslo."""
        said = str(WORDS[self.kind]) % {
            "begins": clock(self.begins),
            "ends": clock(self.ends),
            "names": ", ".join(names.get(one, "?") for one in self.users),
        }
        if self.times == 1:
            return said
        return f"{said} {str(AGAIN) % {'times': self.times, 'last': clock(self.last)}}"


def findings(report: Report) -> list[Finding]:
    """The worst first."""
    found = [
        *_grouped("gap", (((), gap.begins, gap.ends) for gap in report.gaps)),
        *_grouped("unreachable", ((one.users, one.begins, one.ends) for one in report.unreachable)),
        *(Finding("out_of_reach", (user,)) for user in report.out_of_reach),
        *_grouped("double", (((one.user,), one.first.begins, one.second.ends) for one in report.doubles)),
        *_grouped("short_rest", (((one.user,), one.begins, one.ends) for one in report.short_rests)),
    ]
    return found[:MOST]


def _grouped(kind: str, spans: Iterable[tuple[tuple[UUID, ...], datetime, datetime]]) -> Iterator[Finding]:
    open_ones: dict[tuple[UUID, ...], Finding] = {}
    for users, begins, ends in sorted(spans, key=lambda span: (span[1], span[2])):
        before = open_ones.get(users)
        if before is not None and before.over is not None and begins - before.over <= TOGETHER:
            open_ones[users] = replace(before, last=begins, over=ends, times=before.times + 1)
            continue
        if before is not None:
            yield before
        open_ones[users] = Finding(kind, users, begins, ends, begins, ends)
    yield from open_ones.values()


def clock(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(OSLO).strftime("%d.%m.%Y %H:%M")
