"""docs/alerts.md says what the code says: states, codes, numbers and targets, table by table."""

import re
from dataclasses import fields
from pathlib import Path

from server.alerts import deeds, policy, rules, words
from server.alerts.facts import Limits
from server.alerts.models import AlertTask
from server.alerts.models.alerts import State
from server.alerts.view import NOBODY_YET_S
from server.operate import watchdog
from server.settings.env import Environment
from tests.support.served import sqlite_only

pytestmark = sqlite_only

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "alerts.md").read_text()
CODE = {path.name: path.read_text() for path in (ROOT / "server" / "alerts").glob("*.py")}
ALL = "\n".join(path.read_text() for path in (ROOT / "server" / "alerts").rglob("*.py"))


def section(heading: str) -> str:
    return re.split(rf"^##+ {re.escape(heading)}$", PAGE, flags=re.MULTILINE)[1].split("\n## ")[0]


def first_column(said: str, header: str) -> list[str]:
    """Words in code style of the first column of the table with this header."""
    body = said.split(f"| {header} |")[1].split("\n\n")[0]
    cells = [line.split("|")[1] for line in body.splitlines()[2:] if line.startswith("|")]
    return [word for cell in cells for word in re.findall(r"`([a-z_0-9:]+)`", cell)]


def test_every_state_and_whose_turn_it_is() -> None:
    said = section("A call for help")
    assert sorted(first_column(said, "state")) == sorted(State.values)
    drawn = set(re.findall(r"\b([a-z_]+) -->", said)) | set(re.findall(r"--> ([a-z_]+)", said))
    assert drawn == set(State.values)


def test_every_refusal() -> None:
    said = section("A call for help")
    known = set(re.findall(r'Unfit\("(\w+)"\)', ALL)) | {"already_accepted"}
    assert set(first_column(said, "code")) == known


def test_what_is_missing() -> None:
    listed = re.findall(r'"(no_\w+)": ', CODE["rules.py"])
    assert first_column(section("Programmes"), "code") == listed
    assert rules.missing.__doc__


def test_every_event_and_its_codes() -> None:
    said = section("What each party sees")
    known = set(re.findall(r'Note\("(\w+)"', ALL))
    known |= set(re.findall(r'"(page_\w+|duty_phone_answered)"', CODE["pages.py"]))
    assert set(first_column(said, "event")) == known
    table = said.split("| event |")[1]
    again = set(re.findall(r'resumed\([^"\n]+"(\w+)"', ALL)) | set(re.findall(r'after\([^\n]+\), "(\w+)"\)', ALL))
    again |= set(re.findall(r'Owed\(task\.due_at, "(\w+)"', ALL))
    (line,) = [line for line in table.splitlines() if line.startswith("| `resumed` |")]
    assert set(re.findall(r"`(\w+)`", line)) - {"resumed"} == again
    (line,) = [line for line in table.splitlines() if line.startswith("| `step_over` |")]
    over = {"nobody", "nobody_reachable", "time", "declined", "failed"}
    assert set(re.findall(r"`(\w+)`", line)) - {"step_over"} == over
    assert all(f'"{code}"' in CODE["decide.py"] for code in over)


def test_every_line_that_the_patient_reads() -> None:
    assert set(first_column(section("What each party sees"), "line")) == set(words.WORDS)
    assert NOBODY_YET_S == 600, "ten minutes"


def test_how_it_ends_and_what_is_owed() -> None:
    said = section("A call for help")
    closing = said.split("**Closing**")[1].split("\n\n")[0]
    assert re.findall(r"`(\w+)`", closing) == ["outcome", *deeds.OUTCOMES, "children", *deeds.CHILDREN]
    assert {kind for kind in AlertTask.Kind.values if f"`{kind}`" in said} >= {
        deeds.PLAN_CONTACTS,
        deeds.CALL_113,
        deeds.SPEAK_ALONE,
    }


def test_numbers() -> None:
    rows = re.findall(r"\| `(\d+)` \| `([A-Z_]+)` \|", section("Numbers"))
    assert {name: float(number) for number, name in rows} == {
        name.upper(): float(field.default)
        for name, field in Environment.model_fields.items()
        if re.fullmatch(r"alert_\w+_s", name)
    }
    assert {name.lower() for _, name in rows} == {f"alert_{one.name}_s" for one in fields(Limits)}
    assert all(getattr(Limits(), name[6:-2].lower()) == int(number) for number, name in rows), "the pure defaults too"


def test_targets_and_faults_of_policies() -> None:
    said = section("Policies")
    assert [one for one in first_column(said, "target") if one != policy.PERSON] == list(policy.TARGETS)
    faults = set(re.findall(r'Unusable\("(\w+)"\)', ALL)) | {"wait_s", "voice_after_s", "not_in_team"}
    refused = said.split("A refused policy")[1].split("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", refused)) == faults
    assert policy.VOICE_S == 60


def test_what_the_watchdog_tells() -> None:
    said = section("Whoever keeps watch")
    rows = re.findall(r"^\| `(\w+)` \| (yes|no) \|", said, re.MULTILINE)
    assert [code for code, _ in rows] == list(watchdog.CODES)
    assert {code for code, urgent in rows if urgent == "yes"} == set(watchdog.URGENT)
    table = (ROOT / "docs" / "operations.md").read_text().split("## Watching it")[1]
    assert all(f"`{code}`" in table for code in watchdog.CODES)
