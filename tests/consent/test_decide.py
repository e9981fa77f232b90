"""The decision, by property: total, pure, and never more generous than its records.

Named cases stand in `tests/vectors/consent`; `questions.py` draws the records and writes the rules a second time.
Each docstring lists the mutations of `server/consent/decide.py` that turn its test red.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from server.consent.decide import (
    NAMED,
    REASONS,
    Agreement,
    BrokenRecord,
    ConsentRecord,
    Decision,
    EmergencyRecord,
    Grant,
    Record,
    StatutoryRecord,
    Who,
    covers,
    decide,
)
from tests.consent.questions import (
    BASE,
    PEOPLE,
    UNITS,
    Question,
    asked,
    askers,
    broken,
    by_the_book,
    categories,
    consents,
    end_of,
    grants,
    id_of,
    meant,
    moments,
    opens,
    purposes,
    record,
    some_records,
    strangers,
    unbroken,
    wild,
    words,
)
from tests.support.served import sqlite_only

pytestmark = sqlite_only

MANY, MOST = (settings(max_examples=max(least, settings().max_examples)) for least in (200, 500))
EXCLUDED = ("excluded_person", "excluded_unit")
OSLO = ZoneInfo("Europe/Oslo")
TICK = timedelta(microseconds=1)


def test_what_is_drawn_meets_every_answer() -> None:
    """A property of permits that meets none proves nothing: many questions must be answered with yes."""
    answers: list[str] = []

    @MOST
    @given(some_records, asked)
    def ask(some: list[Record], question: Question) -> None:
        found = decide(some, *question)
        answers.append(found.basis or found.reason)

    ask()
    assert set(answers) >= {
        "consent",
        "emergency",
        "statute",
        "engagement_ended",
        "unreadable",
        *EXCLUDED,
        "no_consent",
    }
    assert sum(answers.count(basis) for basis in ("consent", "emergency", "statute")) > len(answers) / 4


# --- total and pure ---
@MANY
@given(st.lists(wild, max_size=4), askers, purposes | words, categories | words, moments)
def test_there_is_always_one_answer_and_it_is_whole(
    some: list[Record], who: Who, purpose: str, category: str, at: datetime
) -> None:
    """Total and pure: never raises, asks nobody, changes nothing, and says why. Red when an answer lacks its basis or
    reason, or tells an end that has passed."""
    before = list(some)
    found = decide(some, who, purpose, category, at)
    assert some == before
    assert decide(iter(some), who, purpose, category, at) == found
    if found.permit:
        assert found.basis in ("self", "emergency", "consent", "statute")
        assert found.reason == ""
        assert len(found.record_ids) == (found.basis != "self")
        assert found.valid_until is None or found.valid_until > at
    else:
        assert found.reason in {*REASONS, *EXCLUDED, "engagement_ended", "unreadable"}
        assert found == Decision(permit=False, reason=found.reason, record_ids=found.record_ids)
    assert set(found.record_ids) <= {id_of(one) for one in some}


@MOST
@given(some_records, askers, purposes, categories, moments)
def test_it_answers_by_the_book(some: list[Record], who: Who, purpose: str, category: str, at: datetime) -> None:
    """The rules written a second time, in other words. Red when any rule is left out or two change places, and when any
    condition of a consent, an emergency access or a statutory ground is left out or turned round."""
    found = decide(some, who, purpose, category, at)
    expected = by_the_book(some, (who, purpose, category, at))
    if expected == "nothing":
        assert found.reason in REASONS
    else:
        assert (found.basis or found.reason) == expected


# --- a permit rests on a record ---
def reach(end: datetime | None) -> datetime:
    return end or datetime.max.replace(tzinfo=UTC)


@MOST
@given(some_records, asked)
def test_a_permit_rests_on_a_record_that_opens_and_ends_with_the_first_of_what_it_rests_on(
    some: list[Record], question: Question
) -> None:
    """L1, L3, L6. Red when `_miss` leaves out any check, when `_earliest` leaves out the record's end, the agreement's,
    the engagement's or the content range's, and when of several records not the furthest-reaching is told."""
    found = decide(some, *question)
    if not found.permit:
        return
    (basis,) = (one for one in some if id_of(one) in found.record_ids)
    assert opens(basis, question) == found.basis
    assert found.valid_until == end_of(basis, question)
    content = (basis.content_from, basis.content_to) if isinstance(basis, ConsentRecord) else (None, None)
    assert (found.content_from, found.content_to) == content
    alike = [one for one in some if opens(one, question) == found.basis]
    furthest = max(reach(end_of(one, question)) for one in alike)
    assert reach(found.valid_until) == furthest
    equals = [one for one in alike if reach(end_of(one, question)) == furthest]
    if found.basis == "consent":
        assert id_of(basis) == min(map(id_of, equals)), "of equals the eldest"


@MOST
@given(some_records, asked)
def test_a_permit_holds_up_to_its_end_and_not_beyond(some: list[Record], question: Question) -> None:
    """With nothing changed it holds to the last microsecond. Red when an end is counted in (`<=` for `<`)."""
    who, purpose, category, at = question
    found = decide(some, *question)
    if not found.permit or found.valid_until is None:
        return
    end = found.valid_until
    for moment in (at, at + (end - at) / 2, end - TICK):
        assert decide(some, who, purpose, category, moment).permit
    (basis,) = (one for one in some if id_of(one) in found.record_ids)
    still = opens(basis, (who, purpose, category, end)) and (who.until is None or end < who.until)
    assert decide([basis], who, purpose, category, end).permit == bool(still)
    if still:  # only the content range or an agreement ended; the rest goes on, told anew
        assert isinstance(basis, ConsentRecord)
        alike = [one.until for one in who.agreements]
        assert end == basis.content_to or end in alike
        assert decide([basis], who, purpose, category, end).valid_until != end


# --- what a further record does ---
def only_excluding(one: ConsentRecord) -> ConsentRecord:
    return replace(one, active=False, grants=frozenset())


exclusions = st.builds(
    lambda one, person, unit: replace(one, excluded_people=person, excluded_units=unit),
    consents.map(only_excluding),
    st.sampled_from([frozenset(), frozenset(PEOPLE[:1])]),
    st.sampled_from([frozenset(), frozenset(UNITS[:1])]),
)


@MANY
@given(some_records, exclusions | broken, asked)
def test_a_further_deny_denies_whom_it_means_and_never_widens(
    some: list[Record], deny: Record, question: Question
) -> None:
    """S3, L3. For all others the answer is as it was. Red when an exclusion or a broken record is passed over."""
    who, (before, after) = question[0], (decide(some, *question), decide([*some, deny], *question))
    assert not after.permit or after == before
    if isinstance(deny, BrokenRecord):
        person, unit = deny.names_people, True
    else:
        assert isinstance(deny, ConsentRecord)
        person, unit = who.user_id in deny.excluded_people, who.unit_id in deny.excluded_units
    assert not (person and after.permit)
    assert not unit or after.basis in ("", "emergency")


@MANY
@given(some_records, consents, st.sampled_from(["person", "unit", "broken", "broken list"]), asked)
def test_a_consent_that_comes_to_exclude_never_widens(
    some: list[Record], old: ConsentRecord, change: str, question: Question
) -> None:
    """A change of a record that is there already: its exclusion is added, or it can be read no more. A broken record
    has forgotten whom it excluded: it must deny as much itself."""
    changed: dict[str, Record] = {
        "person": replace(old, excluded_people=old.excluded_people | {PEOPLE[0]}),
        "unit": replace(old, excluded_units=old.excluded_units | {UNITS[0]}),
        "broken": BrokenRecord(old.version_id, names_people=False),
        "broken list": BrokenRecord(old.version_id, names_people=True),
    }
    before, after = decide([*some, old], *question), decide([*some, changed[change]], *question)
    if change == "broken":  # emergency access alone passes it; a list of excluded people is never of this kind
        assert not after.permit or after.basis == "emergency"
    else:
        assert not after.permit or after == before


@MANY
@given(some_records, record, asked)
def test_a_further_record_that_does_not_permit_never_widens(
    some: list[Record], more: Record, question: Question
) -> None:
    """Records are not added up. Red when a grant of one is taken with the purpose or the period of another."""
    assume(not opens(more, question))
    before, after = decide(some, *question), decide([*some, more], *question)
    assert not after.permit or after == before


@MANY
@given(unbroken, consents, asked)
def test_a_further_consent_that_excludes_nobody_never_shortens(
    some: list[Record], more: ConsentRecord, question: Question
) -> None:
    """What one consent opens another does not close: to stop something the patient withdraws, narrows or excludes."""
    more = replace(more, excluded_people=frozenset(), excluded_units=frozenset())
    before, after = decide(some, *question), decide([*some, more], *question)
    if before.permit:
        assert after.permit
        assert before.basis != after.basis or reach(after.valid_until) >= reach(before.valid_until)


@MANY
@given(some_records.flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))), asked)
def test_the_order_of_records_and_agreements_does_not_matter(
    both: tuple[list[Record], list[Record]], question: Question
) -> None:
    """The same answer in every respect, the records it rests on too: the log must not depend on chance. Red without
    `sorted`."""
    (some, shuffled), (who, purpose, category, at) = both, question
    other = replace(who, agreements=who.agreements[::-1])
    assert decide(shuffled, other, purpose, category, at) == decide(some, *question)


# --- each rule by itself ---
@MANY
@given(some_records, askers, purposes, categories, moments)
def test_patients_are_never_shut_out_of_their_own_room(
    some: list[Record], who: Who, purpose: str, category: str, at: datetime
) -> None:
    """Rule 0. Red when it is left out or comes after any other."""
    assert decide(some, replace(who, is_subject=True), purpose, category, at) == Decision(permit=True, basis="self")


@MANY
@given(some_records, asked)
def test_nothing_opens_for_an_engagement_that_has_ended(some: list[Record], question: Question) -> None:
    """Law 5. Red when the engagement's end is not asked for, or is counted in."""
    who, purpose, category, at = question
    found = decide(some, replace(who, until=at), purpose, category, at)
    assert found == Decision(permit=False, reason="engagement_ended")


