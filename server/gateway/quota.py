"""How much somebody may write over sockets: the limit `message`, the same as over REST, however many sockets there are.

No post waits for it. Each process adds up what a person writes, and tells the shared count when that is a twentieth of
the limit; who is over it is refused from then on. So people who write as people do cost nothing, and who does not is
let through a twentieth too much by each process at most.
"""

import time
from dataclasses import dataclass
from math import ceil

from django.conf import settings

from server.common.errors import TooMany
from server.common.limiting import rates, spend

SCOPE = "message"
PARTS = 20
AT_MOST = 10_000
"""People of whom a process remembers anything; then it begins anew."""


@dataclass(slots=True)
class Written:
    """What one person has written that the shared count does not know of yet."""

    since: float
    posts: int = 0
    held_until: float = 0.0
    telling: bool = False


class Quota:
    def __init__(self) -> None:
        self._people: dict[str, Written] = {}

    def take(self, key: str) -> int | None:
        """Add one post. How many are to be told to the shared count now, by `tell`; None for nothing.

        Raises TooMany.
        """
        if not settings.ENV.throttle:
            return None
        rate, at = rates()[SCOPE], time.monotonic()
        found = self._people.get(key)
        if found is None or at - found.since > rate.window_s:
            if len(self._people) >= AT_MOST:
                self._people = {}
            found = self._people[key] = Written(at)
        if at < found.held_until:
            raise TooMany(found.held_until - at)
        found.posts += 1
        if found.telling or found.posts < ceil(rate.quota / PARTS):
            return None
        found.telling = True
        return min(found.posts, rate.quota)

    def tell(self, key: str, posts: int) -> None:
        """Spend them. It asks Redis: never on the loop."""
        found = self._people.get(key) or Written(0.0)
        try:
            spend(SCOPE, key, posts)
        except TooMany as refusal:
            found.held_until = time.monotonic() + refusal.retry_after_s
            found.since = found.held_until
        else:
            found.posts = max(0, found.posts - posts)
        finally:
            found.telling = False
