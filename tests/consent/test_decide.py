"""The decision, by property: total, pure, and never more generous than a record."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.consent.decide import Agreement, ConsentRecord, Decision, Grant, Who, covers, decide, matches

MANY = settings(max_examples=max(150, settings().max_examples))
BASE = datetime(2026, 6, 1, 12, tzinfo=UTC)
IDS = [UUID(int=number) for number in range(1, 5)]
PURPOSES = ("coordination", "transition")
ROLES = ("psykolog", "fastlege")
OSLO = ZoneInfo("Europe/Oslo")

moments = st.integers(-4, 4).map(lambda hours: BASE + timedelta(hours=hours))
maybe = st.none() | moments
ids = st.sampled_from(IDS[:2])
grants = st.builds(Grant, unit_id=ids, person_id=st.none() | ids, role=st.none() | st.sampled_from(ROLES))
records = st.builds(
    ConsentRecord,
    version_id=st.uuids(),
    active=st.sampled_from([True, True, True, False]),
    purpose=st.sampled_from(["coordination", *PURPOSES]),
    grants=st.frozensets(grants, min_size=1, max_size=3),
    valid_from=maybe,
    valid_to=maybe,
)
people = st.builds(
    Who,
    user_id=ids,
    is_subject=st.sampled_from([False] * 7 + [True]),
    unit_id=ids,
    role=st.sampled_from(ROLES),
    same_controller=st.sampled_from([False, False, True]),
    agreements=st.lists(st.builds(Agreement, since=moments, until=maybe), min_size=1, max_size=3).map(tuple),
    until=st.sampled_from([None, None]) | moments,
)
purposes = st.sampled_from(PURPOSES)


def decided(one: Decision) -> tuple[bool, str, datetime | None]:
    return one.permit, one.basis, one.valid_until


@MANY
@given(st.lists(records, max_size=5), people, purposes, moments)
def test_a_permit_rests_on_an_active_record_that_matches(
    some: list[ConsentRecord], who: Who, purpose: str, at: datetime
) -> None:
    """L1, L6. Red when `matches` leaves out any of its conditions, or agreements are not asked for."""
    found = decide(some, who, purpose, at)
    if not found.permit:
        assert found.reason
        assert (found.basis, found.record_ids, found.valid_until) == ("", (), None)
        return
    assert found.reason == ""
    if who.is_subject:
        assert (found.basis, found.record_ids, found.valid_until) == ("self", (), None)
        return
    assert found.basis == "consent"
    (basis,) = (one for one in some if one.version_id in found.record_ids)
    assert basis.active
    assert basis.purpose == purpose
    assert basis.valid_from is None or basis.valid_from <= at
    assert basis.valid_to is None or at < basis.valid_to
    assert any(
        grant.unit_id == who.unit_id
        and (grant.person_id is None or grant.person_id == who.user_id)
        and (grant.role is None or grant.role == who.role)
        for grant in basis.grants
    )
    current = [one for one in who.agreements if one.since <= at and (one.until is None or at < one.until)]
    assert who.same_controller or current
    assert who.until is None or at < who.until
    ends = [end for end in (basis.valid_to, who.until) if end is not None]
    if not who.same_controller and all(one.until is not None for one in current):
        ends.append(max(one.until for one in current if one.until is not None))
    assert found.valid_until == (min(ends) if ends else None)
    assert found.valid_until is None or found.valid_until > at


@MANY
@given(st.lists(records, max_size=5), people, purposes, moments)
def test_it_holds_until_its_end_and_not_beyond(some: list[ConsentRecord], who: Who, purpose: str, at: datetime) -> None:
    """With nothing changed, a permit holds a moment before `valid_until`; what it rests on does not hold at it."""
    found = decide(some, who, purpose, at)
    if not found.permit or found.valid_until is None:
        return
    assert decide(some, who, purpose, found.valid_until - timedelta(microseconds=1)).permit
    basis = [one for one in some if one.version_id in found.record_ids]
    later = decide(basis, who, purpose, found.valid_until)
    assert not later.permit or later.valid_until != found.valid_until


@MANY
@given(
    st.lists(records, max_size=5).flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))), people, moments
)
def test_the_order_of_records_and_agreements_does_not_matter(
    both: tuple[list[ConsentRecord], list[ConsentRecord]], who: Who, at: datetime
) -> None:
    """The same answer in every respect, the records it rests on too: the log must not depend on chance."""
    (some, shuffled), purpose = both, "coordination"
    other = replace(who, agreements=tuple(reversed(who.agreements)))
    assert decide(shuffled, other, purpose, at) == decide(some, who, purpose, at)
    assert decide([*some, *some], who, purpose, at) == decide(some, who, purpose, at)


@MANY
@given(st.lists(records, max_size=4), records, people, purposes, moments)
def test_a_further_record_never_takes_away(
    some: list[ConsentRecord], more: ConsentRecord, who: Who, purpose: str, at: datetime
) -> None:
    before, after = decide(some, who, purpose, at), decide([*some, more], who, purpose, at)
    if before.permit:
        assert after.permit
        assert after.valid_until is None or (before.valid_until is not None and after.valid_until >= before.valid_until)
    elif after.permit:
        assert matches(more, who, purpose, at)


@MANY
@given(st.lists(records, max_size=4), people, purposes, moments)
def test_what_is_not_active_or_for_another_purpose_is_as_if_it_were_not_there(
    some: list[ConsentRecord], who: Who, purpose: str, at: datetime
) -> None:
    living = [one for one in some if one.active and one.purpose == purpose]
    assert decide(living, who, purpose, at) == decide(some, who, purpose, at)


def test_the_reasons() -> None:
    grant = Grant(IDS[0], IDS[1])
    record = ConsentRecord(IDS[3], True, "coordination", frozenset([grant]))
    who = Who(user_id=IDS[1], unit_id=IDS[0], same_controller=True)
    assert decided(decide([record], who, "coordination", BASE)) == (True, "consent", None)
    assert decide([], who, "coordination", BASE).reason == "no_consent"
    assert decide([record], replace(who, same_controller=False), "coordination", BASE).reason == "no_agreement"
    assert decide([record], replace(who, until=BASE), "coordination", BASE).reason == "engagement_ended"
    assert decide([record], replace(who, user_id=IDS[2]), "coordination", BASE).reason == "no_consent"
    assert decided(decide([], replace(who, is_subject=True, until=BASE), "x", BASE)) == (True, "self", None)


def test_it_ends_with_the_first_of_what_it_rests_on() -> None:
    hours = [BASE + timedelta(hours=number) for number in range(6)]
    record = ConsentRecord(IDS[3], True, "coordination", frozenset([Grant(IDS[0])]), None, hours[4])
    who = Who(user_id=IDS[1], unit_id=IDS[0])
    for agreements, until, expected in (
        ([Agreement(hours[0])], None, hours[4]),
        ([Agreement(hours[0], hours[2])], None, hours[2]),
        ([Agreement(hours[0], hours[2]), Agreement(hours[0], hours[3])], None, hours[3]),
        ([Agreement(hours[0], hours[2]), Agreement(hours[0])], None, hours[4]),
        ([Agreement(hours[0], hours[2]), Agreement(hours[1])], None, hours[2]),  # the second has not begun
        ([Agreement(hours[0], hours[3])], hours[1], hours[1]),
    ):
        given = replace(who, agreements=tuple(agreements), until=until)
        assert decide([record], given, "coordination", hours[0]).valid_until == expected
    longer = replace(record, version_id=IDS[2], valid_to=hours[5])
    both = decide([record, longer], replace(who, same_controller=True), "coordination", hours[0])
    assert (both.record_ids, both.valid_until) == ((IDS[2],), hours[5])


def test_what_a_grant_covers() -> None:
    who = Who(user_id=IDS[1], unit_id=IDS[0], role="psykolog")
    for grant, expected in (
        (Grant(IDS[0]), True),
        (Grant(IDS[0], IDS[1]), True),
        (Grant(IDS[0], IDS[1], "psykolog"), True),
        (Grant(IDS[0], None, "psykolog"), True),
        (Grant(IDS[2]), False),
        (Grant(IDS[0], IDS[2]), False),
        (Grant(IDS[0], IDS[1], "fastlege"), False),
        (Grant(IDS[2], IDS[1]), False),
    ):
        assert covers(grant, who) is expected, grant
    assert not covers(Grant(IDS[0], None, "psykolog"), replace(who, role=""))


NIGHTS = [datetime(2026, 3, 29, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]
"""Half past one and half past two in Oslo: clocks are about to be put forward, or back."""


@MANY
@given(st.sampled_from(NIGHTS), st.integers(-180, 180), st.integers(-180, 180))
@example(NIGHTS[1], 0, 60)
@example(NIGHTS[0], 0, 30)
def test_the_nights_on_which_clocks_change(night: datetime, starts: int, ends: int) -> None:
    """Law 10: edges are moments. An end written as a wall-clock time of the repeated hour is one moment, not two."""
    begin, end = (night + timedelta(minutes=one) for one in (starts, ends))
    record = ConsentRecord(IDS[3], True, "coordination", frozenset([Grant(IDS[0])]), begin, end)
    local = replace(record, valid_from=begin.astimezone(OSLO), valid_to=end.astimezone(OSLO))
    who = Who(user_id=IDS[1], unit_id=IDS[0], same_controller=True)
    for minute in range(-185, 186, 5):
        at = night + timedelta(minutes=minute)
        expected = starts <= minute < ends
        # Never local with local: within one zone Python compares wall clocks. Times of the database are UTC.
        for one, moment in ((record, at), (record, at.astimezone(OSLO)), (local, at)):
            assert decide([one], who, "coordination", moment).permit is expected, (minute, starts, ends)
