"""Two servers and one Redis: what one has counted the other knows, and an outage stops nobody but who guesses."""

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from server.common.limiting import AWAY_S
from tests.gateway.servers import Server, site
from tests.support.served import once
from tools.servers import PrivateRedis

pytestmark = pytest.mark.django_db

LIMITS = "message=20/600 sign-in=40/600 look-up=5/600"


class Caller:
    def __init__(self, server: Server, name: str) -> None:
        token = server.sign_in(name)["token"]
        self.client = httpx.Client(
            base_url=f"{server.url}/api/v1/", headers={"Authorization": f"Bearer {token}"}, verify=False, timeout=30
        )

    def at(self, server: Server) -> "Caller":
        """The same session, at another server."""
        self.client.base_url = f"{server.url}/api/v1/"
        return self

    def write(self, room: str) -> int:
        return self.client.post(f"rooms/{room}/messages", json={"txn_id": uuid4().hex, "body": "."}).status_code


@pytest.fixture
def redis() -> Iterator[PrivateRedis]:
    with PrivateRedis() as one:
        yield one


@pytest.fixture
def servers(redis: PrivateRedis, django_db_setup: None) -> Iterator[tuple[Server, Server]]:
    env = {"REDIS_URL": redis.url, "REDIS_PREFIX": "limits-test", "THROTTLE": "1", "RATE_LIMITS": LIMITS}
    with site(**env) as here, here.server() as one, here.server(SEQUENCER="0") as two:
        yield one, two


@pytest.mark.parametrize("presses", [pytest.param(20, marks=once), pytest.param(1000, marks=pytest.mark.prove)])
def test_limits_are_shared_and_help_is_never_limited(
    servers: tuple[Server, Server], redis: PrivateRedis, presses: int
) -> None:
    one, _ = servers
    are = Caller(one, "are")
    room = str(uuid4())  # none: what is counted is the attempt

    through = [are.at(server).write(room) for _ in range(13) for server in servers]
    assert through == [404] * 20 + [429] * 6, "twenty, at whichever server"

    keys = redis_keys(redis)
    assert keys, "counted in Redis"
    prefix = one.site.environment["REDIS_PREFIX"]
    assert all(key.startswith(f"{prefix}:limits:") for key in keys if "limits:" in key)
    assert not [key for key in keys if "127.0.0.1" in key], "and nothing of anybody stands there"

    first = are.client.put(f"alerts/{uuid4()}", json={})
    assert first.status_code in (200, 201), first.text
    for number in range(presses):
        pressed = are.at(servers[number % 2]).client.put(f"alerts/{uuid4()}", json={})
        assert pressed.status_code in (200, 201), (number, pressed.text)
        assert "RateLimit" not in pressed.headers
    assert are.write(room) == 429, "meanwhile messages are"

    # --- Redis is killed, in the middle of it
    redis.kill()
    for server in servers:
        answer = are.at(server).client.get("me")
        assert answer.status_code == 200, "what is ordinary goes on"
    assert are.at(one).write(room) == 404, "counted anew, by this process"
    assert [are.at(one).write(room) for _ in range(20)] == [404] * 19 + [429], "and limited by it"
    assert are.client.put(f"alerts/{uuid4()}", json={}).status_code in (200, 201)
    assert "limits_shared_away" in one.said(200_000)

    # --- whoever guesses has gained nothing: what each process has seen before stands
    redis.start()
    time.sleep(AWAY_S)
    guesses: list[int] = []
    for number in range(60):
        if number == 25:
            redis.kill()
        guesses.append(guess(one))
    assert guesses.count(429) >= 20, guesses
    assert 429 not in guesses[:25]


def guess(server: Server) -> int:
    answer = httpx.post(f"{server.url}/api/v1/demo/sign-in", json={"persona": "nobody"}, verify=False)
    return answer.status_code


def redis_keys(redis: PrivateRedis) -> list[str]:
    import redis as client  # noqa: PLC0415 - the fixture has its name

    with client.Redis.from_url(redis.url) as one:
        found: list[Any] = list(one.scan_iter("*"))
    return [key.decode() for key in found]
