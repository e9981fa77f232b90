"""What whoever keeps watch should look at, as codes: none of it stops the server (house law 8)."""

import threading
import time

import structlog
from django.conf import settings

from server.audit import keeping, mailing, rows, worker
from server.audit.metrics import ALARMS
from server.common.clock import now
from server.notify import standing
from server.operate.models import WatchReport

log = structlog.get_logger(__name__)

UNACCOUNTED = "audit_unaccounted"
SILENT = "watchdog_silent"
LATE_S = 5.0
"""An event that has waited longer to be sealed is late."""
SEARCHED_S = 120.0
"""How far back events are looked for that are neither sealed nor waiting; health is asked much more often."""
WATCHDOG_S = 30.0
"""A watchdog that has not looked for so long is silent."""
BORN = time.monotonic()
KEPT_S = 2.0
"""For so long an answer is given again: anybody may ask for health, as often as they like."""


class _Kept:
    lock = threading.Lock()
    warnings: tuple[str, ...] = ()
    until = 0.0


def warnings() -> tuple[str, ...]:
    """Codes, at most two seconds old; while somebody else looks, those of before. Raises what the database raises."""
    if time.monotonic() >= _Kept.until and _Kept.lock.acquire(blocking=False):
        try:
            _Kept.warnings, _Kept.until = look(), time.monotonic() + KEPT_S
        finally:
            _Kept.lock.release()
    return _Kept.warnings


def look() -> tuple[str, ...]:
    """The same, now."""
    found = {
        "audit_sealing_late": rows.oldest_pending_s() > LATE_S,
        "audit_sequencer_stopped": bool(worker.state()),
        UNACCOUNTED: _unaccounted(),
        "checkpoint_copies_ahead": keeping.ahead(),
        "checkpoint_copies_failing": keeping.failing() or mailing.failing(),
    }
    return (*(code for code, is_so in found.items() if is_so), *sorted(standing.warnings()), *_watchdog())


def forget() -> None:
    """The next question is asked anew."""
    _Kept.until = 0.0


def _watchdog() -> tuple[str, ...]:
    """What it has found; or that it says nothing, where one is to run or has run before."""
    told = WatchReport.objects.values_list("at", "findings").first()
    if told is not None and (now() - told[0]).total_seconds() <= WATCHDOG_S:
        return tuple(one["code"] for one in told[1])
    is_missed = told is not None or settings.ENV.watchdog
    return (SILENT,) if is_missed and time.monotonic() - BORN > WATCHDOG_S else ()


def _unaccounted() -> bool:
    """An alarm when it is found, and no further one while it stays."""
    lost = rows.lost(SEARCHED_S)
    if lost and UNACCOUNTED not in _Kept.warnings:
        ALARMS.inc()
        log.critical(UNACCOUNTED, events=lost)
    return bool(lost)
