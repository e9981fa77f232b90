"""What the house says about files, where no linter says it."""

from pathlib import Path

import pytest

from tests.support.served import sqlite_only

pytestmark = sqlite_only

ROOT = Path(__file__).resolve().parents[2]
MODULES = [path for top in ("server", "tools", "bench", "tests") for path in sorted((ROOT / top).rglob("*.py"))]
LONGEST = 400
ALONE = ROOT / "server" / "audit" / "verify.py"
"""Handed out as one file, to be run by people who have nothing else of ours (L4)."""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_are_short_and_named_for_what_they_hold(path: Path) -> None:
    assert path.stem not in ("utils", "helpers", "misc", "signals")
    if "migrations" not in path.parts and path != ALONE:
        assert len(path.read_text().splitlines()) <= LONGEST
