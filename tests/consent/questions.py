"""Questions to the decision, drawn at random, and its rules written a second time.

The rules are worked out from the product's brief in other words, never with the decision's own helpers: what a property
says of a permit must not be said by what it tests.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import strategies as st

from server.consent.decide import (
    Agreement,
    BrokenRecord,
    ConsentRecord,
    EmergencyRecord,
    Grant,
    Record,
    StatutoryRecord,
    Who,
)

T = TypeVar("T", Who, ConsentRecord, EmergencyRecord, StatutoryRecord)
BASE = datetime(2026, 6, 1, 12, tzinfo=UTC)
UNITS = [UUID(int=number) for number in (1, 2)]
PEOPLE = [UUID(int=number) for number in (11, 12)]
PURPOSES = ("coordination", "muli")
CATEGORIES = ("conversation", "summary")
ROLES = ("psykolog", "fastlege")


def hours(*numbers: int) -> list[datetime]:
    return [BASE + timedelta(hours=number) for number in numbers]


def each(field: str, *values: object) -> list[dict[str, Any]]:
    return [{field: value} for value in values]


def varied(base: T, changes: list[dict[str, Any]], most: int = 3) -> st.SearchStrategy[T]:
    """`base`, which opens, with up to `most` changes, many of which do no harm: so that a good part of what is asked is
    answered with yes, or the properties of a yes would be tried on little."""
    some = st.lists(st.sampled_from(changes), max_size=most)
    return some.map(lambda drawn: replace(base, **{key: value for one in drawn for key, value in one.items()}))


def sets(*members: Any) -> list[frozenset[Any]]:
    return [frozenset(one) for one in members]


HERE, THERE = UNITS
ME, OTHER = PEOPLE
MINE, FOREIGN = ROLES
GRANTS = [Grant(unit, person, role) for unit in UNITS for person in (None, *PEOPLE) for role in (None, *ROLES)]
moments = st.sampled_from([*[BASE] * 4, *hours(-3, -2, -1, 1, 2, 3)])
purposes = st.sampled_from([*[PURPOSES[0]] * 5, PURPOSES[1]])
categories = st.sampled_from([*[CATEGORIES[0]] * 5, CATEGORIES[1]])
grants = st.sampled_from(GRANTS)
FROM, TO = hours(-2, -1, 0, 1, 2), hours(3, 2, 1, 0, -1)
consents = varied(
    ConsentRecord(UUID(int=5), True, PURPOSES[0], frozenset(CATEGORIES), frozenset({Grant(HERE)})),
    [
        *each("active", False, False),
        *each("purpose", PURPOSES[1], PURPOSES[1]),
        *each("categories", *sets([], CATEGORIES[:1], CATEGORIES[1:])),
        *each("grants", *sets([], GRANTS, *([one] for one in GRANTS))),
        *each(
            "grants", *sets([Grant(HERE, OTHER), Grant(THERE)], [Grant(HERE, ME, FOREIGN), Grant(HERE, OTHER, MINE)])
        ),
        *each("valid_from", *FROM, *FROM),
        *each("valid_to", *TO, *TO),
        *each("content_from", *FROM),
        *each("content_to", *TO),
        *each("excluded_units", *sets([HERE], [HERE], [THERE])),
        *each("excluded_people", *sets([ME], [ME], [OTHER])),
    ],
)
emergencies = varied(
    EmergencyRecord(UUID(int=5), ME, *hours(-2, 2)),
    [*each("user_id", OTHER, OTHER), *each("begun", *FROM), *each("until", *TO)],
    most=2,
)
statutes = varied(
    StatutoryRecord(UUID(int=5), True, PURPOSES[0], frozenset(CATEGORIES), Grant(HERE), *hours(-4, 4)),
    [
        *each("enabled", False, False),
        *each("purpose", PURPOSES[1], PURPOSES[1]),
        *each("categories", *sets([], CATEGORIES[:1], CATEGORIES[1:])),
        *each("grant", *GRANTS),
        *each("valid_from", *FROM),
        *each("valid_to", *TO),
    ],
    most=2,
)
broken = st.booleans().map(lambda names_people: BrokenRecord(UUID(int=5), names_people))


def one_of(*kinds: st.SearchStrategy[Any]) -> st.SearchStrategy[Record]:
    """As often as it is named; Hypothesis's own counts what it is given twice as one."""
    return st.sampled_from(kinds).flatmap(lambda kind: kind)


unbroken_one = one_of(consents, consents, consents, consents, consents, statutes, statutes, emergencies)
record = one_of(*[unbroken_one] * 19, broken)


def id_of(record: Record) -> UUID:
    match record:
        case EmergencyRecord():
            return record.access_id
        case StatutoryRecord():
            return record.ground_id
        case _:
            return record.version_id


def with_id(record: Record, number: int) -> Record:
    match record:
        case EmergencyRecord():
            return replace(record, access_id=UUID(int=number))
        case StatutoryRecord():
            return replace(record, ground_id=UUID(int=number))
        case _:
            return replace(record, version_id=UUID(int=number))


