"""The bootstrap: installs only when a lock changed, and tells faults in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.served import sqlite_only
from tools import venv

pytestmark = sqlite_only

FIND_PYTHON = Path(__file__).resolve().parents[2] / "tools" / "find-python"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with locks, whose `.venv` is a link to an interpreter that starts."""
    (tmp_path / "requirements").mkdir()
    for name in ("run", "dev", "tools"):
        (tmp_path / "requirements" / f"{name}.txt").write_text(name)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setattr(venv, "ROOT", tmp_path)
    monkeypatch.setattr(venv, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(venv, "TOOLS", tmp_path / ".tools")
    monkeypatch.setattr(venv, "LOCKS", tmp_path / "requirements")
    return tmp_path


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the locks that were installed, and how; uv works unless a test says otherwise."""
    done: list[str] = []
    monkeypatch.setattr(venv, "bootstrap_uv", lambda: Path("uv"))
    monkeypatch.setattr(venv, "uv_sync", lambda _uv, name: done.append(f"uv {name}") or True)
    monkeypatch.setattr(venv, "pip_install", lambda _venv, name: done.append(f"pip {name}") or True)
    return done


def test_installs_once_and_again_when_the_lock_changes(place: Path, installed: list[str]) -> None:
    assert [venv.main(["run"]), venv.main(["run"])] == [0, 0]
    assert installed == ["uv run"]
    (place / "requirements" / "run.txt").write_text("newer")
    assert venv.main(["run"]) == 0
    assert installed == ["uv run", "uv run"]


def test_what_tests_need_includes_what_running_needs(place: Path, installed: list[str]) -> None:
    for level in ("run", "dev", "run", "dev"):
        assert venv.main([level]) == 0
    assert installed == ["uv run", "uv dev"]


def test_pip_takes_over_where_uv_cannot(place: Path, installed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venv, "uv_sync", lambda _uv, _name: False)
    assert venv.main(["run"]) == 0
    (place / ".venv" / venv.STAMP).unlink()
    monkeypatch.setattr(venv, "bootstrap_uv", lambda: None)
    assert venv.main(["run"]) == 0
    assert installed == ["pip run", "pip run"]


def test_a_failed_install_is_not_remembered(
    place: Path, installed: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert venv.main(["run"]) == 0
    (place / "requirements" / "run.txt").write_text("newer")
    monkeypatch.setattr(venv, "uv_sync", lambda _uv, _name: False)
    monkeypatch.setattr(venv, "pip_install", lambda _venv, _name: False)
    assert venv.main(["run"]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("samsnakk: requirements/run.txt could not be installed")
    assert not venv.is_current("run")


def test_a_moved_or_broken_environment_is_not_trusted(place: Path, installed: list[str]) -> None:
    assert venv.main(["run"]) == 0
    stamp = place / ".venv" / venv.STAMP
    stamp.write_text(stamp.read_text().replace(str(place), "/elsewhere"))
    assert not venv.is_current("run")
    assert venv.main(["run"]) == 0
    (place / ".venv" / "bin" / "python").unlink()
    assert not venv.is_current("run")


def test_missing_modules_and_closed_folders_are_one_line(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(venv.importlib.util, "find_spec", lambda _: None)
        assert venv.main(["run"]) == 1
    monkeypatch.setattr(venv.os, "access", lambda *_: False)
    assert venv.main(["run"]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert "lacks venv and ensurepip; install it" in first
    assert second == f"samsnakk: {place} is not writable for this user"


def test_the_interpreter_is_looked_for_and_a_wrong_one_named(tmp_path: Path) -> None:
    old = tmp_path / "python3.11"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)

    def find(**environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["/bin/sh", FIND_PYTHON], env=environment, capture_output=True, text=True)

    assert find(PYTHON=sys.executable, PATH="").stdout.strip() == sys.executable
    assert find(PATH=str(Path(sys.executable).parent)).stdout.startswith("python3")
    for wrong in (find(PYTHON=str(old), PATH=""), find(PATH=str(tmp_path)), find(PATH="/nonexistent")):
        assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (1, "", 1)
        assert "Python 3.11 or newer" in wrong.stderr
