"""Acts in time's order, and stretches of them. Pure; each function sorts, or goes through its acts once, or looks one
up: how long it takes grows as the number of acts does, whoever made how many.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Generic, Protocol, TypeVar
from uuid import UUID

NAMED = 100
"""Acts that one question names of a stretch that others may name too: of very many the first, and the last."""


class Done(Protocol):
    """What somebody did at some moment."""

    @property
    def event(self) -> UUID: ...

    @property
    def at(self) -> datetime: ...

    @property
    def actor(self) -> UUID: ...


A = TypeVar("A", bound=Done)
K = TypeVar("K")
_at = attrgetter("at")


def moment(act: Done) -> tuple[datetime, UUID]:
    """What acts are sorted by; no two have the same."""
    return act.at, act.event


def grouped(acts: Iterable[A], key: Callable[[A], K]) -> dict[K, list[A]]:
    """As they come."""
    found: dict[K, list[A]] = defaultdict(list)
    for act in acts:
        found[key(act)].append(act)
    return found


def by_actor(acts: Iterable[A]) -> Iterator[tuple[UUID, list[A]]]:
    """Each person's acts, in order."""
    for actor, theirs in grouped(acts, lambda act: act.actor).items():
        yield actor, sorted(theirs, key=moment)


def span(acts: Sequence[A], since: datetime, until: datetime, *, with_last: bool) -> range:
    """Where in `acts` (in order) those of this time stand; `with_last`: those of the moment `until` too."""
    end = (bisect_right if with_last else bisect_left)(acts, until, key=_at)
    return range(bisect_left(acts, since, key=_at), end)


def some(acts: Sequence[A], where: range) -> Sequence[A]:
    """Those that stand there; of more than `NAMED` the first, and the last."""
    if len(where) <= NAMED:
        return acts[where.start : where.stop]
    return [*acts[where.start : where.start + NAMED - 1], acts[where.stop - 1]]


def runs(
    acts: Sequence[A], window: timedelta, limit: int, counted: Callable[[A], object]
) -> Iterator[tuple[tuple[A, ...], int]]:
    """Stretches of `acts` (in order) in which every act lies in some window with `limit` or more different `counted`;
    with the most that any window has. No act is in two of them."""
    first, run, most = 0, (0, 0), 0
    within: Counter[object] = Counter()
    for last, act in enumerate(acts):
        within[counted(act)] += 1
        while acts[first].at < act.at - window:
            gone = counted(acts[first])
            within[gone] -= 1
            if not within[gone]:
                del within[gone]
            first += 1
        if len(within) < limit:
            continue
        if most and first >= run[1]:
            yield tuple(acts[slice(*run)]), most
            most = 0
        run = (run[0] if most else first, last + 1)
        most = max(most, len(within))
    if most:
        yield tuple(acts[slice(*run)]), most


class ByOthers(Generic[A]):
    """Finds who did something next, other than one person."""

    def __init__(self, acts: Iterable[A]) -> None:
        self._all = sorted(acts, key=moment)
        self._next = [len(self._all)] * len(self._all)  # of each, the next that somebody else did
        for place in range(len(self._all) - 2, -1, -1):
            same = self._all[place].actor == self._all[place + 1].actor
            self._next[place] = self._next[place + 1] if same else place + 1

    def first(self, since: datetime, *, but: UUID) -> A | None:
        """The first act at that moment or later that somebody else did."""
        place = bisect_left(self._all, since, key=_at)
        if place < len(self._all) and self._all[place].actor == but:
            place = self._next[place]
        return self._all[place] if place < len(self._all) else None
