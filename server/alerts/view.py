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
    """What may be said at `now`, oldest first; never empty once the alert is stored. The last line is how it stands.

    `responder` and `generation` are the alert's present ones: what an older generation promised is taken back by the
    `resumed` that ended it, and stands no longer.
    """
    happened = sorted(events, key=lambda one: one.at)
    found: list[Line] = []
    raised_at, lost_at = None, None
    for one in happened:
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
    over = bool(found) and found[-1].code == "closed"
    if responder is None and raised_at is not None and not over:
        since = raised_at + timedelta(seconds=NOBODY_YET_S)
        if since <= now:
            found.append(Line("nobody_yet", since) if lost_at is None else Line("nobody_now", max(since, lost_at)))
    return found


def _without_promises(found: list[Line]) -> list[Line]:
    """Without what was said of somebody who has it no longer."""
    gone = ("answered", "calling", "in_contact", "not_reached", "device_received")
    return [one for one in found if one.code not in gone]
