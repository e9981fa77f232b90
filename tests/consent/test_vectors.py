"""The named cases that a lawyer can read (`tests/vectors/consent`), put to the decision: each, and all together.

`test_mutations` takes the decision apart, piece by piece, and asks for a case that notices.
"""

import ast
import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from pydantic import ValidationError

from server.consent import decide as module
from tests.consent.cases import FOLDER, Case, Put, Sheet, cases, id_of, moment, sheets
from tests.support.served import sqlite_only

pytestmark = sqlite_only

SOURCE = Path(str(module.__file__))
RULES = {
    "0-self": {"self"},
    "1-person": {"excluded_person"},
    "2-emergency": {"emergency"},
    "3-unit": {"excluded_unit"},
    "4-consent": {"consent", "no_consent", "other_purpose", "other_category", "not_covered"},
    "4-agreements": {"consent", "no_agreement", "engagement_ended"},
    "4-periods": {"consent", "not_yet", "ended"},
    "5-statute": {"statute"},
    "6-deny": set(module.REASONS),
    "broken-records": {"unreadable"},
}
"""Which bases and reasons each file must have met."""


@pytest.mark.parametrize("put", cases(), ids=lambda put: put.case.name)
def test_a_case(put: Put) -> None:
    """Red under every mutation that `test_mutations` lists; each record order gives the same answer."""
    assert put.answer(module.decide) == put.expected
    assert put.answer(module.decide, backwards=True) == put.expected


def test_there_are_cases_for_every_rule_and_each_has_a_name_of_its_own() -> None:
    names = [put.case.name for put in cases()]
    assert len(names) >= 60
    assert len(set(names)) == len(names)
    for rule, words in RULES.items():
        answers = [case.answer for case in sheets()[rule].cases]
        assert words <= {answer.basis or answer.reason for answer in answers}, rule
        assert rule == "6-deny" or {answer.decision for answer in answers} == {"permit", "deny"}, rule


def test_every_basis_and_every_reason_of_the_decision_has_a_case() -> None:
    said = {word for put in cases() for word in (put.expected.basis, put.expected.reason) if word}
    assert said == words_of(ast.parse(SOURCE.read_text(encoding="utf-8")))


def words_of(tree: ast.AST) -> set[str]:
    """Every basis and reason that stands in the source."""
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found += [one.value for one in node.keywords if one.arg in ("basis", "reason")]
            found += node.args[:1] if isinstance(node.func, ast.Name) and node.func.id == "_deny" else []
    assert len(found) > 8, "the decision is written in another way: teach this test to find its words"
    return {str(one.value) for one in found if isinstance(one, ast.Constant)} | set(module.REASONS)


def test_every_line_of_the_decision_is_run_by_a_case() -> None:
    """Red when a branch is added that no case meets."""
    lines = _lines(compile(SOURCE.read_text(encoding="utf-8"), module.__file__, "exec"))
    assert lines - _run() == set()


def _lines(code: CodeType) -> set[int]:
    """The lines of every function's body; what a module or class runs when it is imported is left out."""
    found: set[int] = set()
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            is_function = bool(inner.co_flags & 0x2)  # CO_NEWLOCALS
            found |= _lines(inner)
            if is_function and "<locals>" not in inner.co_qualname:
                found |= {line for _, _, line in inner.co_lines() if line and line > inner.co_firstlineno}
    return found


