"""nginx for tests is had, or missed in one line."""

from pathlib import Path

import pytest

from tests.support.served import sqlite_only
from tools import nginx
from tools.servers import ServiceFault

pytestmark = sqlite_only


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without nginx, and with nothing in `.tools`."""
    monkeypatch.setattr(nginx, "TOOLS", tmp_path / "tools" / "nginx")
    monkeypatch.setattr(nginx.shutil, "which", lambda name: None if name == "nginx" else f"/usr/bin/{name}")
    monkeypatch.setattr(nginx, "version", lambda program: (0,))
    return tmp_path


def test_missing_is_one_line(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nginx, "_run", lambda command, place: f"{command[0]}: Temporary failure resolving")
    with pytest.raises(ServiceFault, match=r"nginx is missing: .*apt-get: Temporary failure") as fault:
        nginx.find()
    assert len(str(fault.value).splitlines()) == 1


def test_without_apt_it_says_so(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nginx.shutil, "which", lambda name: None)
    with pytest.raises(ServiceFault, match="there is no apt-get here"):
        nginx.find()


def test_lists_of_ones_own_where_the_machine_has_none(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when the machine's own lists are touched."""
    said: list[list[str]] = []

    def run(command: list[str], place: Path) -> str | None:
        said.append(command)
        if "download" in command and "update" in [word for one in said for word in one]:
            (place / "nginx.deb").write_text("")
        return None

    monkeypatch.setattr(nginx, "_run", run)
    with pytest.raises(ServiceFault, match="does not run here"):
        nginx.find()
    updates = [command for command in said if "update" in command]
    assert len(updates) == 1
    assert any(word.startswith("Dir::State::lists=") for word in updates[0])
    assert ["dpkg", "-x"] in [command[:2] for command in said]
