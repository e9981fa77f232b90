"""What decisions about a call for help are made of: plain values, read from rows and written back to them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID, uuid5

from server.alerts.policy import BUILT_IN, Policy

OPEN_TO_ROUTER = ("received", "paging", "exhausted", "follow_up")


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. The source of the first four is issue and brief (M3); an installation may set other ones."""

    receipt: int = 30
    """Without a device's receipt by then, the next channel."""
    calling: int = 180
    """From acceptance to «calling now»; else calling people resumes."""
    contact: int = 300
    """From «calling now» to «in contact» or «not reached»; else it resumes."""
    offer: int = 600
    """For so long a handover is offered; then the giver is told that nobody took it."""
    task: int = 600
    """For the plan's contacts; twice as long for 113, which comes after them."""
    follow_up: int = 1800
    """For speaking with the patient alone after a cancel."""
    remind: int = 3600
    """How often whoever is responsible is reminded to close, or to hand over."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One way to reach a contact: an address of theirs, or a number (`to`, E.164) that is nobody's own."""

    channel: str
    address: UUID | None = None
    to: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom a page goes to: a user, or a duty telephone (`is_user` false)."""

    id: UUID
    endpoints: tuple[Endpoint, ...]
    is_user: bool = True


Roster = Mapping[str, tuple[Contact, ...]]
"""Who each target of a policy is, now; whom the patient has excluded is in none. A target that is absent is nobody.
`responder` is whoever has accepted; when calling has begun anew, whoever had it last."""


@dataclass(frozen=True, slots=True)
class Task:
    """Something a responder owes."""

    kind: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Case:
    """Where an alert stands; the fields of `models.Alert`, and what holds for it. Times are aware UTC."""

    id: UUID
    state: str
    due_at: datetime | None
    step_at: datetime
    raised_at: datetime
    generation: int = 0
    step: int = -1
    responder: UUID | None = None
    offered_to: UUID | None = None
    offered_from: str = ""
    offered_at: datetime | None = None
    cancelled_at: datetime | None = None
    accepted_at: datetime | None = None
    calling_at: datetime | None = None
    contact_at: datetime | None = None
    alone_at: datetime | None = None
    closed_at: datetime | None = None
    outcome: str = ""
    children: str = ""
    tasks: tuple[Task, ...] = ()
    synthetic: bool = False
    policy: Policy = BUILT_IN
    limits: Limits = field(default_factory=Limits)

    @property
    def duty(self) -> str:
        """`router`, `responder`, or nothing when it is over (law 6)."""
        if self.state == "closed":
            return ""
        return "router" if self.responder is None else "responder"

    @property
    def needs_talk_alone(self) -> bool:
        return self.cancelled_at is not None and self.alone_at is None


@dataclass(frozen=True, slots=True)
class Seen:
    """One event of the alert's log, as far as decisions need it."""

    type: str
    at: datetime
    generation: int
    step: int
    page: UUID | None = None
    contact: UUID | None = None
    channel: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """One event to be written."""

    type: str
    code: str = ""
    page: UUID | None = None
    contact: UUID | None = None
    channel: str = ""
    actor: UUID | None = None
    step: int | None = None
    """Another one than the step that the decision ends in."""


@dataclass(frozen=True, slots=True)
class Page:
    """One message to be sent. The id is derived, so that deciding twice sends once (law 6)."""

    id: UUID
    contact: Contact
    endpoint: Endpoint
    generation: int
    step: int
    ttl_s: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be written in one transaction: the alert as it is then, its events, its pages, tasks that begin, and
    tasks that end with a code."""

    case: Case
    notes: tuple[Note, ...] = ()
    pages: tuple[Page, ...] = ()
    begun: tuple[Task, ...] = ()
    ended: tuple[tuple[str, str], ...] = ()

    @property
    def next_due(self) -> datetime | None:
        return self.case.due_at

    def then(self, later: "Decision") -> Self:
        """This, and what was decided after it."""
        return replace(
            self,
            case=later.case,
            notes=self.notes + later.notes,
            pages=self.pages + later.pages,
            begun=self.begun + later.begun,
            ended=self.ended + later.ended,
        )


def page_id(case: Case, contact: Contact, endpoint: Endpoint, what: str) -> UUID:
    """Of alert, generation, step, contact, way and try (`what`)."""
    way = endpoint.address or endpoint.to
    return uuid5(case.id, f"{case.generation}/{case.step}/{contact.id}/{endpoint.channel}/{way}/{what}")


def after(at: datetime, seconds: float) -> datetime:
    return at + timedelta(seconds=seconds)
