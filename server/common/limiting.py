"""How often somebody may do something: counted for all processes in Redis, or in this one when there is none.

Limits are for machines that run away and for people who guess. They never stand between somebody and help: what raises,
cancels, follows or answers a call for help is not counted (docs/decisions/0040-rate-limits.md). When Redis is away each
process counts for itself, and the log says so.
"""

import hashlib
import hmac
import math
import time
from collections.abc import Sequence
from functools import cache, lru_cache
from threading import Lock
from typing import Any, NamedTuple

import structlog
from django.conf import settings
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

from server.common.errors import TooMany

log = structlog.get_logger(__name__)

REDIS_S = 0.3
"""How long an answer of Redis is waited for: less than anybody notices."""
AWAY_S = 5.0
"""Redis that did not answer is left alone for so long; each process counts for itself meanwhile."""


class Rate(NamedTuple):
    quota: int
    window_s: int
    guessing: bool = False
    """What limits guessing is counted in the process as well, always: it starts from nothing in no outage."""


RATES: dict[str, Rate] = {
    # Each signed-in person, over all their devices; whoever is not signed in, by address.
    "look": Rate(6000, 60),
    "act": Rate(3000, 60),
    # One session on one device: less than the person's, so that a stolen one leaves something to its owner.
    "device": Rate(2000, 60),
    # One address, whoever sits behind it: a whole hospital may.
    "address": Rate(60_000, 60),
    # Operations of which nobody needs many.
    "message": Rate(1200, 60),
    "look-up": Rate(60, 60),
    "export": Rate(30, 3600),
    "refresh": Rate(60, 60),
    # What somebody might guess at. By address: a whole hospital signs in behind one at half past seven.
    # Ten a second, each step of it.
    "sign-in": Rate(600, 60, guessing=True),
    "come-back": Rate(600, 60, guessing=True),
    "exchange": Rate(600, 60, guessing=True),
    "refresh-unknown": Rate(300, 60, guessing=True),
    "callback": Rate(60, 60, guessing=True),
    "hello": Rate(600, 60, guessing=True),
    # By person: nobody needs many.
    "in-person": Rate(10, 600, guessing=True),
    # What staff do to one patient's ways in, whoever of them: codes made, and sessions ended.
    "patient": Rate(20, 3600),
    # Proofs, each by itself: one that is spent leaves the others. By session what comes there at all: signatures are
    # not guessed, and the provider counts for itself.
    "passkey": Rate(120, 600, guessing=True),
    "step-up": Rate(60, 600, guessing=True),
    # By session what was wrong, and far wider by person: one stolen session takes no proof from its owner's others.
    "totp": Rate(5, 300, guessing=True),
    "totp-person": Rate(60, 3600, guessing=True),
    "recovery": Rate(5, 3600, guessing=True),
    "recovery-person": Rate(60, 3600, guessing=True),
}
"""Every limit there is. RATE_LIMITS may set others for an installation."""


