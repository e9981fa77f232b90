"""The decision: may this person have part in this patient's matter, now? Pure: everything is an argument.

First match wins; what is not permitted is denied (L1, L6). Exclusions, emergency access and statutory grounds join here
as further kinds of records.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Grant:
    """A unit that may take part; `role` and `person`, when set, narrow it."""

    unit_id: UUID
    person_id: UUID | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """The newest version of one consent. `valid_to` None means no end."""

    version_id: UUID
    active: bool
    purpose: str
    grants: frozenset[Grant]
    valid_from: datetime | None = None
    valid_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """A registered agreement between the room's home controller and the actor's (L6); `until` None means no end."""

    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Who:
    """The one who asks. `is_subject` is true for the patient; `agreements` let the actor's controller take part, and
    `same_controller` makes them needless. `until` is when the engagement acted for ends, as known now."""

    user_id: UUID
    is_subject: bool = False
    unit_id: UUID | None = None
    role: str = ""
    same_controller: bool = False
    agreements: tuple[Agreement, ...] = ()
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """`basis` says what permits (`self`, `consent`), `reason` why not; never true beyond `valid_until` (UTC)."""

    permit: bool
    basis: str = ""
    reason: str = ""
    record_ids: tuple[UUID, ...] = ()
    valid_until: datetime | None = None


def decide(records: Iterable[ConsentRecord], who: Who, purpose: str, at: datetime) -> Decision:
    """Total: always an answer.

    1. The patient, in their own room.
    2. Whose engagement has ended: deny.
    3. An active consent in its period that matches purpose, unit and, where narrowed, person and role, with a
       registered agreement between the controllers.
    4. Deny.
    """
    if who.is_subject:
        return Decision(permit=True, basis="self")
    if who.until is not None and who.until <= at:
        return Decision(permit=False, reason="engagement_ended")
    best: Decision | None = None
    reason = "no_consent"
    for record in sorted(records, key=lambda one: one.version_id):  # of equals the eldest: never by chance
        if not matches(record, who, purpose, at):
            continue
        agreed, agreed_until = _agreed(who, at)
        if not agreed:
            reason = "no_agreement"
            continue
        until = _earliest(record.valid_to, agreed_until, who.until)
        if best is None or _later(until, best.valid_until):
            best = Decision(permit=True, basis="consent", record_ids=(record.version_id,), valid_until=until)
    return best or Decision(permit=False, reason=reason)


def matches(record: ConsentRecord, who: Who, purpose: str, at: datetime) -> bool:
    """Whether one consent, agreements aside, covers this person for this purpose at this moment (UTC, half-open)."""
    return (
        record.active
        and record.purpose == purpose
        and (record.valid_from is None or record.valid_from <= at)
        and (record.valid_to is None or at < record.valid_to)
        and any(covers(grant, who) for grant in record.grants)
    )


def covers(grant: Grant, who: Who) -> bool:
    return grant.unit_id == who.unit_id and grant.person_id in (None, who.user_id) and grant.role in (None, who.role)


def _agreed(who: Who, at: datetime) -> tuple[bool, datetime | None]:
    if who.same_controller:
        return True, None
    current = [one for one in who.agreements if one.since <= at and (one.until is None or at < one.until)]
    if not current:
        return False, None
    ends = [one.until for one in current if one.until is not None]
    return True, (None if len(ends) < len(current) else max(ends))


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)


def _later(one: datetime | None, other: datetime | None) -> bool:
    return other is not None and (one is None or one > other)
