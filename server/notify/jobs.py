"""One attempt, as a channel gets it: everything that it needs, and nothing of a database."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from server.notify.sealed import Place


@dataclass(frozen=True, slots=True)
class Job:
    """`at` is the database's time when it was leased, `attempt` counts from 1; `lease` guards what is recorded."""

    delivery: UUID
    lease: UUID
    kind: str
    channel: str
    place: Place
    vapid: str
    """Which of our keys the device was registered for; empty for what is no device."""
    language: str
    urgent: bool
    ttl_s: int
    topic: str
    attempt: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """An HTTP status, or one of `decide.Fault`."""

    said: int | str
    retry_after_s: float | None = None
