"""Keeps watch over calls for help from outside: a process of its own, with SQL of its own, which shares with the router
nothing but the rows (law 6). What it finds it writes down, logs, and tells by silence: it pings a dead man's switch
only while nothing urgent is found.

`manage.py serve` runs it as a child (`python -m server.operate.watchdog`); `manage.py watchdog` runs it by itself.
"""

import json
import logging.config
import os
import select
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings

from server.alerts.calendar import Calendar
from server.alerts.quality import SOON_DAYS, quality
from server.alerts.shifts import Shift
from server.common.logs import quiet_hooks
from server.operate.dead_man import DeadMan
from server.operate.own_sql import FAULTS, Database, Row, connect, json_out, time_out, uuid_out

log = structlog.get_logger(__name__)

EVERY_S = 5.0
OVERDUE_S, UNPAGED_S, SILENT_S = 15.0, 30.0, 15.0
CLOSED_S, FAR_S = 24 * 3600.0, 5 * 3600.0
"""How long ago an alert may have been closed to be looked at; how far ahead none is ever due."""
JUMP_S = 2.0
TOLD_S = 600.0
"""For so long a jump of the clock is told: long enough for whoever waits for pings to notice."""
SLOW_S = 60.0
"""Between two looks at rosters, which change by the hour."""
GRACE_S = 60.0
"""By so much a trial may be late."""

URGENT = (
    "alerts_overdue",
    "alerts_unpaged",
    "alert_closed_silently",
    "alert_due_far",
    "pages_late",
    "router_silent",
    "clock_jumped",
    "synthetic_failed",
    "synthetic_missing",
)
"""Somebody may be calling for help and not be heard."""
CODES = (*URGENT, "roster_gap", "roster_unreadable")


@dataclass(frozen=True, slots=True)
class Finding:
    """One of `CODES`, and of how many it is true."""

    code: str
    count: int = 1

    @property
    def is_urgent(self) -> bool:
        return self.code in URGENT


@dataclass(frozen=True, slots=True)
class _Sample:
    """The database's clock, and ours, which nobody sets, before and after asking."""

    before: float
    database: datetime
    after: float


class Watch:
    """What one process remembers between looks."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._sample: _Sample | None = None
        self._jumped_at: float | None = None
        self._slow: list[Finding] = []
        self._slow_due = 0.0

    def look(self, database: Database) -> list[Finding]:
        """Everything that is wrong now. Raises one of `FAULTS`."""
        before = self._monotonic()
        at = database.now()
        self._compare(_Sample(before, at, self._monotonic()))
        found = [*_alerts(database, at), *_router(database, at), *_trials(database, at)]
        if self._jumped_at is not None and self._monotonic() - self._jumped_at < TOLD_S:
            found.append(Finding("clock_jumped"))
        if self._monotonic() >= self._slow_due:
            self._slow = list(_rosters(database, at))
            self._slow_due = self._monotonic() + SLOW_S
        return found + self._slow

    def _compare(self, new: _Sample) -> None:
        """Whether the database's clock has gone another way than ours, beyond what a slow answer explains (law 10)."""
        old, self._sample = self._sample, new
        if old is None:
            return
        gone = (new.database - old.database).total_seconds()
        if gone > new.after - old.before + JUMP_S or gone < new.before - old.after - JUMP_S:
            self._jumped_at = self._monotonic()


def _some(code: str, rows: list[Row]) -> list[Finding]:
    count = int(rows[0][0])
    return [Finding(code, count)] if count else []


# --- calls for help ------------------------------------------------------------------------------------

