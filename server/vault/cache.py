"""Opened data keys of this process: bounded, short-lived, safe between threads.

An entry counts for `life_s` seconds from the moment *before* the statement that read it, so that a key destroyed
anywhere is refused here at the latest `life_s` after that commit. Reading an entry takes no lock: a lookup in a dict
and two attribute accesses are atomic in CPython; whatever changes the tables takes the lock.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from time import monotonic
from uuid import UUID

from server.vault.envelope import OpenKey

LIFE_S = 30.0
BOUND = 20_000
_SWEEP_EVERY_S = 5.0


class KeyCache:
    """Opened keys by id (16 bytes), and the ids of keys known to be destroyed (destruction is for ever)."""

    def __init__(self, *, bound: int = BOUND, life_s: float = LIFE_S, clock: Callable[[], float] = monotonic) -> None:
        self.bound = bound
        self.life_s = life_s
        self.clock = clock
        self._lock = threading.Lock()
        self._keys: OrderedDict[bytes, OpenKey] = OrderedDict()
        self._buried: OrderedDict[bytes, None] = OrderedDict()
        self._swept_at = clock()

    def find(self, key: bytes) -> OpenKey | None:
        """The key if it is here and fresh."""
        found = self._keys.get(key)
        if found is None or found.fresh_until <= self.clock():
            return None
        found.used = True
        return found

    def is_buried(self, key: bytes) -> bool:
        return key in self._buried

    def wanting(self, keys: Iterable[bytes], left_s: float) -> list[bytes]:
        """Those of `keys` that are not known to be destroyed and have less than `left_s` seconds to live."""
        until = self.clock() + left_s
        wanting = []
        for key in keys:
            found = self._keys.get(key)
            if (found is None or found.fresh_until <= until) and key not in self._buried:
                wanting.append(key)
        return wanting

    def renew(self, key: bytes, read_at: float) -> OpenKey | None:
        """Give an entry that is still here a new life, its row having been read alive at `read_at`."""
        with self._lock:
            found = self._keys.get(key)
            if found is not None:
                found.fresh_until = max(found.fresh_until, read_at + self.life_s)
            return found

    def keep(self, opened: OpenKey, read_at: float) -> bool:
        """Take in a key whose row was read alive at `read_at`; False when it has been destroyed meanwhile."""
        key = opened.id.bytes
        with self._lock:
            # The row may have been read before a destruction that has committed since: the burial wins.
            if key in self._buried:
                return False
            opened.fresh_until = read_at + self.life_s
            self._keys[key] = opened
            self._evict()
            return True

    def bury(self, key: bytes) -> None:
        """The key's destruction has committed: drop its material at once and never take it in again."""
        with self._lock:
            self._keys.pop(key, None)
            self._buried[key] = None
            while len(self._buried) > self.bound:
                self._buried.popitem(last=False)

    def drop(self, key: bytes) -> None:
        with self._lock:
            self._keys.pop(key, None)

    def sweep(self) -> None:
        """Drop the material of everything past its life."""
        with self._lock:
            self._sweep(self.clock())

    def clear(self) -> None:
        with self._lock:
            self._keys.clear()
            self._buried.clear()

    def __len__(self) -> int:
        return len(self._keys)

    def _sweep(self, now: float) -> None:
        self._swept_at = now
        for key in [key for key, opened in self._keys.items() if opened.fresh_until <= now]:
            del self._keys[key]

    def _evict(self) -> None:
        now = self.clock()
        if now - self._swept_at >= _SWEEP_EVERY_S:
            self._sweep(now)
        while len(self._keys) > self.bound:
            key, oldest = self._keys.popitem(last=False)
            if oldest.used:  # second chance, so that hits need no lock to be remembered
                oldest.used = False
                self._keys[key] = oldest


class NameCache:
    """Which data key belongs to (scope, owner): committed facts only, and they never change. Bounded."""

    def __init__(self, *, bound: int = BOUND) -> None:
        self.bound = bound
        self._lock = threading.Lock()
        self._names: OrderedDict[tuple[str, UUID], UUID] = OrderedDict()

    def find(self, scope: str, owner: UUID) -> UUID | None:
        return self._names.get((scope, owner))

    def keep(self, scope: str, owner: UUID, key: UUID) -> None:
        with self._lock:
            self._names[(scope, owner)] = key
            while len(self._names) > self.bound:
                self._names.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._names.clear()
