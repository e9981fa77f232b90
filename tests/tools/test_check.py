"""`make test` itself: what fails makes it fail, and its last line says what passed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools import check

ROOT = Path(__file__).resolve().parents[2]


def python(name: str, code: str, *, needs_servers: bool = False) -> check.Check:
    return check.Check(name, [sys.executable, "-c", code], needs_servers=needs_servers)


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "OUTPUT", tmp_path / "checks")
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # leave the running pytest its own


def test_all_passed(capsys: pytest.CaptureFixture[str]) -> None:
    slow = python("slow", "import time; time.sleep(0.3); print('== 12 passed, 1 deselected in 0.30s ==')")
    assert check.perform([slow, python("quick", "print('unseen')")]) == 0
    shown = capsys.readouterr().out
    assert shown.index("--- slow: ok") < shown.index("--- quick: ok")
    assert "slow: 12 passed, 1 deselected in 0.30s" in shown
    assert "unseen" not in shown
    assert shown.splitlines()[-1].startswith("all passed: slow, quick (")


def test_any_failure_fails_and_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.perform([python("fine", ""), python("broken", "raise SystemExit('the reason')")]) == 1
    shown = capsys.readouterr().out
    assert "the reason" in shown
    assert shown.splitlines()[-1].startswith("FAILED: broken; passed: fine (")


def test_a_hanging_check_is_ended(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(check, "LIMIT_S", 0.3)
    assert check.perform([python("hangs", "import time; time.sleep(60)")]) == 1
    assert "FAILED: hangs" in capsys.readouterr().out


def test_checks_see_neither_servers_nor_settings_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somewhere/else")
    monkeypatch.setenv("MODE", "production")
    monkeypatch.setenv("VAR_DIR", "var")
    plain = check.Runner.environment(python("embedded", ""), "/folder")
    real = check.Runner.environment(python("real", "", needs_servers=True), "/folder")
    assert ("DATABASE_URL" in plain, real["DATABASE_URL"]) == (False, "postgresql://somewhere/else")
    assert (plain["MODE"], plain["VAR_DIR"], plain["HYPOTHESIS_PROFILE"]) == ("demo", "/folder", "ci")


@pytest.mark.parametrize(
    ("line", "summary"),
    [
        ("=== 3 failed, 120 passed, 2 deselected in 33.10s ===", "3 failed, 120 passed, 2 deselected in 33.10s"),
        ("=== 120 passed in 133.10s (0:02:13) ===", "120 passed in 133.10s (0:02:13)"),
        ("12 passed in 0.10s", "12 passed in 0.10s"),
        ("slow things passed in 3 s", ""),
    ],
)
def test_the_summary_is_pytests_own_last_word(line: str, summary: str) -> None:
    assert check.Outcome(0, 1.0, ["collected 3 items", line, ""]).summary == summary


def test_both_engines_are_tested_and_real_servers_never_left_out() -> None:
    whole, chosen = check.tests(), check.tests("tests/rooms")
    half = len(whole) // 2
    for embedded, real in (*zip(whole[:half], whole[half:], strict=True), chosen):
        assert real.command[1:5] == ["-m", "tools.services", "run", "--"]
        assert real.command[6:8] == embedded.command[1:3] == ["-m", "pytest"]
        assert real.command[11:] == embedded.command[6:]
        assert (real.needs_servers, embedded.needs_servers) == (True, False)


def test_the_parts_are_the_whole() -> None:
    """What some parts are given, the first is told to leave out, and nothing else."""
    whole = check.tests()
    half = len(whole) // 2
    for first, *others in (whole[:half], whole[half:]):
        named = [word for one in others for word in one.command if word.startswith("tests")]
        left_out = [word.removeprefix("--ignore=") for word in first.command if word.startswith("--ignore=")]
        assert named == left_out == [path for part in check.PARTS.values() for path in part]
        assert not any(word.startswith("tests") for word in first.command)
        assert len(named) == len(set(named))
        assert all((ROOT / path).exists() for path in named)


def test_the_engine_is_the_one_asked_for() -> None:
    from django.db import connection  # noqa: PLC0415 - this module is otherwise free of Django

    asked = os.environ.get("DATABASE_URL", "")
    assert connection.vendor == ("postgresql" if asked.startswith("postgres") else "sqlite")


def test_ending_make_test_ends_its_checks(tmp_path: Path) -> None:
    long = "import time; print(1, flush=True); time.sleep(60)"
    code = (
        "import sys, pathlib; from tools import check; check.OUTPUT = pathlib.Path(sys.argv[1]);"
        f"check.perform([check.Check('long', [sys.executable, '-c', {long!r}])])"
    )
    started = subprocess.Popen([sys.executable, "-c", code, tmp_path / "out"], cwd=ROOT)
    log = tmp_path / "out" / "long.log"
    deadline = time.monotonic() + 20
    while not (log.exists() and log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    started.terminate()
    assert started.wait(20) == 128 + signal.SIGTERM