OVERDUE = "SELECT COUNT(*) FROM alerts_alert WHERE state <> 'closed' AND due_at < %s"
UNPAGED = """
    SELECT COUNT(*) FROM alerts_alert a WHERE a.state <> 'closed' AND a.duty = 'router' AND NOT a.synthetic
    AND EXISTS (SELECT 1 FROM alerts_alertevent e
      WHERE e.alert_id = a.id AND e.generation = a.generation AND e.at < %s)
    AND NOT EXISTS (SELECT 1 FROM notify_delivery d WHERE d.about = a.id AND d.kind = 'page'
      AND d.generation = a.generation AND d.channel <> 'email' AND d.accepted_at IS NOT NULL)
"""
"""Calling people began, or began anew, so long ago, and no provider has taken anything that wakes somebody."""
SILENTLY = """
    SELECT COUNT(*) FROM alerts_alert a WHERE a.state = 'closed' AND (a.closed_at > %s OR a.raised_at > %s)
    AND NOT EXISTS (SELECT 1 FROM alerts_alertevent e WHERE e.alert_id = a.id AND e.type = 'closed')
"""
"""Ended by no deed: each writes its event in the same transaction."""
FAR = "SELECT COUNT(*) FROM alerts_alert WHERE state <> 'closed' AND due_at > %s"
LATE = """
    SELECT COUNT(*) FROM notify_delivery WHERE state IN ('waiting', 'leased') AND urgent
    AND kind IN ('page', 'synthetic') AND due_at < %s
"""
BEAT = "SELECT MAX(at) FROM alerts_routerbeat"


def _alerts(database: Database, at: datetime) -> Iterable[Finding]:
    overdue = database.time_in(at - timedelta(seconds=OVERDUE_S))
    yield from _some("alerts_overdue", database.ask(OVERDUE, overdue))
    yield from _some("alerts_unpaged", database.ask(UNPAGED, database.time_in(at - timedelta(seconds=UNPAGED_S))))
    closed = database.time_in(at - timedelta(seconds=CLOSED_S))
    yield from _some("alert_closed_silently", database.ask(SILENTLY, closed, closed))
    yield from _some("alert_due_far", database.ask(FAR, database.time_in(at + timedelta(seconds=FAR_S))))
    yield from _some("pages_late", database.ask(LATE, overdue))


def _router(database: Database, at: datetime) -> Iterable[Finding]:
    beat = database.ask(BEAT)[0][0]
    if beat is None or at - time_out(beat) > timedelta(seconds=SILENT_S):
        yield Finding("router_silent")


# --- the hourly trial ------------------------------------------------------------------------------------

OPEN = "SELECT id, opened_at FROM alerts_programme WHERE opened_at IS NOT NULL AND closed_at IS NULL"
TRIALS = """
    SELECT a.raised_at, a.state, a.outcome FROM alerts_programme p
    JOIN alerts_alert a ON a.programme_id = p.id AND a.raised_at > %s
    WHERE a.synthetic ORDER BY a.raised_at DESC
"""


def _trials(database: Database, at: datetime) -> Iterable[Finding]:
    env = settings.ENV
    opened = [time_out(opened_at) for _, opened_at in database.ask(OPEN)] if env.synthetic_user else []
    if not opened:
        return
    since = at - timedelta(seconds=env.synthetic_every_s + env.synthetic_answer_s + GRACE_S)
    trials = database.ask(TRIALS, database.time_in(since))
    if not trials and min(opened) < since:
        yield Finding("synthetic_missing")
    for raised_at, state, outcome in trials:
        if state == "closed" and outcome == "answered":
            return
        late = at - time_out(raised_at) > timedelta(seconds=env.synthetic_answer_s + GRACE_S / 2)
        if state == "closed" or late:
            yield Finding("synthetic_failed")
            return


# --- rosters ---------------------------------------------------------------------------------------------

HOURS = """
    SELECT id, office_hours, exceptions FROM alerts_programme WHERE opened_at IS NOT NULL AND closed_at IS NULL
"""
SHIFTS = """
    SELECT s.programme_id, s.user_id, s.begins, s.ends, s.source FROM alerts_shift s
    WHERE s.cancelled_at IS NULL AND s.ends > %s AND s.begins < %s AND EXISTS (
      SELECT 1 FROM alerts_teammember m JOIN people_engagement e ON e.id = m.engagement_id
      JOIN people_user u ON u.id = m.user_id
      WHERE m.programme_id = s.programme_id AND m.user_id = s.user_id AND u.is_active
      AND m.ended_at IS NULL AND (m.valid_to IS NULL OR m.valid_to > s.begins) AND m.valid_from < s.ends
      AND e.ended_at IS NULL AND (e.valid_to IS NULL OR e.valid_to > s.begins))
"""
"""Those of people who are in the team by then: a shift of somebody who has left is nobody's."""


