"""Threads that send: a few for each channel, the urgent apart from the rest, so that a gateway that hangs holds up its
own and nobody else's. No queue: what finds no thread stays in the outbox, where every worker sees it."""

import threading
import time
from collections.abc import Callable

from django.db import connection

from server.notify.models import Channel
from server.notify.wake import WAKE

Lane = tuple[str, bool]
"""Channel, and whether it is urgent."""

SIZES: dict[Lane, int] = {
    (Channel.PUSH.value, True): 16,
    (Channel.PUSH.value, False): 8,
    (Channel.VOICE.value, True): 8,
    (Channel.VOICE.value, False): 2,
    (Channel.SMS.value, True): 8,
    (Channel.SMS.value, False): 2,
    (Channel.EMAIL.value, True): 4,
    (Channel.EMAIL.value, False): 4,
}

_busy: dict[Lane, int] = dict.fromkeys(SIZES, 0)
_changed = threading.Condition()


def free() -> dict[Lane, int]:
    """How many threads each lane has to spare."""
    with _changed:
        return {lane: size - _busy[lane] for lane, size in SIZES.items()}


def run(lane: Lane, work: Callable[[], None]) -> None:
    """Do it on a thread of this lane. Only the loop that has asked `free` starts any."""
    with _changed:
        _busy[lane] += 1
    # Daemons: one that waits for a provider must not hold up a server that stops. What it was sending is unknown then,
    # and is sent again when its lease runs out.
    threading.Thread(target=_run, args=(lane, work), name=f"send-{lane[0]}", daemon=True).start()


def _run(lane: Lane, work: Callable[[], None]) -> None:
    try:
        work()
    finally:
        connection.close()
        with _changed:
            was_full = _busy[lane] == SIZES[lane]
            _busy[lane] -= 1
            _changed.notify_all()
        if was_full:
            WAKE.set()  # more may wait


def wait_idle(timeout_s: float) -> bool:
    """Whether nothing is being sent any more, at the latest after so long."""
    ends = time.monotonic() + timeout_s
    with _changed:
        return _changed.wait_for(lambda: not any(_busy.values()), max(0.0, ends - time.monotonic()))