@MANY
@given(unbroken, exclusions, asked)
def test_emergency_access_beats_an_excluded_unit_and_never_an_excluded_person(
    some: list[Record], deny: ConsentRecord, question: Question
) -> None:
    """L3. Red when rules 1 and 2, or 2 and 3, change places, or rule 1 is left out."""
    (who, purpose, category, at), hour = question, timedelta(hours=1)
    who = replace(who, until=None)
    taken = EmergencyRecord(UUID(int=1), who.user_id, at - hour, at + hour)
    unit = replace(deny, excluded_people=frozenset(), excluded_units=frozenset(UNITS))
    person = replace(deny, excluded_people=frozenset({who.user_id}))
    excluded = any(who.user_id in one.excluded_people for one in some if isinstance(one, ConsentRecord))
    assert decide([*some, taken, unit], who, purpose, category, at).permit is not excluded
    assert decide([*some, taken, person], who, purpose, category, at).reason == "excluded_person"


@MANY
@given(some_records, asked)
def test_a_ground_that_is_not_turned_on_is_as_if_it_were_not_there(some: list[Record], question: Question) -> None:
    """Rule 5 is off unless the installation turns it on. Red without `one.enabled`."""
    off = [replace(one, enabled=False) if isinstance(one, StatutoryRecord) else one for one in some]
    without = [one for one in some if not isinstance(one, StatutoryRecord)]
    found = decide(off, *question)
    assert found.basis != "statute"
    assert found == decide(without, *question)


