"""The rules for odd access, by the named cases that an officer can read, and by what must hold of all of them.

Mutations that turn the named cases red, rule by rule: `look_without_act`: `<=` of the wait made `<`, an act before the
look counted, `REVIEWED` forgotten; `many_patients`: `<` made `<=` in the window, looks counted and not patients, lists
counted; `same_surname`: two missing names taken for equal, `CHOSEN` forgotten; `colleague`: any place of work;
`self_granted`: anybody's door, an answer of one's own accepted, rooms not compared; `emergency`: one case for each
access; `around_withdrawal`: one limit off by one, the card by relation counted; `denied`: what a client tries by itself
counted; `dormant`: signing in this morning counted as life.
"""

import inspect
import random
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from server.review import odd
from server.review.odd import Act, Kind, Odd
from server.review.odd_words import REASONS, TITLES, asked
from server.settings.odd import OddAccess
from tests.review.odd_cases import LIMITS, Case, ask, cases, moment, named
from tests.support.served import sqlite_only

pytestmark = sqlite_only

CASES = cases()
RULES = sorted({case.rule for case in CASES})


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}: {case.name}")
def test_a_case(case: Case) -> None:
    """The same whatever order the events come in."""
    for seed in (None, 1, 2):
        acts = list(case.acts)
        if seed is not None:
            random.Random(seed).shuffle(acts)
        found = case.ask(acts)
        assert sorted((one.actor, one.subject, len(one.acts)) for one in found if one.subject) == sorted(
            one for one in case.asked if one[1]
        )
        assert sorted((one.actor, len(one.acts)) for one in found if not one.subject) == sorted(
            (who, acts) for who, about, acts in case.asked if not about
        )
        for one in found:
            assert list(one.acts) == sorted(one.acts, key=lambda act: (act.at, act.event))
            assert one.first_at <= one.last_at


def test_every_rule_has_cases_that_ask_and_cases_that_do_not() -> None:
    assert {*RULES} == {one.value for one in Kind}
    for rule in RULES:
        answers = [bool(case.asked) for case in CASES if case.rule == rule]
        assert {True, False} == set(answers), rule
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("language", ["nb", "nn", "en"])
def test_every_question_has_words_with_what_was_compared_and_no_verdict(language: str) -> None:
    """Red when a rule's parameters and its words differ, or a name or an id gets into them."""
    met = set()
    with translation.override(language):
        for case in CASES:
            for one in case.ask():
                said = asked(one.kind, one.parameters)
                met.add(one.kind)
                assert "%" not in said.title + said.reason
                assert str(one.actor) not in said.reason
                assert all(isinstance(value, int) for value in one.parameters.values())
    assert met == set(TITLES) == set(REASONS) == set(Kind)


def test_a_common_name_is_said_and_changes_nothing() -> None:
    common = next(case for case in CASES if case.name == "A common name asks no less")
    rare = next(case for case in CASES if case.name == "Nora Vik opened Per Vik's card")
    with translation.override("en"):
        assert "most common" in asked(Kind.SAME_SURNAME, common.ask()[0].parameters).reason
        assert "most common" not in asked(Kind.SAME_SURNAME, rare.ask()[0].parameters).reason


def test_every_limit_is_a_setting_with_its_reason() -> None:
    """Red when a limit is added that nobody can set, or one without its reason beside it."""
    source = inspect.getsource(OddAccess)
    for name in {one.name for one in fields(LIMITS)} - {"waking_hours"}:
        assert f"odd_{name}" in OddAccess.model_fields
        assert OddAccess.model_fields[f"odd_{name}"].default == getattr(LIMITS, name)
        after = source.split(f"odd_{name}: ")[1].split("\n")[1].strip()
        assert after.startswith('"""'), name


def test_no_rule_knows_the_time_of_day_or_the_day_of_the_week() -> None:
    """Purpose: what an employee does is not measured. The same log at any other hour asks the same."""
    for case in CASES:
        for shift in (timedelta(hours=7), timedelta(days=3, hours=13)):
            acts = [replace(act, at=act.at + shift) for act in case.acts]
            more = {**case.more, "until": case.more["until"] + shift}
            more["last_before"] = {who: at + shift for who, at in case.more["last_before"].items()}
            moved = ask(case.rule, acts, case.limits, more)
            assert [one.case for one in moved] == [one.case for one in case.ask()], case.name


