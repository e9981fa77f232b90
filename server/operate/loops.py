"""Worker loops: small, stateless, supervised. Each looks for rows that are due and does them."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import connection

from server.alerts import rostering, router, trial
from server.audit import keeping, mailing, metrics
from server.audit import worker as audit
from server.common import idempotency
from server.common.db import on_this_thread
from server.consent import worker as consent
from server.notify import upkeep
from server.notify import worker as notify
from server.operate.measuring import LOOPS_FAILED
from server.people import worker as people
from server.review import erasing, scanning
from server.review import worker as review
from server.rooms import notices
from server.rooms import worker as rooms

log = structlog.get_logger(__name__)

SLOWEST_RETRY_S = 30.0
END_SEEN_S = 0.25
SOON_S = 1.0
"""What calls for help wait for is tried again as soon as that: after an outage nobody waits for half a minute."""


@dataclass(frozen=True, slots=True)
class Loop:
    """`tick` does what is due and returns how much that was; it is called every `every_s` seconds, and as soon as
    `wake` is set, which `tick` clears. One that fails is called again later and later, but within `slowest_s`."""

    name: str
    tick: Callable[[], int]
    every_s: float
    wake: threading.Event | None = None
    slowest_s: float = SLOWEST_RETRY_S


LOOPS = (
    Loop("people", people.tick, 2.0),
    Loop("consent", consent.tick, 1.0),
    Loop("alerts", router.tick, router.EVERY_S, router.WAKE, SOON_S),
    Loop("rosters", rostering.tick, rostering.EVERY_S),
    Loop("notify", notify.tick, 0.5, notify.WAKE, SOON_S),
    Loop("notify-upkeep", upkeep.tick, upkeep.EVERY_S),
    Loop("trial", trial.tick, trial.EVERY_S),
    Loop("rooms", rooms.tick, 1.0),
    Loop("notices", notices.tick, notices.EVERY_S),
    Loop("review", review.tick, 1.0),
    Loop("findings", scanning.tick, 60.0),
    Loop("erasures", erasing.tick, erasing.EVERY_S),
    Loop("idempotency", idempotency.forget_old, 600.0),
    Loop("checkpoint-copies", keeping.keep_copies, 1.0),
    Loop("checkpoint-thinning", keeping.thin, 600.0),
    Loop("checkpoint-mail", mailing.mail_newest, 30.0),
    *([Loop("audit", metrics.tick, audit.EVERY_S)] if settings.ENV.sequencer else []),
)


def start(stop: threading.Event, loops: Sequence[Loop] = LOOPS) -> list[threading.Thread]:
    """Start every loop on a thread of its own; set `stop` to end them."""
    threads = [
        threading.Thread(target=_supervise, args=(loop, stop), name=f"loop-{loop.name}", daemon=True) for loop in loops
    ]
    for thread in threads:
        thread.start()
    return threads


def _supervise(loop: Loop, stop: threading.Event) -> None:
    """A tick that fails is logged and tried again, later and later; nothing is lost, the rows stay due."""
    wait = loop.every_s
    while not _stopped(loop, stop, wait):
        try:
            on_this_thread(loop.tick)
            wait = loop.every_s
        except Exception as error:
            log.error("loop_failed", loop=loop.name, exc_info=error)
            LOOPS_FAILED.labels(loop.name).inc()
            wait = min(max(wait * 2, 1.0), loop.slowest_s)
        finally:
            connection.close()  # back to the pool: a loop that sleeps must not keep a connection from a request


def _stopped(loop: Loop, stop: threading.Event, wait: float) -> bool:
    """Wait until the next tick, or the end; True when it is the end."""
    if loop.wake is None:
        return stop.wait(wait)
    # Nothing waits for two events at once, so the end is looked for now and then.
    while wait > 0 and not stop.is_set() and not loop.wake.wait(min(wait, END_SEEN_S)):
        wait -= END_SEEN_S
    return stop.is_set()
