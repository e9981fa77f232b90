"""What an attempt means, what a gateway's word means, what may wait and what is silent: pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal

from server.people.hours import OSLO, is_clock, moment

RETRIES_S = (2.0, 5.0, 15.0)
"""Waits before the attempts after one that failed for no fault of the receiver's."""
PATIENCE = 8
"""Attempts at most while a provider says that we are too many."""
LEAST_WAIT_S, LONGEST_WAIT_S, USUAL_WAIT_S = 1.0, 600.0, 15.0

Fault = Literal[
    "timeout", "unreachable", "reset", "bad_answer", "forbidden_host", "not_configured", "unreadable", "refused"
]
"""What can happen instead of an answer. `reset`: it broke off, and nobody knows whether it got there."""

PASSING = frozenset({"timeout", "unreachable", "reset", "bad_answer"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """`state` is `accepted`, `waiting` (for the next attempt) or `failed`; `code` a word of ours."""

    state: Literal["accepted", "waiting", "failed"]
    code: str
    retry_in_s: float | None = None
    disable: bool = False
    """The address is gone for good."""
    next_channel: bool = False
    """Whoever waits for this takes another way now; retries go on beside it."""
    alarm: bool = False
    """An administrator must do something: nobody can be reached this way."""

    @property
    def final(self) -> bool:
        return self.state != "waiting"


def verdict(outcome: int | str, attempt: int, retry_after_s: float | None = None) -> Verdict:
    """Of the `attempt`th attempt, from 1: an HTTP status, or a `Fault`."""
    if isinstance(outcome, str):
        return _passing(outcome, attempt) if outcome in PASSING else _failed(outcome)
    if 200 <= outcome < 300:
        return Verdict("accepted", "accepted")
    if outcome in (404, 410):
        return _failed("gone", disable=True)
    if outcome == 429:
        return _throttled(attempt, retry_after_s)
    if outcome in (401, 403):
        return _failed("keys_refused", alarm=True)
    if outcome >= 500:
        return _passing("provider_error", attempt)
    if 300 <= outcome < 400:
        return _failed("redirect")
    return _failed("too_large" if outcome == 413 else "refused")


def within(found: Verdict, at: datetime, expires_at: datetime | None) -> Verdict:
    """The same, but final where the next attempt would come too late."""
    if found.retry_in_s is None or expires_at is None or at.timestamp() + found.retry_in_s <= expires_at.timestamp():
        return found
    return replace(found, state="failed", retry_in_s=None)


def _failed(code: str, *, disable: bool = False, alarm: bool = False) -> Verdict:
    return Verdict("failed", code, disable=disable, next_channel=True, alarm=alarm)


def _passing(code: str, attempt: int) -> Verdict:
    if not 1 <= attempt <= len(RETRIES_S):
        return _failed(code)
    return Verdict("waiting", code, RETRIES_S[attempt - 1], next_channel=True)


def _throttled(attempt: int, retry_after_s: float | None) -> Verdict:
    if attempt > PATIENCE:
        return _failed("throttled")
    wait = USUAL_WAIT_S if retry_after_s is None else retry_after_s
    return Verdict("waiting", "throttled", min(max(wait, LEAST_WAIT_S), LONGEST_WAIT_S), next_channel=True)


def retry_after(header: str | None, at: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks for at `at`: a number of them, or a date (RFC 9110 section 10.2.3).
    None for whatever is neither."""
    said = (header or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", said):
        return float(said)
    try:
        date = parsedate_to_datetime(said[:64])
        date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
        return max(0.0, (date - at).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


# --- what the gateway tells ------------------------------------------------------------------------------

WORDS = frozenset({"ringing", "answered", "delivered", "key", "ended", "failed"})
FAILURES = frozenset({"busy", "no_answer", "rejected", "unreachable", "invalid_number"})
"""Reasons of the gateway's that we keep; any other becomes `gateway_failed`."""
KEYS = {"1": True, "2": False}


@dataclass(frozen=True, slots=True)
class Said:
    """`act` is `received`, `accept`, `decline`, `failed`, or empty: nothing that we act on."""

    act: Literal["received", "accept", "decline", "failed", ""]
    code: str = ""


def meaning(channel: str, what: str, key: str, code: str, *, answered: bool) -> Said:
    """What a callback says of a delivery. That somebody, or a voicemail, picked up proves nothing; a key pressed does.
    `answered`: they have pressed one before."""
    if what == "delivered" and channel == "sms":
        return Said("received")
    if what == "key" and channel == "voice" and key in KEYS:
        return Said("accept" if KEYS[key] else "decline")
    if what == "ended" and channel == "voice" and not answered:
        return Said("failed", "no_answer")
    if what == "failed" and not answered:
        return Said("failed", code if code in FAILURES else "gateway_failed")
    return Said("")


# --- quiet hours -----------------------------------------------------------------------------------------

LEISURE = frozenset({"message", "notice"})
"""Kinds that may wait until somebody is up, unless their sender says that they may not."""
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY = "every"
AHEAD_DAYS = 9
"""Quiet hours end within a week (`quiet_faults`)."""
DAY_MINUTES = 24 * 60

Hours = Mapping[str, Sequence[str] | None]
"""`{"every": ["22:00", "07:00"], "sat": ["23:30", "10:00"], "sun": None}`: from when until when it is quiet, by the
clock on the wall in Oslo, from the day named; `every` holds for days that are not named, None: not on that day. Where
the end is not later than the beginning it is the next day's. 24:00 is the end of the day."""


def may_wait(kind: str, *, urgent: bool) -> bool:
    """Whether quiet hours hold this back. Who must answer a call for help, or be ready to, never waits."""
    return kind in LEISURE and not urgent


def quiet_until(hours: Hours, at: datetime) -> datetime | None:
    """When the quiet time that `at` (aware) lies in is over, aware UTC; None when it is not quiet.

    An hour that comes twice in autumn counts from the first time to the last; one that is left out in spring, from the
    moment of the change. Quiet times that touch are one.
    """
    first = at.astimezone(OSLO).date() - timedelta(days=1)
    ends: datetime | None = None
    for begin, end in (_quiet_on(hours, first + timedelta(days=day)) for day in range(AHEAD_DAYS)):
        if begin <= (ends or at) < end:
            ends = end
    return ends


def _quiet_on(hours: Hours, day: date) -> tuple[datetime, datetime]:
    """What begins on that day; empty when nothing does."""
    span = hours.get(DAYS[day.weekday()], hours.get(EVERY))
    if not span:
        nothing = moment(day, "00:00", fold=0)
        return nothing, nothing
    begins, ends = span
    last = day if begins < ends else day + timedelta(days=1)
    return moment(day, begins, fold=0), moment(last, ends, fold=1)


def quiet_faults(hours: object) -> str:
    """What is wrong with hours as entered or stored, as a code; empty when they are usable. `never_ends`: some time of
    the week must be left, or nobody would ever be told."""
    if not isinstance(hours, dict) or not set(hours) <= {*DAYS, EVERY}:
        return "days"
    for span in hours.values():
        if span is None:
            continue
        if not (isinstance(span, list) and len(span) == 2 and all(map(is_clock, span)) and span[0] != "24:00"):
            return "clock"
        if span[0] == span[1]:
            return "empty"
    quiet: set[int] = set()
    for number, day in enumerate(DAYS):
        if span := hours.get(day, hours.get(EVERY)):
            begins, ends = (int(clock[:2]) * 60 + int(clock[3:]) for clock in span)
            since = number * DAY_MINUTES + begins
            until = number * DAY_MINUTES + (ends if begins < ends else ends + DAY_MINUTES)
            quiet |= {minute % (7 * DAY_MINUTES) for minute in range(since, until)}
    return "never_ends" if len(quiet) == 7 * DAY_MINUTES else ""


# --- sessions that are over ------------------------------------------------------------------------------

RAN_OUT = frozenset({"expired"})
"""Nobody has ended these: whoever was signed in may be on call, asleep beside the device."""
WORK_OVER = frozenset({"engagement_ended"})
"""Work at one place is over. They may be on call for another: each page's keeper says if they are."""
PUT_BACK = frozenset({"restored"})
"""A back-up was put back, and all sessions ended. Who is on call sleeps beside the device and does not know: it is
paged, as alert keys stay. What may wait does, until they have signed in."""
PAGED_STILL = WORK_OVER | PUT_BACK


def is_silenced(kind: str, end_reason: str) -> bool:
    """Whether a device gets nothing of this kind any more, because the session that registered it has ended like this
    (empty: it has not). A person who signs out, here or from elsewhere, ends everything: the device may be in other
    hands. So does whatever reason is not known here."""
    if not end_reason or end_reason in RAN_OUT:
        return False
    return kind in LEISURE if end_reason in PAGED_STILL else True