@MANY
@given(some_records, broken, asked)
def test_a_record_that_cannot_be_verified_is_a_deny(
    some: list[Record], unreadable: BrokenRecord, question: Question
) -> None:
    """An error never becomes an open door. Red when either line of broken records is left out, or stands lower."""
    found = decide([*some, unreadable], *question)
    named = unreadable.names_people or any(isinstance(one, BrokenRecord) and one.names_people for one in some)
    assert not found.permit or (found.basis == "emergency" and not named)


def test_a_denial_names_so_many_records_as_an_entry_of_the_log_holds() -> None:
    record = ConsentRecord(
        UUID(int=0), True, "coordination", frozenset(), frozenset(), excluded_people=frozenset(PEOPLE)
    )
    found = decide(
        [replace(record, version_id=UUID(int=number)) for number in range(2_000)],
        Who(PEOPLE[0], unit_id=UNITS[0]),
        "coordination",
        "conversation",
        BASE,
    )
    assert (found.permit, found.reason) == (False, "excluded_person")
    assert found.record_ids == tuple(UUID(int=number) for number in range(NAMED))


@MANY
@given(grants, strangers)
def test_what_a_grant_covers(grant: Grant, who: Who) -> None:
    """Red when the unit, the role or the person is not looked at."""
    assert covers(grant, who) is meant(grant, who)