# --- of any log ---------------------------------------------------------------------------------------

PEOPLE, PATIENTS, ROOMS = ("Nora", "Tor", "Vera"), ("Per", "Trine", "Are"), ("room 1", "room 2")
TYPES = sorted({*odd.LOOKS, *odd.ROOM_DOORS, *odd.ANSWERS, odd.RELATED, odd.WITHDRAWN, odd.EMERGENCY, "message.posted"})
FEW = replace(LIMITS, patients=2, before_pages=1, after_tries=1, denied=2, dormant_days=2)
MORE: dict[str, Any] = {
    "surnames": {named(one): "vik" for one in ("Nora", "Per", "Trine")},
    "works_at": {named("Per"): {named("Helse Fjord")}},
    "last_before": {named("Nora"): moment("2026-06-01 00:00")},
    "reviews": {},
    "until": moment("2026-12-31 00:00"),
}


@st.composite
def act(draw: st.DrawFn, who: tuple[str, ...] = PEOPLE, about: tuple[str, ...] = PATIENTS) -> Act:
    subject, actor = draw(st.sampled_from(about)), draw(st.sampled_from(who))
    type_ = draw(st.sampled_from(TYPES))
    return Act(
        event=draw(st.uuids(version=4)),
        at=moment("2026-06-15 00:00") + timedelta(minutes=draw(st.integers(0, 5 * 24 * 60))),
        type=type_,
        actor=named(actor),
        controller=draw(st.sampled_from((named("Helse Fjord"), None))),
        subject=named(subject),
        room=draw(st.sampled_from([*map(named, ROOMS), None])),
        object=draw(st.sampled_from((named(actor), named(subject)))),
        basis=draw(st.sampled_from(("relation", "consent", "statute", "emergency", "self"))),
        refused=draw(st.booleans()),
    )


def logs(**of: tuple[str, ...]) -> Any:
    return st.lists(act(**of), max_size=25, unique_by=lambda one: one.event)


def questions(found: list[Odd]) -> set[tuple[Any, ...]]:
    return {(one.kind, one.case, one.subject, one.acts) for one in found}


@given(logs(), st.randoms(use_true_random=False), st.sampled_from(RULES))
def test_the_order_of_events_does_not_matter(log: list[Act], chance: random.Random, rule: str) -> None:
    """Red when a rule forgets to sort."""
    mixed = list(log)
    chance.shuffle(mixed)
    assert questions(ask(rule, log, FEW, MORE)) == questions(ask(rule, mixed, FEW, MORE))


@given(logs(), logs(who=("Ida", "Ola"), about=("Somebody", "Somebody else")), st.sampled_from(RULES))
def test_what_others_do_with_other_patients_changes_no_question(log: list[Act], others: list[Act], rule: str) -> None:
    """Red when a window or a count runs over several people."""
    theirs = {named("Ida"), named("Ola")}
    both = [one for one in ask(rule, [*log, *others], FEW, MORE) if one.actor not in theirs]
    assert questions(both) == questions(ask(rule, log, FEW, MORE))


@given(logs(), logs(), st.sampled_from(("many_patients", "denied", "same_surname", "colleague", "withdrawal")))
def test_more_of_the_same_person_never_removes_a_question(log: list[Act], more: list[Act], rule: str) -> None:
    """Of these rules nothing further done explains anything away. Red when a maximum is taken where a sum is meant."""
    known = {one.event for one in log}
    after = ask(rule, [*log, *(one for one in more if one.event not in known)], FEW, MORE)
    for one in ask(rule, log, FEW, MORE):
        same = [other for other in after if (other.kind, other.actor) == (one.kind, one.actor)]
        assert any(set(one.acts) <= set(other.acts) for other in same)


@given(logs(), st.sampled_from(RULES))
def test_a_patient_is_never_the_one_who_is_asked(log: list[Act], rule: str) -> None:
    for one in ask(rule, log, FEW, MORE):
        done = [act for act in one.acts if act.actor == one.actor]
        assert done
        assert rule == "emergency" or all(act.at_work for act in done)
