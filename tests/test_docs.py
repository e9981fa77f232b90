"""Documents do not drift: links resolve, named files, tests, tables and settings exist, no requirement is forgotten."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.db import connection

from server.common.words import WORDS
from server.gateway import frames
from server.settings.env import Environment
from tests.support.served import sqlite_only

pytestmark = sqlite_only

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(path for path in (ROOT / "deploy").rglob("*") if path.is_file()),
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
REFERENCE = re.compile(r"`((?:server|tests|tools|bench|deploy|docs|requirements)/[\w./*@-]+)(?:::(\w+))?`")
PLACES = {"admin", "api", "ws", "health", "metrics", "etc", "opt", "run", "var", "usr", "proc"}
"""Where an absolute path or an address of the server may begin."""
CODES = {
    *(f"S{n}" for n in range(1, 13)),
    *(f"M{n}" for n in range(1, 7)),
    *(f"D{n}" for n in range(1, 5)),
    *(f"P{n}" for n in range(1, 4)),
    *(f"L{n}" for n in range(1, 8)),
}


def text(name: str) -> str:
    return (ROOT / name).read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_references_resolve_inside_the_repository(page: Path) -> None:
    said = page.read_text()
    for link in LINK.findall(said):
        assert "://" not in link, f"{link}: nothing points outside"
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}, link
    for path, name in REFERENCE.findall(said):
        found = list(ROOT.glob(path.rstrip("/")))
        assert found, path
        if name:
            assert re.search(rf"^ *(async def|def|class) {name}\b", found[0].read_text(), re.MULTILINE), (
                f"{path}::{name}"
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_name_no_place_outside(page: Path) -> None:
    said = page.read_text()
    without_addresses = re.sub(r"\w+://\S+", "", said)
    assert set(re.findall(r"(?<![\w./~}*)\]-])/(\w[\w.-]*)/", without_addresses)) <= PLACES
    addresses = re.findall(r"(?:https?|wss?)://([\w.-]+)", said)
    assert {
        one for one in addresses if not re.fullmatch(r"127\.0\.0\.1|localhost|samsnakk|.*\.example(\.no)?", one)
    } == set()


def test_no_file_knows_where_it_was_written() -> None:
    """Neither the folder that this copy lies in, nor a home, nor a way up and out of it."""
    homes = {str(ROOT.parent), str(Path.home())} - {"/", *(f"/{one}" for one in PLACES)}
    found = []
    for path, said in tracked():
        found += [(path, home) for home in homes if re.search(rf"(?<![\w.]){re.escape(home)}/", said)]
        for up in re.findall(r"(?<![\w./])(?:\.\./)+", said):
            if not (path.parent / up).resolve().is_relative_to(ROOT):
                found.append((path, up))
    assert found == []


def tracked() -> Iterator[tuple[Path, str]]:
    """Every text file under version control, with its text."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a clone: nobody can say which files belong to it")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file():
            with suppress(UnicodeDecodeError):
                yield path, path.read_text()


def test_every_setting_is_told() -> None:
    names = {name.upper() for name in Environment.model_fields}
    table = set(re.findall(r"^\| `([A-Z_]+)` \|", text("docs/operations.md"), re.MULTILINE))
    assert table == names
    example = set(re.findall(r"^([A-Z_]+)=", text("deploy/samsnakk.env.example"), re.MULTILINE))
    assert example == names


def test_defaults_are_told_as_they_are() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| ([^|]+) \|", text("docs/operations.md"), re.MULTILINE))
    for name, field in Environment.model_fields.items():
        if isinstance(field.default, int | float) and not isinstance(field.default, bool):
            assert rows[name.upper()] == f"`{field.default:g}`", name
        if isinstance(field.default, bool):
            assert rows[name.upper()] == ("on" if field.default else "off"), name


def test_the_example_holds_no_secret() -> None:
    given = dict(re.findall(r"^([A-Z_]+)=(.*)$", text("deploy/samsnakk.env.example"), re.MULTILINE))
    assert given["SECRET_KEY"] == given["MASTER_KEYS"] == ""
    assert ":" not in given["DATABASE_URL"].split("@")[0].removeprefix("postgresql://")


def test_every_requirement_has_its_state() -> None:
    rows = dict(re.findall(r"^\| \*\*([SMDPL]\d+)\*\* \| .+ \| (.+) \|$", text("docs/product.md"), re.MULTILINE))
    assert set(rows) == CODES
    assert all(state.startswith(("Built", "Partly", "Follows")) for state in rows.values())


def test_codes_that_are_named_exist() -> None:
    for page in PAGES:
        assert set(re.findall(r"\b[SMDPL]\d{1,2}\b", page.read_text())) <= CODES, page


def test_ten_laws_each_with_its_proof() -> None:
    laws = re.split(r"^## (\d+)\. ", text("docs/laws.md"), flags=re.MULTILINE)
    numbers, bodies = laws[1::2], laws[2::2]
    assert numbers == [str(n) for n in range(1, 11)]
    for number, body in zip(numbers, bodies, strict=True):
        assert "`tests/" in body, number


def test_the_socket_guide_has_every_code() -> None:
    guide = text("docs/socket.md")
    assert {code for code in frames.CLOSE_CODES if f"| {code} |" not in guide} == set()
    assert {code for code in frames.ERROR_CODES if f"`{code}`" not in guide} == set()


def test_codes_in_the_api_guide_exist() -> None:
    table = text("docs/api.md").split("codes that a client should know")[1].split("\n\n")[0]
    known = {*WORDS, "invalid", "unauthenticated", "not_found"}
    assert set(re.findall(r"`([a-z_]+)`", table)) - {"errors"} <= known


@pytest.mark.django_db
def test_tables_that_are_named_exist() -> None:
    tables = set(connection.introspection.table_names())
    data = text("docs/architecture.md").split("## Data at rest")[1]
    named = set(re.findall(r"`((?:rooms|consent|people|audit|vault|common|alerts|notify|operate)_\w+)`", data))
    assert len(named) > 24
    assert named <= tables


def test_decisions_are_numbered_without_holes() -> None:
    names = [path.name for path in sorted((ROOT / "docs" / "decisions").glob("*.md"))]
    assert [name[:4] for name in names] == [f"{n:04}" for n in range(1, len(names) + 1)]
    for name in names[4:]:
        for heading in ("## Context", "## Choice", "## Turned down"):
            assert heading in text(f"docs/decisions/{name}"), name
