"""Rate limits as rules: what is counted, where, and what is said of it."""

import json
import math
from unittest import mock

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from server.common import limiting
from server.common.errors import TooMany
from server.common.limiting import RATES, Rate, Standing, digest, spend, spend_each, wait_s
from tests.support.leaks import captured
from tests.support.limits import limited
from tests.support.served import sqlite_only
from tools.servers import PrivateRedis

pytestmark = sqlite_only


def spent(scope: str, key: str, times: int) -> int:
    """How many of so many attempts are let through."""
    through = 0
    for _ in range(times):
        try:
            spend(scope, key)
        except TooMany:
            continue
        through += 1
    return through


def test_each_key_has_its_own() -> None:
    with limited("totp=3/60"):
        assert spent("totp", "a", 5) == 3
        assert spent("totp", "b", 2) == 2
        assert spent("step-up", "a", 2) == 2, "another operation"


def test_what_a_refusal_says() -> None:
    with limited("totp=3/60"):
        spent("totp", "a", 3)
        with pytest.raises(TooMany) as refused:
            spend("totp", "a")
        after = refused.value.retry_after_s
        assert 1 <= after <= 120
        assert refused.value.limits == {"RateLimit-Policy": '"totp";q=3;w=60', "RateLimit": f'"totp";r=0;t={after}'}


def test_what_is_left_of_the_last() -> None:
    with limited("act=10/60"):
        spent("act", "a", 4)
        left = spend_each([("address", "x"), ("act", "a")])
        assert left is not None
        assert (left.remaining, left.scope) == (5, "act")
        assert 0 < left.reset_s <= 60
    with limited("act=10/60", "address=1/60"):
        spend("address", "x")
        with pytest.raises(TooMany) as refused:
            spend_each([("address", "x"), ("act", "a")])
        assert '"address"' in refused.value.limits["RateLimit"], "the one that had none left"


def test_the_same_in_redis() -> None:
    with PrivateRedis() as redis, limited("act=10/60", "totp=3/60", redis_url=redis.url):
        assert spent("act", "a", 14) == 10
        left = spend_each([("address", "x"), ("act", "b")])
        assert left == Standing("act", Rate(10, 60), 9, left.reset_s if left else 0)
        with pytest.raises(TooMany) as refused:
            spend_each([("act", "a"), ("act", "b")])
        assert 1 <= refused.value.retry_after_s <= 120
        redis.kill()
        redis.start()  # it knows no script and no count any more
        limiting._shared = limiting.Shared()
        assert spent("act", "a", 2) == 2
        assert limiting._shared.storage() is not None, "it was not given up"
        assert spent("totp", "a", 5) == 3


def test_several_at_once_are_all_counted_or_none() -> None:
    with PrivateRedis() as redis:
        for url in (None, redis.url):
            with limited("act=10/60", redis_url=url):
                spend("act", "a", 6)
                with pytest.raises(TooMany):
                    spend("act", "a", 5)
                spend("act", "a", 4)
                assert spent("act", "a", 2) == 0


def test_an_outage_is_said_once_and_its_end_too() -> None:
    at_once = mock.patch.object(limiting, "AWAY_S", 0.0)
    with at_once, PrivateRedis() as redis, captured() as log, limited("act=100/60", redis_url=redis.url):
        redis.kill()
        assert spent("act", "a", 5) == 5
        redis.start()
        assert spent("act", "a", 5) == 5
    said = [json.loads(line)["event"] for line in log.getvalue().splitlines()]
    assert [one for one in said if one.startswith("limits_")] == ["limits_shared_away", "limits_shared_back"]


def test_nothing_is_counted_when_it_is_off() -> None:
    with limited("totp=1/60", throttle=False):
        assert spent("totp", "a", 5) == 5
        assert spend_each([("totp", "a")]) is None


@given(
    st.integers(1, 100),
    st.integers(1, 3600),
    st.integers(0, 200),
    st.floats(0, 1),
    st.integers(1, 100),
    st.floats(0, 1),
)
def test_after_the_wait_there_is_room(
    quota: int, window: int, before: int, part: float, count: int, rest: float
) -> None:
    """Whoever waits as long as Retry-After says, and alone, is let in."""
    count, before = min(count, quota), min(before, quota)
    left, ends = part * window, window + rest * window
    left = min(left, ends - window)  # both end with this window
    wait = wait_s(Rate(quota, window), (before, left, count, ends))
    assert 0 <= wait <= 2 * window
    if wait < ends - window:
        weight, used = max(0.0, left - wait) / window, count
        used_before = before
    else:
        weight, used, used_before = max(0.0, ends - wait) / window, 0, count
    if math.floor(used_before * weight + 1e-6) + used < quota or used_before * weight + used <= quota - 1 + 1e-6:
        return
    raise AssertionError((wait, used_before * weight, used))


def test_no_name_and_no_address_stands_in_a_key() -> None:
    with limited("address=1/60"):
        spent("address", "198.51.100.7", 1)
        kept = " ".join(limiting._here().storage)
        assert "198.51.100.7" not in kept
        assert digest("address", "198.51.100.7") in kept
    assert digest("address", "a") != digest("act", "a")


@pytest.mark.parametrize("wrong", ["act", "act=", "act=3", "act=0/60", "act=3/0", "act=-1/60", "nothing=3/60", "=1/1"])
def test_limits_that_cannot_be_read(wrong: str) -> None:
    with limited(wrong), pytest.raises(limiting.Unusable):
        spend("act", "a")


def test_every_guess_is_limited_by_less_than_an_act() -> None:
    for scope, rate in RATES.items():
        if rate.guessing:
            assert rate.quota / rate.window_s <= RATES["act"].quota / RATES["act"].window_s / 5, scope


def test_tests_start_without_limits() -> None:
    assert not settings.ENV.throttle
