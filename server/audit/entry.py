"""What one line of the log says. Identifiers and codes only: never a name, a number or content (law 9)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acted, for which unit and in which role (L2). `user_id` is None for the system itself."""

    user_id: UUID | None
    unit_id: UUID | None = None
    controller_id: UUID | None = None
    engagement_id: UUID | None = None
    role: str = ""
    sign_in: str = ""


SYSTEM = Actor(user_id=None, role="system")


@dataclass(frozen=True, slots=True)
class Entry:
    """One act, look or refusal.

    `type` is dotted, `object.verb` (`room.opened`, `events.viewed`); `subject_id` is the patient; `object_id` the row
    that was made or touched; `basis` why it was allowed (`consent`, `self`, `relation`, …); `outcome` is `success` or
    `refused`. `sealed_hash` is the SHA-256 (hex) of the sealed record that the act wrote; `follows` the checkpoint
    that an adopted log continues, and of no other event.
    """

    type: str
    actor: Actor
    subject_id: UUID | None = None
    room_id: UUID | None = None
    object_id: UUID | None = None
    purpose: str = ""
    basis: str = ""
    outcome: str = "success"
    reason: str = ""
    record_ids: tuple[UUID, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)
    sealed_hash: str | None = None
    follows: str | None = None