class Standing(NamedTuple):
    """How much of a limit is left, and in how many seconds the window ends."""

    scope: str
    rate: Rate
    remaining: int
    reset_s: int

    def headers(self) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers-10 has them: what the limit is, and how much of it is left."""
        return {
            "RateLimit-Policy": f'"{self.scope}";q={self.rate.quota};w={self.rate.window_s}',
            "RateLimit": f'"{self.scope}";r={self.remaining};t={self.reset_s}',
        }


class Unusable(ValueError):
    """RATE_LIMITS cannot be read; the text says which word of it."""


def rates() -> dict[str, Rate]:
    """The limits of this installation. Raises Unusable."""
    return _rates(tuple(settings.ENV.rate_limits))


@lru_cache(maxsize=4)
def _rates(changes: tuple[str, ...]) -> dict[str, Rate]:
    found = dict(RATES)
    for word in changes:
        scope, _, said = word.partition("=")
        quota, _, window = said.partition("/")
        if scope not in RATES or not quota.isdecimal() or not window.isdecimal() or not int(quota) or not int(window):
            raise Unusable(f"«{scope}»: expected one of {', '.join(RATES)}, as in act=3000/60")
        found[scope] = RATES[scope]._replace(quota=int(quota), window_s=int(window))
    return found


def spend(scope: str, key: str, cost: int = 1) -> None:
    """Count `cost` more for `key` (an id, an address: it is digested here): all or none. Raises TooMany when there was
    too little left."""
    spend_each([(scope, key)], cost)


def ensure(scope: str, key: str) -> None:
    """Count nothing, for what is spent only if it goes wrong. Raises TooMany when there is none left."""
    if not settings.ENV.throttle:
        return
    one, shared = Wanted(scope, rates()[scope], digest(scope, key)), _shared.storage()
    windows = [_window_here(one)] if one.rate.guessing or shared is None else []
    if shared is not None:
        try:
            windows.append(shared.get_sliding_window(one.item.key_for(one.name), one.rate.window_s))
        except (RedisError, OSError):
            _shared.lost()
            windows.append(_window_here(one))
    for window in windows:
        if wait_s(one.rate, window) > 0:
            raise _refusal(one, window)


def spend_each(pairs: Sequence[tuple[str, str]], cost: int = 1) -> Standing | None:
    """Count one more of each (scope, key), in one round trip. Raises TooMany for the first that had none left. How the
    last of them stands; None when nothing is counted."""
    if not settings.ENV.throttle:
        return None
    table = rates()
    wanted = [Wanted(scope, table[scope], digest(scope, key), cost) for scope, key in pairs]
    shared = _shared.storage()
    for one in wanted:
        if one.rate.guessing or shared is None:
            _take_here(one)
    if shared is not None:
        try:
            return _take_there(shared, wanted)
        except (RedisError, OSError):
            _shared.lost()
        for one in wanted:
            if not one.rate.guessing:  # those have been counted here already
                _take_here(one)
    return _standing(wanted[-1], _window_here(wanted[-1]))


def digest(scope: str, key: str) -> str:
    """What stands in Redis for a person or an address. Addresses can be tried one by one: the digest has a key."""
    secret = settings.SECRET_KEY.encode()
    return hmac.new(secret, f"limit {scope} {key}".encode(), hashlib.sha256).hexdigest()[:32]


Window = tuple[int, float, int, float]
"""Counted in the window before, seconds that it still weighs; counted in this one, seconds until both are over."""


def wait_s(rate: Rate, window: Window) -> float:
    """In how many seconds one more fits. The window before weighs less with each second; then this one becomes it."""
    before, left_before, count, ends = window
    free = rate.quota - 1 - count
    if free >= 0:
        return max(0.0, left_before - free * rate.window_s / before) if before else 0.0
    return max(0.0, ends - rate.window_s) + rate.window_s * (1 - (rate.quota - 1) / count)


class Wanted(NamedTuple):
    scope: str
    rate: Rate
    name: str
    cost: int = 1

    @property
    def item(self) -> RateLimitItemPerSecond:
        return RateLimitItemPerSecond(self.rate.quota, self.rate.window_s, "")


def _standing(one: Wanted, window: Window) -> Standing:
    before, left_before, count, ends = window
    used = math.floor(before * left_before / one.rate.window_s + count)
    reset = ends - one.rate.window_s if count else left_before
    return Standing(one.scope, one.rate, max(0, one.rate.quota - used), max(0, math.ceil(reset)))


def _refusal(one: Wanted, window: Window) -> TooMany:
    after = max(1, math.ceil(wait_s(one.rate, window)))
    return TooMany(after, limits=Standing(one.scope, one.rate, 0, after).headers())


def _take_here(one: Wanted) -> None:
    if not SlidingWindowCounterRateLimiter(_here()).hit(one.item, one.name, cost=one.cost):
        raise _refusal(one, _window_here(one))


def _window_here(one: Wanted) -> Window:
    return _here().get_sliding_window(one.item.key_for(one.name), one.rate.window_s)


def _take_there(shared: RedisStorage, wanted: list[Wanted]) -> Standing:
    """The library's own scripts, sent together: it asks for each by itself. Raises TooMany, RedisError, OSError."""
    try:
        *taken, window = _asked(shared, wanted)
    except NoScriptError:  # Redis has been started anew
        for script in (shared.SCRIPT_ACQUIRE_SLIDING_WINDOW, shared.SCRIPT_SLIDING_WINDOW):
            shared.storage.script_load(script)
        *taken, window = _asked(shared, wanted)
    _shared.back()
    for one, granted in zip(wanted, taken, strict=True):
        if not granted:
            raise _refusal(one, shared.get_sliding_window(one.item.key_for(one.name), one.rate.window_s))
    before, left_before, count, ends = (max(0, int(one or 0)) for one in window)
    return _standing(wanted[-1], (before, left_before / 1000, count, ends / 1000))


def _asked(shared: RedisStorage, wanted: list[Wanted]) -> list[Any]:
    """Whether each was granted, and at the end how the last stands."""
    with shared.storage.pipeline(transaction=False) as pipe:
        keys: list[str] = []
        for one in wanted:
            name = f"{{{one.item.key_for(one.name)}}}"  # in braces, so that both lie on one node of a cluster
            keys = [shared.prefixed_key(f"{name}/-1"), shared.prefixed_key(name)]
            acquire = shared.lua_acquire_sliding_window.sha
            pipe.evalsha(acquire, 2, *keys, str(one.rate.quota), str(one.rate.window_s), str(one.cost))
        pipe.evalsha(shared.lua_sliding_window.sha, 2, *keys, str(wanted[-1].rate.window_s))
        said: list[Any] = pipe.execute()
    return said


@cache
def _here() -> MemoryStorage:
    return MemoryStorage()


class Shared:
    """The counts in Redis, and whether it is to be asked."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """As if nothing had been asked yet; another process's lock and connections are left behind."""
        self._lock = Lock()
        self._made: RedisStorage | None = None
        self._away_until = 0.0
        self._away = False

    def storage(self) -> RedisStorage | None:
        if not settings.ENV.redis_url or time.monotonic() < self._away_until:
            return None
        with self._lock:
            if self._made is None:
                self._made = _connect()
        return self._made

    def back(self) -> None:
        """It has answered; said once after an outage."""
        if self._away:
            with self._lock:
                self._away = False
            log.info("limits_shared_back")

    def lost(self) -> None:
        """It has not; said once."""
        with self._lock:
            if not self._away:
                log.warning("limits_shared_away")
            self._away, self._away_until = True, time.monotonic() + AWAY_S


def _connect() -> RedisStorage:
    url: str = settings.ENV.redis_url
    return RedisStorage(
        url.replace("unix://", "redis+unix://", 1) if url.startswith("unix://") else url,
        key_prefix=f"{settings.ENV.redis_prefix}:limits",
        socket_timeout=REDIS_S,
        socket_connect_timeout=REDIS_S,
        retry=Retry(NoBackoff(), 1),  # type: ignore[arg-type] # handed on; a connection may have died since
    )


_shared = Shared()


def forget() -> None:
    """Count anew in this process, and connect anew: after a fork, and between tests."""
    _here.cache_clear()
    _shared.begin()
