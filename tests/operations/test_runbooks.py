"""Runbooks, rules and the board name what is there: codes, lines of the log, metrics, commands, settings, paths."""

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands
from django.urls import get_resolver

from server.audit.metrics import REGISTRY
from server.operate.watchdog import CODES, URGENT
from server.settings.env import Environment
from tests.support.served import ROOT, sqlite_only

pytestmark = sqlite_only

RUNBOOKS = ROOT / "docs" / "runbooks"
INDEX = RUNBOOKS / "README.md"
PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path != INDEX)
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
BOARD = ROOT / "deploy" / "grafana" / "samsnakk.json"
HEADINGS = ["How it shows", "What people notice", "At once", "It is over when"]
SOURCE = "\n".join(path.read_text() for path in sorted((ROOT / "server").rglob("*.py")))
NO_CODES = {"keys_refused"}
"""What looks like a code in the two modules that say them, and is none of health's."""
OTHERS_METRICS = {"process_cpu_seconds_total", "process_resident_memory_bytes", "up", "absent"}
SUFFIXES = {
    "Counter": ("_total",),
    "Histogram": ("_bucket", "_sum", "_count"),
    "Gauge": ("",),
    "GaugeMetricFamily": ("",),
}


@cache
def health_codes() -> set[str]:
    """All that `/health/ready` may say, found in the code itself."""
    said = "".join((ROOT / "server" / one).read_text() for one in ("operate/watch.py", "notify/standing.py"))
    return {*re.findall(r'"([a-z]+(?:_[a-z]+)+)"', said), *CODES, "database"} - NO_CODES


@cache
def metric_names() -> set[str]:
    """Every name that a sample of ours may have."""
    found = {
        name + suffix
        for kind, name in re.findall(r"\b(Counter|Histogram|GaugeMetricFamily|Gauge)\(\s*\"(samsnakk_\w+)\"", SOURCE)
        for suffix in SUFFIXES[kind]
    }
    return (
        found
        | {f"samsnakk_audit_{name}" for name in ("pending", "pending_oldest_seconds", "tree_size")}
        | {"samsnakk_audit_sequencer_stopped"}
    )


def links() -> dict[str, str]:
    return dict(re.findall(r"^\| `(\w+)` \| \[[\w-]+\]\(([\w-]+\.md)\) \|$", INDEX.read_text(), re.MULTILINE))


def test_every_code_has_its_page() -> None:
    """Red when health or the watchdog learns a code, and nobody says what to do about it."""
    assert set(links()) == health_codes()
    for code, page in links().items():
        assert f"`{code}`" in (RUNBOOKS / page).read_text(), (code, page)


def test_every_page_is_in_the_index() -> None:
    assert [page.name for page in PAGES if f"({page.name})" not in INDEX.read_text()] == []
    assert len(PAGES) >= 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_says_the_same_four_things(page: Path) -> None:
    said = page.read_text()
    assert re.findall(r"^## (.+)$", said, re.MULTILINE) == HEADINGS
    for part in said.split("\n## ")[1:]:
        assert len(part.splitlines()) > 1, part


@pytest.mark.parametrize("page", [INDEX, *PAGES], ids=lambda page: page.stem)
def test_names_are_those_of_the_code(page: Path) -> None:
    settings = {name.upper() for name in Environment.model_fields}
    routes = set(paths(get_resolver().url_patterns))
    for word in re.findall(r"`([^`\n]+)`", page.read_text()):
        if re.fullmatch(r"samsnakk_(server|owner|sequencer|watchdog|backup)", word):
            assert word in (ROOT / "deploy" / "sql" / "roles.sql").read_text(), word
        elif word.startswith("samsnakk_"):
            assert word in metric_names(), word
        elif re.fullmatch(r"[a-z]+(_[a-z]+)+", word) and word not in OTHERS:
            assert f'"{word}"' in SOURCE, f"{word}: neither a code nor a line of the log"
        elif re.fullmatch(r"[A-Z]+(_[A-Z]+)+", word):
            assert word in settings, word
        elif found := re.match(r"manage\.py ([\w-]+)", word):
            assert found[1] in get_commands(), word
        elif found := re.fullmatch(r"(GET|POST|PUT|PATCH|DELETE) ([\w/{}-]+)", word):
            path = re.sub(r"\{\w+\}", "{}", found[2])
            assert f"api/v1/{path}" in routes or path in routes, word


def paths(patterns: Iterable[Any], before: str = "") -> Iterator[str]:
    """Every route there is, what varies in it as `{}`."""
    for one in patterns:
        here = before + re.sub(r"<[^>]+>", "{}", str(one.pattern).strip("^$"))
        if hasattr(one, "url_patterns"):
            yield from paths(one.url_patterns, here)
        else:
            yield here


OTHERS = {"server_status", "max_connections"}
"""Words of nginx and PostgreSQL."""


def used_metrics(text: str) -> set[str]:
    return set(re.findall(r"\b(?:samsnakk_\w+|process_\w+)", text))


def test_rules_name_metrics_codes_and_pages_that_are_there() -> None:
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    assert len({rule["alert"] for rule in group["rules"]}) == len(group["rules"])
    watched: set[str] = set()
    for rule in group["rules"]:
        assert used_metrics(rule["expr"]) <= metric_names(), rule["alert"]
        assert rule["labels"]["severity"] in ("urgent", "warning")
        assert (ROOT / rule["annotations"]["runbook"]).exists(), rule["alert"]
        codes = {code for said in re.findall(r'code=~?"([^"]+)"', rule["expr"]) for code in said.split("|")}
        assert codes <= health_codes(), rule["alert"]
        watched |= codes
    assert set(URGENT) <= watched, "whatever is urgent rings somebody"


def test_the_board_shows_metrics_that_are_there() -> None:
    board = json.loads(BOARD.read_text())
    shown = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    used: set[str] = set()
    for panel in shown:
        for target in panel["targets"]:
            used |= used_metrics(target["expr"])
            assert target["expr"].count("(") == target["expr"].count(")")
        for page in re.findall(r"docs/[\w/.-]+\.md", panel["description"]):
            assert (ROOT / page).exists(), page
    assert used <= metric_names() | OTHERS_METRICS
    ours = {re.sub("_(bucket|sum|count)$", "", name) for name in metric_names()}
    assert ours - {re.sub("_(bucket|sum|count)$", "", name) for name in used} == set(), "every metric is shown"


def test_metrics_are_found_where_they_are_made() -> None:
    """The names above are read from the code; this holds them against what is registered."""
    named = {
        name for name in REGISTRY._names_to_collectors if name.startswith("samsnakk_") and not name.endswith("_created")
    }
    families = {re.sub("_(total|bucket|sum|count)$", "", name) for name in metric_names()}
    assert {re.sub("_(total|bucket|sum|count)$", "", name) for name in named} <= families
