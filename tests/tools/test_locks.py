"""The locks: exact, hashed, without an address, and no older than pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.served import sqlite_only

pytestmark = sqlite_only

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(name: str) -> dict[str, set[str]]:
    """Package -> versions (a package may have one per platform) of a lock."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "requirements" / f"{name}.txt").read_text().splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==([^ ;]+)", line):
            found.setdefault(canonicalize_name(match.group(1)), set()).add(match.group(2))
    return found


@pytest.mark.parametrize("name", ["tools", "run", "dev"])
def test_every_pin_is_exact_and_hashed_and_no_address_is_kept(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    entries = re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"^#.*\n|^ +#.*\n", "", text, flags=re.MULTILINE).strip())
    assert entries
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+==[^ ]+( ; [^\\]+)? \\\n", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
    assert not re.search(r"://|@ |--(extra-)?index|--find-links|-i ", text)


@pytest.mark.parametrize(("name", "wanted"), [("run", PROJECT["project"]["dependencies"]), ("dev", [
    *PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]])])  # fmt: skip
def test_the_lock_satisfies_what_the_project_asks_for(name: str, wanted: list[str]) -> None:
    locked = pins(name)
    for requirement in map(Requirement, wanted):
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert any(requirement.specifier.contains(version, prereleases=True) for version in versions), (
            f"{requirement} is not in requirements/{name}.txt: make lock"
        )


def test_development_pins_the_same_versions_as_running() -> None:
    run, dev = pins("run"), pins("dev")
    assert {name: dev.get(name) for name in run} == run
