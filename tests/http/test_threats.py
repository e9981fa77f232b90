"""The threat model: every threat has an answer that can fail, or is named as a risk that is open."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.support.served import ROOT, sqlite_only

pytestmark = sqlite_only

PAGE = (ROOT / "docs" / "threats.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
ROW = re.compile(r"^\| ([TW]\d[\d.]*) \| (\w+) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
BOUNDARIES = [name for name in SECTIONS if name[0].isdigit()]
ROWS = ROW.findall(PAGE)
RISKS = re.findall(r"^\| (R\d+) \| .+ \| .+ \|$", SECTIONS["Open risks"], re.MULTILINE)


@cache
def names_in(path: Path) -> set[str]:
    """Names of tests, and of classes that hold some."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            held = {one.name for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
            named = {name for name in held if name.startswith("test_")}
            found |= {node.name, *named} if named else set()
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            found.add(node.name)
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_threat_is_answered_by_tests_that_exist(row: tuple[str, ...]) -> None:
    _, kind, _, _, answered = row
    assert kind in "STRIDE"
    named, open_risks = TEST.findall(answered), re.findall(r"\[(R\d+)\]", answered)
    assert named or open_risks
    assert answered.count("::") == len(named), "nothing that only looks like a test"
    for path, name in named:
        assert (ROOT / path).is_file(), path
        assert name in names_in(ROOT / path), f"{path}::{name}"
    assert set(open_risks) <= set(RISKS)


def test_no_boundary_lacks_a_kind() -> None:
    assert len(BOUNDARIES) >= 10
    for name in BOUNDARIES:
        number = name.partition(".")[0]
        kinds = {kind for id_, kind, *_ in ROWS if id_.startswith(f"T{number}.")}
        assert kinds == set("STRIDE"), name


def test_every_row_is_read_and_named_once() -> None:
    ids = [id_ for id_, *_ in ROWS]
    assert len(ids) == len(set(ids))
    lines = [line for line in PAGE.splitlines() if re.match(r"\| [TW]\d", line)]
    assert len(lines) == len(ids), "a row that the pattern does not read would be checked by nobody"
    assert len(RISKS) == len(set(RISKS)) >= 8


def test_the_people_are_among_them() -> None:
    people = SECTIONS["People"]
    for who in ("violent partner", "former member", "curious colleague", "database administrator", "insider"):
        assert who in people, who