# --- edges ---
NIGHTS = [datetime(2026, 3, 29, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]
"""Half past one and half past two (the first) in Oslo: clocks are about to be put forward, or back."""
spans = st.integers(-180 * 60_000_000, 180 * 60_000_000).map(lambda number: timedelta(microseconds=number))


def bounded_by(what: str, begin: datetime, end: datetime) -> tuple[Record, Who]:
    """A record, and somebody whom it lets in during `[begin, end)`; `what` it is that begins and ends."""
    grant, both = Grant(UNITS[0]), frozenset({"conversation"})
    who = Who(user_id=PEOPLE[0], unit_id=UNITS[0], same_controller=True)
    consent = ConsentRecord(UUID(int=1), True, "coordination", both, frozenset({grant}))
    match what:
        case "consent":
            return replace(consent, valid_from=begin, valid_to=end), who
        case "agreement":
            return consent, replace(who, same_controller=False, agreements=(Agreement(begin, end),))
        case "engagement":
            return replace(consent, valid_from=begin), replace(who, until=end)
        case "emergency":
            return EmergencyRecord(UUID(int=1), PEOPLE[0], begin, end), who
        case _:
            return StatutoryRecord(UUID(int=1), True, "coordination", both, grant, begin, end), who


@MANY
@given(
    st.sampled_from([BASE, *NIGHTS, *NIGHTS]),
    spans,
    spans,
    st.sampled_from(["consent", "agreement", "engagement", "emergency", "statute"]),
)
@example(NIGHTS[1], timedelta(0), timedelta(hours=1), "consent")
@example(NIGHTS[0], timedelta(0), timedelta(minutes=30), "consent")
def test_every_period_is_half_open_to_the_microsecond(
    night: datetime, first: timedelta, length: timedelta, what: str
) -> None:
    """Law 10: edges are moments, in UTC and on both nights on which Oslo's clocks change; a wall-clock time of the hour
    that is repeated is one moment, not two. Red when any `<=` of a period becomes `<`, or the other way round."""
    begin, end = night + first, night + first + length
    record, who = bounded_by(what, begin, end)
    local = bounded_by(what, begin.astimezone(OSLO), end.astimezone(OSLO))
    for at in (begin - TICK, begin, begin + TICK, begin + length / 2, end - TICK, end, end + TICK, night):
        expected = (at - night) >= first and (at - night) < first + length
        # Never local with local: within one zone Python compares wall clocks. Times of the database are UTC.
        for given_, asker, moment in ((record, who, at), (record, who, at.astimezone(OSLO)), (*local, at)):
            found = decide([given_], asker, "coordination", "conversation", moment)
            assert found.permit is expected, (what, at)
            # `==` is never true of a local time in the repeated hour; their difference is exact.
            assert not found.permit or (found.valid_until and found.valid_until - end == timedelta(0))
