"""What stands in the way, as a pure function: everything must be so, and each thing by itself is enough to stop it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.review.erasure_decide import OPEN, Facts, Kept, in_the_way
from tests.support.served import sqlite_only

pytestmark = sqlite_only
NOW = datetime(2026, 6, 1, tzinfo=UTC)
ONE, OTHER = UUID(int=1), UUID(int=2)
CLEAR = Facts(
    now=NOW,
    rules_confirmed=True,
    confirmed=True,
    not_before=NOW,
    parts={ONE: "exported", OTHER: "waived"},
    kept=(Kept("messages", NOW, after_export=True),),
    authors_until=NOW,
    open={("open_alert", None): 0},
)
LATER = NOW + timedelta(microseconds=1)

WRONG: list[tuple[str, dict[str, Any]]] = [
    ("rules_unconfirmed", {"rules_confirmed": False}),
    ("part_missing", {"parts": {ONE: "exported", OTHER: ""}}),
    ("must_be_kept", {"kept": (Kept("alerts", LATER, after_export=False),)}),
    ("authors_may_export", {"authors_until": LATER}),
    ("unconfirmed", {"confirmed": False}),
    ("waiting_time", {"not_before": LATER}),
    ("waiting_time", {"not_before": None}),
    *((code, {"open": {(code, None): 1}}) for code in OPEN),
]


def codes(facts: Facts) -> list[str]:
    return [one.code for one in in_the_way(facts)]


def test_nothing_stands_in_the_way() -> None:
    assert in_the_way(CLEAR) == []


@pytest.mark.parametrize(("code", "changed"), WRONG, ids=[f"{n} {code}" for n, (code, _) in enumerate(WRONG)])
def test_each_is_enough(code: str, changed: dict[str, Any]) -> None:
    """Red when one of them is forgotten, or compared the wrong way round."""
    assert codes(replace(CLEAR, **changed)) == [code]


@given(chosen=st.sets(st.sampled_from(range(len(WRONG)))))
def test_none_hides_another(chosen: set[int]) -> None:
    facts, expected = CLEAR, set()
    for index in sorted(chosen):
        code, changed = WRONG[index]
        merged = {**facts.open, **changed["open"]} if "open" in changed else facts.open
        facts = replace(facts, **{**changed, "open": merged})
        expected.add(code)
    if not facts.confirmed:
        expected.discard("waiting_time")
    assert set(codes(facts)) == expected


@given(said=st.lists(st.sampled_from(["exported", "waived"]), min_size=1, max_size=4))
def test_what_is_kept_until_it_is_exported_asks_for_everybodys_export(said: list[str]) -> None:
    """A waiver is not enough; and what must be kept anyway is kept. Red when any of the controllers is enough."""
    kept = (Kept("messages", LATER, after_export=True),)
    facts = replace(CLEAR, kept=kept, parts={UUID(int=n): one for n, one in enumerate(said)})
    assert (codes(facts) == []) == (set(said) == {"exported"})
    assert codes(replace(facts, kept=(Kept("alerts", LATER, after_export=False),))) == ["must_be_kept"]


def test_nobody_concerned_exports_nothing() -> None:
    facts = replace(CLEAR, parts={}, kept=(Kept("messages", LATER, after_export=True),))
    assert codes(facts) == ["must_be_kept"]
