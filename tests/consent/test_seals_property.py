"""Whatever was done, in whatever order: one version removed, one pair swapped, one byte changed, and it is found."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import combinations
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from server.audit.models import AuditEvent
from server.consent.models import Consent, Version
from tests.base import Opened, TownPropertyTestCase
from tests.consent.base import Consenting, faults
from tests.support.database import unguarded

pytestmark = pytest.mark.prove

STAFF = ("kari", "frida", "vera", "sara")
SOME = st.none() | st.sets(st.sampled_from(STAFF), min_size=1)
ACTS = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(STAFF)),
    st.tuples(st.just("give"), SOME),
    st.tuples(st.just("change"), SOME),
    st.tuples(st.just("decline")),
    st.tuples(st.just("withdraw")),
    st.tuples(st.just("renew")),
    st.tuples(st.just("exclude"), st.sampled_from(STAFF)),
    st.tuples(st.just("lift"), st.sampled_from(STAFF)),
)
COLUMNS = ("document", "hash", "signature", "key", "text_sealed", "remark_sealed")
Bytes = st.tuples(st.sampled_from(COLUMNS), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 255))


def changed(value: Any, at: int, by: int) -> Any:
    """The value with one byte, or character, that is another."""
    if isinstance(value, UUID):
        return UUID(bytes=changed(value.bytes, at, by))
    if isinstance(value, str):
        at %= len(value)
        other = chr((ord(value[at]) + by - 32) % 95 + 32)
        return value[:at] + (other if other != value[at] else "~" if value[at] != "~" else "!") + value[at + 1 :]
    raw = bytearray(value)
    raw[at % len(raw)] ^= by
    return bytes(raw)


class SealsOfWhateverHappened(Consenting, TownPropertyTestCase):
    """Red when `verify.faults` leaves out a comparison: of chain, numbers, seals, words, row or log."""

    # A failure is small enough to read, and each step of making it smaller costs seconds.
    @settings(max_examples=max(6, settings().max_examples // 3), phases=[Phase.explicit, Phase.generate])
    @given(st.lists(ACTS, min_size=2, max_size=8), st.lists(Bytes, min_size=1, max_size=30))
    def test_one_change_is_found(self, acts: list[tuple[Any, ...]], bytes_: list[tuple[str, int, int, int]]) -> None:
        self._arrive()
        room = self.open_room(propose=["frida"])
        for act in acts:
            self._do(room, act)
        self.exclude("ida")
        for consent in (self.consent(room), self.exclusions_of()):
            assert faults(consent) == set()
            with unguarded():
                self._remove(consent)
                self._swap(consent)
                self._turn_back(consent)
                for column, which, at, by in bytes_:
                    self._change(consent, column, which, at, by)
                self._the_row(consent)
            assert faults(consent) == set()

    def _do(self, room: Opened, act: tuple[Any, ...]) -> None:
        """Done, or refused where it does not fit what there is."""
        verb, *rest = act
        if verb == "ask":
            self.person("kari").post(f"{room.path}/members", {"user": str(self.user_id(rest[0]))})
        elif verb == "exclude":
            self.exclude(rest[0])
        elif verb == "lift":
            self.person("are").delete(f"exclusions/{self.user_id(rest[0])}")
        else:
            some = rest[0] if rest else None
            said = {"grantees": [str(self.user_id(one)) for one in sorted(some)]} if some else {}
            self.person("are").post(f"{room.asks}/{verb}", {**said, "remark": "fordi"})

    @contextmanager
    def found(self, consent: Consent, what: object) -> Iterator[Any]:
        """What is done within is found, and then was never done."""
        with transaction.atomic():
            yield Version.objects.filter(consent=consent)
            assert faults(consent), what
            transaction.set_rollback(True)

    def _all(self, consent: Consent) -> list[int]:
        return list(range(1, consent.version + 1))

    def _remove(self, consent: Consent) -> None:
        for number in self._all(consent):
            with self.found(consent, f"version {number} removed") as versions:
                versions.filter(number=number).delete()
            with self.found(consent, f"event {number} removed") as versions:
                hash_ = versions.get(number=number).hash
                AuditEvent.objects.filter(object_id=consent.id, sealed_hash=hash_).delete()

    def _swap(self, consent: Consent) -> None:
        for one, other in combinations(self._all(consent), 2):
            with self.found(consent, f"{one} and {other} swapped") as versions:
                for before, after in ((one, 0), (other, one), (0, other)):
                    versions.filter(number=before).update(number=after)
            with self.found(consent, f"{one} copied over {other}") as versions:
                row = versions.get(number=one)
                copied = {name: getattr(row, name) for name in COLUMNS}
                versions.filter(number=other).update(**copied)

    def _turn_back(self, consent: Consent) -> None:
        """Newest versions removed, and the row made to say what the one before them says."""
        last = consent.version
        while last > 1:
            last -= 1
            with self.found(consent, f"turned back to {last}") as versions:
                versions.filter(number__gt=last).delete()
                row = versions.get(number=last)
                Consent.objects.filter(id=consent.id).update(version=last, newest_hash=row.hash)

    def _change(self, consent: Consent, column: str, which: int, at: int, by: int) -> None:
        number = 1 + which % consent.version
        value = getattr(Version.objects.get(consent=consent, number=number), column)
        if value is None:
            return
        with self.found(consent, (column, number, at, by)) as versions:
            versions.filter(number=number).update(**{column: changed(value, at, by)})

    def _the_row(self, consent: Consent) -> None:
        lies: dict[str, Callable[[], Any]] = {
            "newest_hash": lambda: changed(consent.newest_hash, 7, 1),
            "version": lambda: consent.version + 1,
            "state": lambda: "withdrawn" if consent.state == "active" else "active",
            "purpose": lambda: "transition",
            "ends_at": lambda: consent.created_at,
        }
        for name, lie in lies.items():
            with self.found(consent, name):
                Consent.objects.filter(id=consent.id).update(**{name: lie()})
