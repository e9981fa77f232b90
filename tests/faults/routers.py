"""Processes of the router, to be killed: `python -m tests.faults.routers`, asked as `tests.faults.doomed` is.

`route` runs the product's own loops that call people; `press` is a server that takes calls for help, without HTTP;
`phones` is the push service with the devices behind it, whose owners accept by the token of the page.
"""

import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from bench import night  # Django first

from tests.faults import doomed  # isort: skip

from django.db import DatabaseError, InterfaceError, connection

from server.alerts import router, store
from server.alerts.actions import alerts as actions
from server.alerts.authentication import find_key
from server.common.errors import Conflict, Problem, Unavailable
from server.notify import actions as notify
from server.notify import channels, recording, worker
from server.operate import loops
from tests.support.push_service import Message, PushService

CALLS = UUID("0b7f0f3a-2c52-5d0e-8a40-6c5f1b1f2a11")
AGAIN_S = 0.2
"""Between two tries of a phone that was not answered."""
Call = Callable[..., Any]


# --- where a process may end ---------------------------------------------------------------------------------


def before(module: Any, name: str, met: Callable[[], None]) -> None:
    call = getattr(module, name)

    def instead(*words: Any, **more: Any) -> Any:
        met()
        return call(*words, **more)

    setattr(module, name, instead)


def after(module: Any, name: str, met: Callable[[], None], *, counts: Callable[[Any], bool] = lambda _: True) -> None:
    """`counts`: whether this result is one of those that are waited for."""
    call = getattr(module, name)

    def instead(*words: Any, **more: Any) -> Any:
        result = call(*words, **more)
        if counts(result):
            met()
        return result

    setattr(module, name, instead)


POINTS: dict[str, Callable[[Callable[[], None]], None]] = {
    "A-locked": partial(after, store, "locked", counts=bool),  # the alert's row is held, nothing is decided
    "A-decided": partial(after, router, "decide"),
    "A-written": partial(after, store, "save"),  # state, events and pages, not committed
    "A-committed": partial(after, router, "look", counts=bool),
    "B-leased": partial(after, worker, "_held", counts=bool),  # not committed
    "B-committed": partial(after, worker, "_lease", counts=bool),
    "B-asked": partial(after, worker, "_prepare", counts=bool),  # the keeper has said that it may be sent
    "C-sending": partial(before, channels, "send"),
    "C-sent": partial(after, channels, "send"),  # the provider has it, and nobody knows
    "D-told": partial(after, recording, "settle"),  # not committed
    "D-recorded": partial(after, worker, "record"),
}
"""Between the phases: `arm(met)` makes `met` be called there."""
IN_A_SERVER = ("A-locked", "A-decided", "A-written", "A-committed")


class Doom:
    """At the `nth` time that the point is reached, the process is killed; threads of it may be anywhere else then."""

    def __init__(self, at: str, nth: int = 1) -> None:
        self._at, self._left, self._lock = at, nth, threading.Lock()

    def arm(self) -> None:
        POINTS[self._at](self._met)

    def _met(self) -> None:
        with self._lock:
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)


# --- work ------------------------------------------------------------------------------------------------------


def route(doom: dict[str, Any] | None = None) -> int:
    """The loops of a worker that call people."""
    if doom:
        Doom(**doom).arm()
    threads = loops.start(threading.Event(), [one for one in loops.LOOPS if one.name in ("alerts", "notify")])
    for thread in threads:
        thread.join()
    return 0


def build(patients: int, devices: str, out: str) -> int:
    keys = night.build(patients, json.loads(Path(devices).read_text()))
    Path(out).write_text(json.dumps(keys))
    return 0


def press(
    keys: list[str], rate: float, inline: float, seed: int, threads: int = 4, doom: dict[str, Any] | None = None
) -> int:
    """Each key calls once, at this rate, again and again until it is answered; each line is an answered one. In a part
    of them (1 - `inline`) the server has nothing left to do after the commit but to answer: the loops must find it."""
    if doom:
        Doom(**doom).arm()
    dice = random.Random(seed)
    begun, said = time.monotonic(), threading.Lock()

    def call(number: int, key: str, looks: bool) -> None:
        time.sleep(max(0.0, begun + number / rate - time.monotonic()))
        while True:
            try:
                found = find_key(key)
                assert found is not None, "a key that works"
                pressed = actions.press(presser=actions.presser_of(found, None), alert_id=uuid5(CALLS, key))
                break
            except (DatabaseError, InterfaceError, Unavailable):
                connection.close()
                time.sleep(AGAIN_S)
        if looks:
            router.soon(pressed.alert.id)
        with said:
            print(key, pressed.alert.id, flush=True)

    with ThreadPoolExecutor(threads) as pool:
        works = [pool.submit(call, number, key, dice.random() < inline) for number, key in enumerate(keys)]
        for work in works:
            work.result()
    return 0


def phones(names: list[str], out: str, seed: int, delay_s: float = 0.5) -> int:
    """A device each. It says that it has received a page, then its owner presses «accept», at times twice at once; each
    line tells of an answer: `accepted` or `lost`, the alert, the page."""
    dice, said = random.Random(seed), threading.Lock()
    with PushService() as push, ThreadPoolExecutor(12) as pool:

        def shown(message: Message) -> None:
            if message["kind"] != "page":
                return
            pool.submit(until_answered, message, partial(notify.received, token=message["token"]), "received")
            time.sleep(dice.uniform(0, delay_s))
            for _ in range(2 if dice.random() < 0.25 else 1):
                accept = partial(notify.answered, token=message["token"], accept=True)
                pool.submit(until_answered, message, accept, "accepted")

        def until_answered(message: Message, deed: Call, word: str) -> None:
            while True:
                try:
                    deed()
                    answer = word
                    break
                except Conflict as lost:
                    answer = f"lost:{lost.code}"
                    break
                except Problem as refused:
                    if not isinstance(refused, Unavailable):
                        answer = f"refused:{refused.code}"
                        break
                except (DatabaseError, InterfaceError):
                    pass
                connection.close()
                time.sleep(AGAIN_S)
            with said:
                print(answer, UUID(message.topic), notify.delivery_of(message["token"]), flush=True)

        Path(out).write_text(json.dumps({name: [push.subscribe(on_message=shown)] for name in names}))
        threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.setswitchinterval(0.001)  # as `manage.py serve` does
    doomed.WORK |= {"route": route, "build": build, "press": press, "phones": phones}
    doomed.main()
    sys.exit(0)