def _rosters(database: Database, at: datetime) -> Iterable[Finding]:
    """Times in the next days at which nobody is on call, outside office hours."""
    until = at + timedelta(days=SOON_DAYS)
    shifts = [
        (programme, Shift(uuid_out(user), time_out(begins), time_out(ends), uuid_out(source)))
        for programme, user, begins, ends, source in database.ask(SHIFTS, database.time_in(at), database.time_in(until))
    ]
    gaps = unreadable = 0
    for programme, office_hours, exceptions in database.ask(HOURS):
        mine = [shift for whose, shift in shifts if whose == programme]
        try:
            calendar = Calendar.stored(json_out(office_hours), json_out(exceptions))
            gaps += len(quality(mine, calendar, at, until, lambda user: True).gaps)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            log.error("roster_unreadable", error=type(error).__name__)
            unreadable += 1
    if gaps:
        yield Finding("roster_gap", gaps)
    if unreadable:
        yield Finding("roster_unreadable", unreadable)


# --- round after round -----------------------------------------------------------------------------------

REPORT = """
    INSERT INTO operate_watchreport (id, at, findings) VALUES (1, %s, %s)
    ON CONFLICT (id) DO UPDATE SET at = excluded.at, findings = excluded.findings
"""


def report(database: Database, found: Iterable[Finding]) -> None:
    """Write down what was found, for health and metrics. Raises one of `FAULTS`."""
    said = json.dumps([{"code": one.code, "count": one.count} for one in found])
    database.tell(REPORT, database.time_in(database.now()), said)


class Rounds:
    """Looks, reports, pings. A database that does not answer is no reason to end: nothing is pinged then."""

    def __init__(self, switch: DeadMan) -> None:
        self._watch, self._switch = Watch(), switch
        self._database: Database | None = None
        self._known: set[str] = set()

    def go(self) -> None:
        try:
            if self._database is None:
                self._database = connect(settings.DATABASES["default"])
            found = self._watch.look(self._database)
            report(self._database, found)
        except FAULTS as error:
            self._say({"watchdog_blind": 1}, error=type(error).__name__)
            self.close()
            return
        self._say({one.code: one.count for one in found})
        if not any(one.is_urgent for one in found):
            self._switch.ping()

    def _say(self, codes: dict[str, int], **more: str) -> None:
        """Each once when it begins, and once when it is over."""
        for code in sorted(set(codes) - self._known):
            log.critical("watchdog_found", code=code, count=codes[code], **more)
        for code in sorted(self._known - set(codes)):
            log.info("watchdog_over", code=code)
        self._known = set(codes)

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
        self._database = None


def run(ends_within: Callable[[float], bool]) -> None:
    """Look every `EVERY_S` until `ends_within`, which waits so many seconds, says that it is over. The first look comes
    after the first wait: what has just been started beside it has been heard by then."""
    rounds = Rounds(DeadMan(settings.ENV.dead_man_url, settings.ENV.dead_man_every_s))
    while not ends_within(EVERY_S):
        rounds.go()
    rounds.close()


def _parent_gone(seconds: float) -> bool:
    """Whether whoever started us closed our standard input within so many seconds, be it by being killed."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        ready, _, _ = select.select([0], [], [], left)
        if ready and not os.read(0, 1024):
            return True
    return False


def main() -> None:
    """As a child of `manage.py serve`: ends with it. Ctrl-C is the parent's to answer."""
    logging.config.dictConfig(settings.LOGGING)
    quiet_hooks()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run(_parent_gone)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "server.settings")
    main()