def _run() -> set[int]:
    seen: set[int] = set()

    def trace(frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        if frame.f_code.co_filename != module.__file__:
            return None
        seen.add(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for put in cases():
            put.answer(module.decide)
    finally:
        sys.settrace(before)
    return seen


# --- how the files are read ---
GOOD: dict[str, Any] = {
    "rule": "Any",
    "cases": [
        {
            "name": "A case that is written well",
            "law": ["L1"],
            "records": [{"consent": "Are's consent", "grantees": [{"unit": "Ytre DPS"}]}],
            "question": {"who": "Sara", "agreements": [{"since": "2026-01-01 00:00"}]},
            "answer": {"decision": "permit", "basis": "consent", "records": ["Are's consent"], "content": {}},
        }
    ],
}


def changed(path: str, value: Any) -> str:
    """GOOD as JSON, with one value set; `path` is dotted, numbers are places in a list."""
    text = json.loads(json.dumps(GOOD))
    *steps, last = path.split(".")
    place = text
    for step in steps:
        place = place[int(step)] if step.isdigit() else place[step]
    place[last] = value
    return json.dumps(text)


def test_a_case_that_is_written_well_is_read() -> None:
    assert Put(Sheet.model_validate_json(json.dumps(GOOD)).cases[0]).holds(module.decide)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *(
            (f"{place}unknown", 1)
            for place in (
                "",
                "cases.0.",
                "cases.0.records.0.",
                "cases.0.records.0.grantees.0.",
                "cases.0.question.",
                "cases.0.question.agreements.0.",
                "cases.0.answer.",
                "cases.0.answer.content.",
            )
        ),
        ("cases.0.law", []),
        ("cases.0.law", ["L99"]),
        ("cases.0.records", [{"valid_to": "2026-01-01 00:00"}]),
        ("cases.0.records", [GOOD["cases"][0]["records"][0]] * 2),
        ("cases.0.records.0.state", "given"),
        ("cases.0.records.0.valid_to", "2026-13-01 00:00"),
        ("cases.0.records.0.excluded_units", ["Ytre DSP"]),
        ("cases.0.question.who", "Sarah"),
        ("cases.0.question.at", "15 June"),
        ("cases.0.answer.records", ["another record"]),
        ("cases.0.answer.decision", "maybe"),
        ("cases.0.answer.basis", ""),
        ("cases.0.answer.reason", "ended"),
    ],
)
def test_a_slip_of_the_pen_is_a_failure(path: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        Sheet.model_validate_json(changed(path, value))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-06-15 12:00", datetime(2026, 6, 15, 10, tzinfo=UTC)),
        ("2026-01-15 12:00 Oslo", datetime(2026, 1, 15, 11, tzinfo=UTC)),
        ("2026-01-15 12:00:00.000001 UTC", datetime(2026, 1, 15, 12, 0, 0, 1, tzinfo=UTC)),
        ("2026-03-29 01:59:59.999999", datetime(2026, 3, 29, 0, 59, 59, 999999, tzinfo=UTC)),
        ("2026-03-29 03:00", datetime(2026, 3, 29, 1, tzinfo=UTC)),
        ("2026-10-25 02:30 Oslo summer time", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25 02:30 Oslo winter time", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
        ("2026-10-25 03:00", datetime(2026, 10, 25, 2, tzinfo=UTC)),
    ],
)
def test_a_wall_clock_time_is_one_moment(written: str, expected: datetime) -> None:
    assert moment(written) == expected
    assert moment(written).tzinfo is UTC


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-29 02:30",  # left out in Oslo
        "2026-03-29 02:30 Oslo summer time",
        "2026-10-25 02:30",  # shown twice
        "2026-06-15 12:00 Oslo winter time",
        "2026-06-15",
        "2026-06-15T12:00",
        "2026-06-15 12:00 CET",
    ],
)
def test_a_time_that_is_none_or_two_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"no time|Oslo's clocks"):
        moment(written)


def test_a_name_has_the_same_id_in_every_run() -> None:
    assert str(id_of("Frida")) == "04f97bff-23ec-5df9-9a34-d0b8fa198238"


def test_the_readme_knows_every_field_and_every_word() -> None:
    """Red when a field, a basis or a reason is added and the lawyer is not told."""
    told = (FOLDER / "README.md").read_text(encoding="utf-8")
    schema = Sheet.model_json_schema()
    fields = {name for part in [schema, *schema["$defs"].values()] for name in part["properties"]}
    words = words_of(ast.parse(SOURCE.read_text(encoding="utf-8")))
    assert {word for word in fields | words if f"`{word}`" not in told} == set()
    (example,) = re.findall(r"```json\n(.*?)```", told, flags=re.DOTALL)
    assert Put(Case.model_validate_json(example)).holds(module.decide)
