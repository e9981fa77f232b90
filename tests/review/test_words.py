"""Every type of event has words for the person whom it is about, and every basis has (L2, S12)."""

import ast

import pytest
from django.utils import translation

from server.review.retention import rules
from server.review.words import BASES, DONE, TRIED, Who, sentence
from tests.review import event_types
from tests.support.served import sqlite_only

pytestmark = sqlite_only

KARI = Who(name="Kari Nes", role="psykolog", place="Fjordvik")
REFUSED_ONLY = {
    *("answer.repeated", "consent.answered", "consent.recorded", "directory.viewed", "exclusion.lifted"),
    *("read.marked", "sign_in.refused", "staff.required"),
}
"""Types that are written of refusals alone."""


def test_every_type_has_words() -> None:
    """Red when a type of event is written that has none: add them to DONE in server/review/words.py, and to TRIED if
    it can be refused. What is no type of event is listed in tests/review/event_types.py."""
    missing = event_types.written() - set(DONE) - REFUSED_ONLY
    assert not missing, f"without words in server/review/words.py: {sorted(missing)}"
    assert set(TRIED) >= REFUSED_ONLY


def test_every_refusal_has_words() -> None:
    """Red when a refusal is written whose type has none in TRIED."""
    refused = {
        value.value
        for _, node in event_types._nodes()
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refusal"
        for value in [*node.args[:1], *(word.value for word in node.keywords if word.arg == "type")]
        if isinstance(value, ast.Constant)
    }
    assert refused, "refusals are found"
    assert refused - set(TRIED) == set()


def test_every_basis_has_words() -> None:
    said = {
        word.value.value
        for _, node in event_types._nodes()
        if isinstance(node, ast.Call)
        for word in node.keywords
        if word.arg == "basis" and isinstance(word.value, ast.Constant)
    }
    assert said - set(BASES) - {""} == set()


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("nb", "Kari Nes (psykolog, Fjordvik) leste samtalen. Grunnlag: samtykket ditt."),
        ("nn", "Kari Nes (psykolog, Fjordvik) las samtalen. Grunnlag: samtykket ditt."),
        ("en", "Kari Nes (psykolog, Fjordvik) read the conversation. Basis: your consent."),
    ],
)
def test_a_line(language: str, said: str) -> None:
    with translation.override(language):
        assert sentence("events.viewed", outcome="success", basis="consent", who=KARI) == said


@pytest.mark.parametrize(
    ("type_", "outcome", "basis", "who", "said"),
    [
        ("events.viewed", "refused", "", KARI, "Kari Nes (psykolog, Fjordvik) prøvde å lese samtalen. Det ble avvist."),
        ("events.viewed", "success", "self", Who(own=True, role="patient"), "Du leste samtalen. Grunnlag: det er ditt"),
        ("consent.expired", "success", "period", Who(role="system"), "Systemet registrerte at samtykket ditt var"),
        ("events.viewed", "success", "emergency", KARI, "Nødtilgang: Kari Nes (psykolog, Fjordvik) leste samtalen."),
        ("emergency_access.ended", "success", "emergency", KARI, "Nødtilgang: Kari Nes (psykolog, Fjordvik) avsluttet"),
        (
            "events.viewed",
            "success",
            "consent",
            Who(role="psykolog", place="Fjordvik", code="K7QX"),
            "Ansatt K7QX (psy",
        ),
        ("room.viewed", "refused", "", Who(role="nobody"), "Noen som ikke var logget inn prøvde å åpne forsiden"),
        ("x.unheard", "success", "", KARI, "Kari Nes (psykolog, Fjordvik) gjorde noe denne siden ikke har ord for (x."),
    ],
)
def test_who_and_what(type_: str, outcome: str, basis: str, who: Who, said: str) -> None:
    with translation.override("nb"):
        assert sentence(type_, outcome=outcome, basis=basis, who=who).startswith(said)


def test_every_type_has_a_period() -> None:
    """Each type is kept for as long as one rule says, with its reason."""
    for type_ in event_types.written():
        assert rules().of(type_).reason
