"""What the patient is told of their call for help: a pure function of what has happened.

It claims no more than was confirmed, and names a person only after that person has accepted. A provider's acceptance
is not told at all: a message on its way helps nobody.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

NOBODY_YET_S = 600
"""After so long without an answer the patient is told to ring elsewhere (M3)."""
TOLD = (
    "raised",
    "accepted",
    "handed_over",
    "calling",
    "in_contact",
    "not_reached",
    "resumed",
    "cancelled",
    "duty_phone_answered",
    "closed",
)
"""Types of events that change what the patient is told; and the first `page_received` of the present generation."""
PROMISES = ("answered", "calling", "in_contact", "not_reached")
"""Lines that stand only while somebody has it."""


@dataclass(frozen=True, slots=True)
class Happened:
    type: str
    at: datetime
    generation: int
    who: UUID | None = None
    """Whom it names: the responder of `accepted` and `handed_over`, the one who was lost of `resumed`."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is known: a stable code, since when, and who it is about."""

    code: str
    at: datetime
    who: UUID | None = None


def lines(events: Iterable[Happened], responder: UUID | None, generation: int, now: datetime) -> list[Line]:
    """What may be said at `now`, in the order in which it happened (a clock may go back); never empty once the alert is
    stored. The last line is how it stands.

    `responder` and `generation` are the alert's present ones: what an older generation promised is taken back by the
    `resumed` that ended it, and stands no longer.
    """
    found: list[Line] = []
    raised_at, lost_at = None, None
    for one in events:
        match one.type:
            case "raised":
                found.append(Line("registered", one.at))
                raised_at = one.at
            case "page_received" if one.generation == generation and responder is None:
                found.append(Line("device_received", one.at))
            case "accepted" | "handed_over" if one.who is not None:
                found = _without_promises(found)
                found.append(Line("answered", one.at, one.who))
            case "calling" | "in_contact" | "not_reached":
                found.append(Line(one.type, one.at, responder or one.who))
            case "resumed":
                found = _without_promises(found)
                found.append(Line("calling_others", one.at))
                lost_at = one.at
            case "cancelled":
                found.append(Line("cancelled", one.at))
            case "duty_phone_answered":
                found.append(Line("duty_phone_told", one.at))
            case "closed":
                found.append(Line("closed", one.at))
    if responder is not None:
        return found
    found = [one for one in found if one.code not in PROMISES]
    over = bool(found) and found[-1].code == "closed"
    return found if over or raised_at is None else found + _waiting(raised_at, lost_at, now)


def _waiting(raised_at: datetime, lost_at: datetime | None, now: datetime) -> list[Line]:
    """What is said to somebody who has waited for long, and whether anybody had answered meanwhile."""
    since = raised_at + timedelta(seconds=NOBODY_YET_S)
    if since > now:
        return []
    return [Line("nobody_yet", since) if lost_at is None else Line("nobody_now", max(since, lost_at))]


def _without_promises(found: list[Line]) -> list[Line]:
    """Without what was said of somebody who has it no longer."""
    return [one for one in found if one.code not in (*PROMISES, "device_received")]
