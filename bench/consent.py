"""What it costs to decide, in a process of its own: `python -m bench.consent CROWD TIMES`, with a stack's environment.

CROWD is what `manage.py demo crowd` wrote; JSON goes to standard output. All figures are CPU seconds of this process,
so PostgreSQL's part, which is the same in all variants, is not in them.
"""

import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.settings")
django.setup()

from django.test import Client  # noqa: E402 - Django first

from server.common.clock import now  # noqa: E402
from server.consent import records, sealing  # noqa: E402
from server.consent.decide import ConsentRecord, Grant, Who, decide  # noqa: E402
from server.consent.models import Consent  # noqa: E402
from server.rooms import permits  # noqa: E402

ROUNDS = 7
PAGE = 50
CATEGORIES = frozenset({"conversation"})


def believed(*_: object) -> bool:
    return True  # no Mock, which would cost as much as a seal


def unsealed() -> AbstractContextManager[Any]:
    """Every version is believed without looking at its seal."""
    return mock.patch.object(sealing, "holds", believed)


def forget() -> None:
    """As in a process that has met none of these versions."""
    sealing._signed.cache_clear()  # noqa: SLF001 - there is no other way to a first time
    records.parsed.cache_clear()


def spent(work: Callable[[], object], times: int) -> float:
    """CPU seconds of one `work`, the mean of so many."""
    begun = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - begun) / times


def in_turns(work: Callable[[], object], times: int) -> dict[str, float]:
    """The median of both variants in microseconds, call by call in turn; `sealed` is the product as it is."""
    variants: dict[str, Callable[[], AbstractContextManager[Any]]] = {"sealed": nullcontext, "unsealed": unsealed}
    samples: dict[str, list[float]] = {name: [] for name in variants}
    work()
    for _ in range(ROUNDS * times):
        for name, how in variants.items():
            with how():
                samples[name].append(spent(work, 1))
    middle = {name: statistics.median(found) for name, found in samples.items()}
    told = {f"{name}_us": round(1e6 * seconds, 1) for name, seconds in middle.items()}
    return told | {"sealed_to_unsealed": round(middle["sealed"] / middle["unsealed"], 3)}


def verify(crowd: list[dict[str, Any]], times: int) -> dict[str, float]:
    """One version, read and verified from what the statement found, in microseconds: as at every load, and as when the
    process meets it for the first time (Ed25519 and the parsing are remembered by every byte)."""
    stored = [records.stored_version(Consent.objects.get(id=room["consent"])) for room in crowd]

    def again() -> None:
        for one in stored:
            assert records.read(one) is not None

    def first() -> None:
        forget()
        again()

    again()
    each = {name: min(spent(work, times) for _ in range(ROUNDS)) for name, work in (("us", again), ("first_us", first))}
    return {name: round(1e6 * seconds / len(stored), 1) for name, seconds in each.items()}


def load(crowd: list[dict[str, Any]], times: int) -> dict[str, float]:
    """One person's permit in one room, as every request makes it."""
    turn = itertools.cycle([(UUID(room["id"]), UUID(room["staff"][0]["user"])) for room in crowd])

    def work() -> None:
        room, user = next(turn)
        assert (room, user) in permits.load([room], users=[user])

    return in_turns(work, times)


def page(room: dict[str, Any], times: int) -> dict[str, float]:
    """A page of history over REST, without a server around it: session, permit, events unsealed, log, JSON."""
    client = Client(HTTP_HOST="127.0.0.1", HTTP_AUTHORIZATION=f"Bearer {room['staff'][0]['token']}")
    address = f"/api/v1/rooms/{room['id']}"
    for number in range(PAGE):
        said = {"txn_id": f"bench-{number}", "body": "Kan vi flytte avtalen til tirsdag? " * 5}
        assert client.post(f"{address}/messages", said, content_type="application/json").status_code == 201

    def work() -> None:
        answer = client.get(f"{address}/events?limit={PAGE}")
        assert len(answer.json()["results"]) == PAGE

    return in_turns(work, times)


def decisions(times: int) -> dict[str, float]:
    """CPU seconds of 1,000 decisions about so many records, of which the last alone permits."""
    at, here, me = now(), UUID(int=1), UUID(int=2)
    who = Who(user_id=me, unit_id=here, role="psykolog", same_controller=True)

    def record(number: int, unit: UUID) -> ConsentRecord:
        return ConsentRecord(
            version_id=UUID(int=100 + number),
            active=True,
            purpose="coordination",
            categories=CATEGORIES,
            grants=frozenset({Grant(unit, me, None)}),
            valid_from=at - timedelta(days=1),
            valid_to=at + timedelta(days=1),
        )

    found = {}
    for count in (1, 10, 100):
        about = [record(number, UUID(int=50)) for number in range(count - 1)] + [record(count, here)]
        assert decide(about, who, "coordination", "conversation", at).permit

        def work(about: list[ConsentRecord] = about) -> None:
            decide(about, who, "coordination", "conversation", at)

        found[str(count)] = round(1000 * min(spent(work, times) for _ in range(ROUNDS)), 5)
    return found


def main(crowd: Path, times: int) -> None:
    rooms = json.loads(crowd.read_text())["rooms"]
    told = {
        "verify": verify(rooms, times),
        "load": load(rooms, times),
        "page": page(rooms[0], max(times // 4, 1)),
        "decide_s": decisions(times),
    }
    told["page"]["seal_share"] = round(told["verify"]["us"] / told["page"]["sealed_us"], 4)
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
