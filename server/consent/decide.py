"""The decision: may this person have part in this patient's matter, for this purpose, now? Pure and total: everything
is an argument, and there is always an answer.

First match wins; what is not permitted is denied (L1, L3, L6). Norwegian rules are data: statutes, purposes, categories
and forms stand in `forms/`, never here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Grant:
    """A unit that may take part; `role` (professional) and `person`, when set, narrow it."""

    unit_id: UUID
    person_id: UUID | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """The newest version of one consent, verified. Times are aware UTC, half-open; None means no limit.

    `excluded_units` and `excluded_people` hold whatever the state: no withdrawal or expiry ends a deny.
    """

    version_id: UUID
    active: bool
    purpose: str
    categories: frozenset[str]
    grants: frozenset[Grant]
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    content_from: datetime | None = None
    content_to: datetime | None = None
    excluded_units: frozenset[UUID] = frozenset()
    excluded_people: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class EmergencyRecord:
    """Emergency access of one person to this room (L3), from `begun` until `until` or until it was ended."""

    access_id: UUID
    user_id: UUID
    begun: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class StatutoryRecord:
    """A statutory ground, recorded as such; `enabled` says that the installation has turned its kind on."""

    ground_id: UUID
    enabled: bool
    purpose: str
    categories: frozenset[str]
    grant: Grant
    valid_from: datetime
    valid_to: datetime


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """A record that cannot be read or verified. It denies whatever it might have denied: a consent's might have
    excluded any unit, and one that `names_people` any person."""

    version_id: UUID
    names_people: bool


Record = ConsentRecord | EmergencyRecord | StatutoryRecord | BrokenRecord


@dataclass(frozen=True, slots=True)
class Agreement:
    """A registered agreement between the room's home controller and the actor's (L6); `until` None means no end."""

    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Who:
    """The one who asks. `is_subject` is true for the patient, or who represents them, in the patient's own room.
    `agreements` let the actor's controller take part, and `same_controller` makes them needless. `until` is when the
    engagement acted for ends, as known now."""

    user_id: UUID
    is_subject: bool = False
    unit_id: UUID | None = None
    role: str = ""
    same_controller: bool = False
    agreements: tuple[Agreement, ...] = ()
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """`basis` says what permits (`self`, `emergency`, `consent`, `statute`), `reason` why not. Never true beyond
    `valid_until` (UTC). Only content written in `[content_from, content_to)` is meant."""

    permit: bool
    basis: str = ""
    reason: str = ""
    record_ids: tuple[UUID, ...] = ()
    valid_until: datetime | None = None
    content_from: datetime | None = None
    content_to: datetime | None = None


REASONS = ("no_consent", "other_purpose", "other_category", "not_covered", "not_yet", "ended", "no_agreement")
"""Why rules 4 to 6 say no, furthest from a yes first; of several records the nearest miss is told."""


def decide(records: Iterable[Record], actor: Who, purpose: str, category: str, at: datetime) -> Decision:
    """May `actor` have part in what is of `category`, for `purpose`, at `at` (aware UTC)? First match wins:

    0. the patient (or their representative) in their own room; nobody else whose engagement has ended;
    1. an excluded named person: deny, also against emergency access (L3);
    2. active emergency access;
    3. an excluded unit: deny;
    4. an active consent in its period that matches purpose, category, the unit and, where it is narrowed, also role and
       person, with a registered agreement between the controllers (L1, L6);
    5. a statutory ground recorded as such, where its kind is turned on;
    6. deny.

    A record that could not be verified denies at rule 1 if it names people, else at rule 3.
    """
    if actor.is_subject:
        return Decision(permit=True, basis="self")
    if actor.until is not None and actor.until <= at:
        return Decision(permit=False, reason="engagement_ended")
    found = sorted(records, key=_id_of)  # of equals the eldest: never by chance
    consents = [one for one in found if isinstance(one, ConsentRecord)]
    broken = [one for one in found if isinstance(one, BrokenRecord)]
    return (
        _deny("excluded_person", [one.version_id for one in consents if actor.user_id in one.excluded_people])
        or _deny("unreadable", [one.version_id for one in broken if one.names_people])
        or _emergency(found, actor, at)
        or _deny("excluded_unit", [one.version_id for one in consents if actor.unit_id in one.excluded_units])
        or _deny("unreadable", [one.version_id for one in broken])
        or _consent(consents, actor, purpose, category, at)
        or _statute(found, actor, purpose, category, at)
        or Decision(permit=False, reason=_nearest_miss(consents, actor, purpose, category, at))
    )


def covers(grant: Grant, actor: Who) -> bool:
    """Whether a grant means this person: its unit and, where it is narrowed, the role or the person."""
    return (
        grant.unit_id == actor.unit_id and grant.person_id in (None, actor.user_id) and grant.role in (None, actor.role)
    )


NAMED = 100
"""Records that a denial names, of however many say no: each stands in its entry of the log."""


def _deny(reason: str, record_ids: list[UUID]) -> Decision | None:
    return Decision(permit=False, reason=reason, record_ids=tuple(record_ids[:NAMED])) if record_ids else None


def _emergency(records: list[Record], actor: Who, at: datetime) -> Decision | None:
    active = [
        one
        for one in records
        if isinstance(one, EmergencyRecord) and one.user_id == actor.user_id and one.begun <= at < one.until
    ]
    if not active:
        return None
    longest = max(active, key=lambda one: one.until)
    until = _earliest(longest.until, actor.until)
    return Decision(permit=True, basis="emergency", record_ids=(longest.access_id,), valid_until=until)


def _consent(consents: list[ConsentRecord], actor: Who, purpose: str, category: str, at: datetime) -> Decision | None:
    best: Decision | None = None
    for record in consents:
        if _miss(record, actor, purpose, category, at):
            continue
        range_end = record.content_to if record.content_to is not None and at < record.content_to else None
        until = _earliest(record.valid_to, _agreed_until(actor, at), actor.until, range_end)
        if best is None or _later(until, best.valid_until):
            best = Decision(
                permit=True,
                basis="consent",
                record_ids=(record.version_id,),
                valid_until=until,
                content_from=record.content_from,
                content_to=record.content_to,
            )
    return best


def _statute(records: list[Record], actor: Who, purpose: str, category: str, at: datetime) -> Decision | None:
    holding = [
        one
        for one in records
        if isinstance(one, StatutoryRecord)
        and one.enabled
        and one.purpose == purpose
        and category in one.categories
        and covers(one.grant, actor)
        and one.valid_from <= at < one.valid_to
    ]
    if not holding:
        return None
    longest = max(holding, key=lambda one: one.valid_to)
    until = _earliest(longest.valid_to, actor.until)
    return Decision(permit=True, basis="statute", record_ids=(longest.ground_id,), valid_until=until)


def _miss(record: ConsentRecord, actor: Who, purpose: str, category: str, at: datetime) -> str:
    """The first of `REASONS` for which this record does not permit; empty when it does."""
    checks = (
        record.active,
        record.purpose == purpose,
        category in record.categories,
        any(covers(grant, actor) for grant in record.grants),
        record.valid_from is None or record.valid_from <= at,
        record.valid_to is None or at < record.valid_to,
        _agreed(actor, at),
    )
    return next((reason for reason, holds in zip(REASONS, checks, strict=True) if not holds), "")


def _nearest_miss(consents: list[ConsentRecord], actor: Who, purpose: str, category: str, at: datetime) -> str:
    misses = [REASONS.index(_miss(record, actor, purpose, category, at)) for record in consents]
    return REASONS[max(misses, default=0)]


def _agreed(actor: Who, at: datetime) -> bool:
    return actor.same_controller or any(_holds(one, at) for one in actor.agreements)


def _agreed_until(actor: Who, at: datetime) -> datetime | None:
    if actor.same_controller:
        return None
    ends = [one.until for one in actor.agreements if _holds(one, at)]
    known = [end for end in ends if end is not None]
    return None if len(known) < len(ends) else max(known)


def _holds(agreement: Agreement, at: datetime) -> bool:
    return agreement.since <= at and (agreement.until is None or at < agreement.until)


def _id_of(record: Record) -> UUID:
    match record:
        case ConsentRecord() | BrokenRecord():
            return record.version_id
        case EmergencyRecord():
            return record.access_id
        case StatutoryRecord():
            return record.ground_id


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)


def _later(one: datetime | None, other: datetime | None) -> bool:
    return other is not None and (one is None or one > other)
