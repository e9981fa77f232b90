"""A message's notice waits a little, for a time that tells nothing. A call for help never does (`tests/alerts`)."""

from datetime import UTC, datetime, timedelta
from statistics import correlation, fmean
from uuid import UUID

from django.test import override_settings

from server.notify.topics import spread, topic
from server.rooms import notices
from server.rooms.notices import Untold
from tests.support.deliveries import means
from tests.support.served import sqlite_only

pytestmark = sqlite_only

MANY = 2_000
AT = datetime(2026, 2, 3, 12, tzinfo=UTC)
ROOM, ARE, VERA, HIS, HERS = (UUID(int=number) for number in range(5))
SIGMA = 5
"""Deviations that chance is allowed: once in a million runs."""


def ids(since: int) -> list[UUID]:
    """One after another, as a stranger might try them."""
    return [UUID(int=since + number) for number in range(MANY)]


def waits(message: int) -> tuple[float, float]:
    """How long Are and Vera wait, in parts of the whole, when Kari has written one message more."""
    told = [Untold(who, ROOM, who, "nb", message, 0) for who in (ARE, VERA)]
    orders = [notices._order(one, device, AT) for one, device in zip(told, (HIS, HERS), strict=True)]
    found = [(one.due_at - AT).total_seconds() / 10 for one in orders if one.due_at is not None]
    return found[0], found[1]


def test_every_wait_is_as_likely_as_every_other() -> None:
    with means(notice_spread_s=10):
        found = [spread(one).total_seconds() / 10 for one in ids(1)]
    assert all(0 <= one < 1 for one in found)
    bins = [0] * 10
    for one in found:
        bins[int(one * 10)] += 1
    expected = MANY / 10
    assert all(abs(count - expected) < SIGMA * (expected * 0.9) ** 0.5 for count in bins), bins


def test_one_wait_says_nothing_of_another() -> None:
    """Neither of the next one's, nor of another installation's for the same notice."""
    limit = SIGMA / MANY**0.5
    with means(notice_spread_s=10):
        ours = [spread(one).total_seconds() for one in ids(1)]
        with override_settings(SECRET_KEY="of another installation"):
            theirs = [spread(one).total_seconds() for one in ids(1)]
    assert abs(correlation(ours[:-1], ours[1:])) < limit
    assert abs(correlation(ours, theirs)) < limit


def test_each_of_a_rooms_devices_waits_for_itself() -> None:
    """Red when the wait is the room's, the writer's or the message's."""
    with means(notice_spread_s=10):
        pairs = [waits(message) for message in range(1, MANY + 1)]
    his, hers = (list(one) for one in zip(*pairs, strict=True))
    assert abs(correlation(his, hers)) < SIGMA / MANY**0.5
    first = sum(a < b for a, b in pairs) / MANY
    assert abs(first - 0.5) < SIGMA * 0.5 / MANY**0.5, "who is told first says nothing"
    assert abs(fmean(abs(a - b) for a, b in pairs) - 1 / 3) < 0.03, "they lie as far apart as chance puts them"


def test_the_same_notice_waits_once() -> None:
    """A worker that does it again puts it in at the same time: two tries would let the shorter be seen."""
    with means(notice_spread_s=10):
        assert spread(ROOM) == spread(ROOM)
    with means(notice_spread_s=0):
        assert spread(ROOM) == timedelta(0)


def test_a_topic_says_nothing() -> None:
    """RFC 8030 section 5.4: 32 characters at most, url-safe. One matter is one on a device, and another on another."""
    found = {
        topic(what, about, device) for what in ("alert", "room") for about in (ROOM, ARE) for device in (HIS, HERS)
    }
    assert len(found) == 8
    assert {len(one) for one in found} == {32}
    assert topic("alert", ARE, HIS) == topic("alert", ARE, HIS)
    with override_settings(SECRET_KEY="of another installation"):
        assert topic("alert", ARE, HIS) not in found