def lists_of(kind: st.SearchStrategy[Record]) -> st.SearchStrategy[list[Record]]:
    """Up to four records with ids of their own; those of single records are lower."""
    return st.lists(kind, max_size=4).map(lambda drawn: [with_id(one, 21 + n) for n, one in enumerate(drawn)])


some_records, unbroken = lists_of(record), lists_of(unbroken_one)
SINCE = BASE - timedelta(hours=2)
PERIODS: list[Any] = [
    [],
    *([(since, None)] for since in hours(-2, 0, 1)),
    *([(since, until)] for since in hours(-2, 0, 1) for until in hours(3, 1, 0)),
    *([(SINCE, first), (second, None)] for first in hours(2, 1, 0) for second in hours(-1, 1)),
    *([(SINCE, first), (BASE, second)] for first in hours(2, 1) for second in hours(3, 1)),
]
askers = varied(
    Who(ME, unit_id=HERE, role=MINE, same_controller=True),
    [
        *each("user_id", OTHER),
        *each("is_subject", True),
        *each("unit_id", THERE, None),
        *each("role", FOREIGN, ""),
        *each("until", *hours(4, 3, 2, 1, 0, -1)),
        *({"same_controller": False, "agreements": tuple(Agreement(*one) for one in periods)} for periods in PERIODS),
    ],
)
strangers = askers.map(lambda who: replace(who, is_subject=False))
asked = st.tuples(strangers, purposes, categories, moments)
Question = tuple[Who, str, str, datetime]

words = st.sampled_from(["", "coordination", "conversation", "psykolog", "\x00", "🔥", "a" * 1_000])
wild_moments = st.datetimes(timezones=st.just(UTC))
wild = st.one_of(
    st.builds(
        ConsentRecord,
        version_id=st.uuids(),
        active=st.booleans(),
        purpose=words,
        categories=st.frozensets(words),
        grants=st.frozensets(st.builds(Grant, st.uuids(), st.none() | st.uuids(), st.none() | words)),
        valid_from=st.none() | wild_moments,
        valid_to=st.none() | wild_moments,
        content_from=st.none() | wild_moments,
        content_to=st.none() | wild_moments,
        excluded_units=st.frozensets(st.uuids()),
        excluded_people=st.frozensets(st.uuids()),
    ),
    st.builds(EmergencyRecord, st.uuids(), st.sampled_from(PEOPLE), wild_moments, wild_moments),
    record,
)


# --- the rules, written again ---
def meant(grant: Grant, who: Who) -> bool:
    if grant.unit_id != who.unit_id or (grant.role is not None and grant.role != who.role):
        return False
    return grant.person_id is None or grant.person_id == who.user_id


def within(start: datetime | None, end: datetime | None, at: datetime) -> bool:
    return not (start is not None and at < start) and not (end is not None and at >= end)


def opens(record: Record, question: Question) -> str:
    """The basis on which this record lets the actor in, were there no other; empty when it does not."""
    who, purpose, category, at = question
    if isinstance(record, EmergencyRecord):
        return "emergency" if record.user_id == who.user_id and within(record.begun, record.until, at) else ""
    if isinstance(record, BrokenRecord) or record.purpose != purpose or category not in record.categories:
        return ""
    if not within(record.valid_from, record.valid_to, at):
        return ""
    if isinstance(record, StatutoryRecord):
        return "statute" if record.enabled and meant(record.grant, who) else ""
    agreed = who.same_controller or any(within(one.since, one.until, at) for one in who.agreements)
    return "consent" if record.active and agreed and any(meant(one, who) for one in record.grants) else ""


def end_of(record: Record, question: Question) -> datetime | None:
    """Until when this record and all that it rests on lets the actor in, as known at the moment asked."""
    who, _, _, at = question
    known = [who.until]
    if isinstance(record, EmergencyRecord):
        known.append(record.until)
    elif isinstance(record, StatutoryRecord):
        known.append(record.valid_to)
    elif isinstance(record, ConsentRecord):
        known.append(record.valid_to)
        if record.content_to is not None and record.content_to > at:
            known.append(record.content_to)
        current = [one.until for one in who.agreements if within(one.since, one.until, at)]
        if not who.same_controller and None not in current:
            known.append(max(one for one in current if one is not None))
    return min((one for one in known if one is not None), default=None)


def by_the_book(some: Sequence[Record], question: Question) -> str:
    """The basis, or the name of the rule that denies."""
    who, _, _, at = question
    consents_ = [one for one in some if isinstance(one, ConsentRecord)]
    unreadable = [one for one in some if isinstance(one, BrokenRecord)]
    bases = {opens(one, question) for one in some}
    if who.is_subject:
        return "self"
    if who.until is not None and at >= who.until:
        return "engagement_ended"
    if any(who.user_id in one.excluded_people for one in consents_):
        return "excluded_person"
    if any(one.names_people for one in unreadable):
        return "unreadable"
    if "emergency" in bases:
        return "emergency"
    if any(who.unit_id in one.excluded_units for one in consents_):
        return "excluded_unit"
    if unreadable:
        return "unreadable"
    return next((basis for basis in ("consent", "statute") if basis in bases), "nothing")
