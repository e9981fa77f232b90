"""Why a programme cannot open, whom it is for, and what a plan looks like when it is sealed: pure."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from server.alerts import plan, rules
from server.alerts.plan import Contact, PlanText
from tests.support.served import sqlite_only

pytestmark = sqlite_only

TODAY = date(2026, 11, 22)
READY = rules.Readiness(
    on_call_number="+4799000001",
    final_number="+4799000002",
    final_answered_by="Akuttmottaket",
    final_agreement="sak 17",
    final_agreed_on=TODAY,
    members=2,
    leaders=1,
    day_contacts=1,
    policies=1,
    today=TODAY,
)
THREE = {"admissions": 3, "months": 12}


@pytest.mark.parametrize(
    ("without", "code"),
    [
        ({"on_call_number": ""}, "no_on_call_number"),
        ({"final_number": ""}, "no_final_number"),
        ({"final_answered_by": ""}, "no_final_answered_by"),
        ({"final_agreement": ""}, "no_final_agreement"),
        ({"final_agreed_on": None}, "no_final_agreement"),
        ({"final_agreed_on": date(2026, 11, 23)}, "no_final_agreement"),
        ({"members": 0}, "no_team"),
        ({"leaders": 0}, "no_leader"),
        ({"day_contacts": 0}, "no_day_contact"),
        ({"policies": 0}, "no_policy"),
        ({"voice": False}, "no_voice"),
    ],
)
def test_what_it_lacks(without: Any, code: str) -> None:
    """Red when a programme opens without what a call for help needs; an agreement from tomorrow is none today."""
    assert rules.missing(READY) == []
    assert rules.missing(replace(READY, **without)) == [code]


@pytest.mark.parametrize(
    ("criterion", "days", "met"),
    [
        (THREE, ["2026-01-01", "2026-02-01", "2026-11-22"], True),
        (THREE, ["2025-11-22", "2026-02-01", "2026-11-22"], True),
        (THREE, ["2025-11-21", "2026-02-01", "2026-11-22"], False),
        (THREE, ["2026-01-01", "2026-01-01", "2026-11-22"], False),
        (THREE, ["2026-01-01", "2026-02-01", "2026-11-23"], False),
        (THREE, [], False),
        ({}, [], True),
        ({"admissions": "3"}, [], True),
        ([], [], True),
        (None, [], True),
    ],
)
def test_whom_it_is_for(criterion: Any, days: list[str], met: bool) -> None:
    """Twelve months to the day; two wards on one day are one admission; what says nothing usable keeps nobody out."""
    assert rules.meets(criterion, [date.fromisoformat(one) for one in days], TODAY) is met


@pytest.mark.parametrize(
    ("day", "months", "before"),
    [
        (date(2026, 3, 31), 1, date(2026, 2, 28)),
        (date(2028, 3, 31), 1, date(2028, 2, 29)),
        (date(2026, 1, 15), 12, date(2025, 1, 15)),
        (date(2028, 2, 29), 12, date(2027, 2, 28)),
        (date(2026, 12, 31), 1, date(2026, 11, 30)),
    ],
)
def test_months_before(day: date, months: int, before: date) -> None:
    assert rules.months_before(day, months) == before


@pytest.mark.parametrize(
    "criterion",
    [
        {"admissions": 0, "months": 12},
        {"admissions": 3},
        {"admissions": True, "months": 12},
        {"admissions": 3, "months": 121},
        {"admissions": 3, "months": 12, "if": "__import__('os')"},
        "3",
    ],
)
def test_a_criterion_is_data(criterion: Any) -> None:
    assert rules.criterion_faults(criterion)


def test_the_software_never_rings_113() -> None:
    assert not any(rules.may_be_rung(number) for number in ("+47113", "+47116117", "+47112", "+47110"))
    assert rules.may_be_rung("+4799000001")


def test_a_plan_comes_back_as_it_was() -> None:
    text = PlanText("Æ", "hjelp", "Marit", "x" * 4000, (Contact("Marit", "søster", "+4740000009"),))
    assert plan.read(plan.write(text)) == text
    assert plan.read('{"danger": "a", "helps": "b", "bring_in": "c", "from": "later"}') == PlanText("a", "b", "c")


@pytest.mark.parametrize("text", ["", " ", "to\nlinjer", "to\u2028linjer", "x" * 301])
def test_a_line_is_one_line(text: str) -> None:
    assert not plan.is_line(text)
    assert plan.is_line("én linje")
