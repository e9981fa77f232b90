"""The units of deploy/ say what systemd takes, are shut off from what they do not need, and their lines run."""

import ast
import inspect
import re
import shutil
import subprocess
import textwrap
import time
from pathlib import Path

import psycopg
import pytest

from server.operate import archive
from server.settings.env import Environment, read_environment
from tests.operations.site import Site
from tests.operations.units import DEPLOY, Machine, Unit, lines
from tests.support.served import once

pytestmark = once

SERVICES = sorted(path.name for path in DEPLOY.glob("*.service"))
UNITS = sorted(path.name for kind in ("service", "target", "timer") for path in DEPLOY.glob(f"*.{kind}"))
OURS = {"samsnakk", "samsnakk-sequencer", "samsnakk-watchdog", "samsnakk-backup"}
WORST = 1.5
"""Of systemd's own ten points of exposure."""
ANALYZE = shutil.which("systemd-analyze")


def test_every_unit_is_told_of() -> None:
    readme = (DEPLOY / "README.md").read_text()
    assert [name for name in UNITS if f"({name})" not in readme] == []


def misunderstood(folder: Path) -> list[str]:
    """What systemd says against the units."""
    for name in UNITS:
        shutil.copy(DEPLOY / name, folder / name.replace("@.", "@8001."))
    done = subprocess.run(
        [str(ANALYZE), "verify", "--man=no", *sorted(map(str, folder.iterdir()))], capture_output=True, text=True
    )
    return [line for line in done.stderr.splitlines() if "not executable" not in line and "samsnakk" in line]


def exposure(name: str) -> float | None:
    """As systemd counts it; None: this one cannot look at files."""
    told = subprocess.run(
        [str(ANALYZE), "security", "--offline=true", "--no-pager", str(DEPLOY / name)], capture_output=True, text=True
    )
    if "Unknown" in told.stderr or "unrecognized" in told.stderr:
        return None
    [level] = re.findall(r"exposure level for .*: ([\d.]+)", told.stdout)
    return float(level)


@pytest.mark.skipif(ANALYZE is None, reason="systemd is not here; the lines themselves are run below")
def test_systemd_understands_them(tmp_path: Path) -> None:
    assert misunderstood(tmp_path) == []


@pytest.mark.skipif(ANALYZE is None, reason="systemd is not here; the lines themselves are run below")
@pytest.mark.parametrize("name", SERVICES)
def test_they_are_shut_off(name: str) -> None:
    if (level := exposure(name)) is None:
        pytest.skip("this systemd cannot look at files")
    assert level <= WORST


@pytest.mark.prove
def test_systemd_has_looked(tmp_path: Path) -> None:
    """What is skipped above where there is no systemd, and never in a proof."""
    assert ANALYZE is not None, "systemd-analyze is not here: apt-get install systemd"
    assert misunderstood(tmp_path) == []
    levels = {name: exposure(name) for name in SERVICES}
    assert all(level is not None and level <= WORST for level in levels.values()), levels


@pytest.mark.parametrize("name", SERVICES)
def test_who_runs_what(name: str) -> None:
    """Each under a user of its own, which is not root; what goes on comes back whatever has ended it."""
    said = lines(name)
    service = said["Service"]
    assert service["User"] == service["Group"]
    assert set(service["User"]) < OURS
    assert all(line.split()[0].startswith("/") for line in service["ExecStart"])
    if service["Type"] == ["oneshot"]:
        timer = lines(name.replace(".service", ".timer"))
        assert timer["Timer"]["Persistent"] == ["yes"]
        return
    assert service["Restart"] == ["always"]
    assert said["Unit"]["StartLimitIntervalSec"] == ["0"], "an outage that lasts must not end it for good"
    assert int(service["TimeoutStopSec"][0]) >= 30


def test_what_the_examples_set_is_known() -> None:
    known = {name.upper() for name in Environment.model_fields}
    for path in DEPLOY.glob("*.env.example"):
        said = {line.partition("=")[0] for line in path.read_text().splitlines() if line and line[0] != "#"}
        assert said <= known, path


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("*.env.example")), ids=lambda path: path.name)
def test_what_the_examples_say_can_be_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Environment.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for line in path.read_text().splitlines():
        if line and line[0] != "#":
            monkeypatch.setenv(*line.split("=", 1))
    assert read_environment().mode == "production"


def test_no_check_of_a_setting_is_lost() -> None:
    """Parts of the environment that have a check of one name share one of the two."""
    own = [name for part in (Environment, *Environment.__bases__) for name in checks_of(part)]
    assert sorted(own) == sorted(set(own))


def checks_of(part: type) -> list[str]:
    """The validators that a class itself defines."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(part)))
    defined = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [one.name for one in defined if any("validator" in ast.unparse(mark) for mark in one.decorator_list)]


def test_what_goes_on_goes_on(site: Site) -> None:
    """Server, sequencer and watchdog, as their units start them, each under its own role: nothing is refused."""
    seen = "SELECT (SELECT count(*) FROM audit_pending), (SELECT count(*) FROM audit_checkpoint WHERE note <> ''), "
    seen += "(SELECT count(*) FROM operate_watchreport)"
    with site.database.connect("samsnakk") as superuser:
        deadline = time.monotonic() + 30
        while True:
            pending, sealed, reports = superuser.execute(seen).fetchone() or (1, 0, 0)
            if (pending == 0 and sealed and reports) or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        assert (pending, sealed > 0, reports) == (0, True, 1)
    for unit in (*site.servers, site.sequencer, site.watchdog):
        assert unit.process is not None
        assert unit.process.poll() is None, unit.log.read_text()[-2000:]
        said = unit.log.read_text()
        for word in ("loop_failed", "InsufficientPrivilege", "Traceback", "watchdog_blind"):
            assert word not in said, (unit.name, said[-3000:])


def test_the_nightly_verification(site: Site) -> None:
    unit = Unit(site.machine, "samsnakk-verify.service")
    unit.run()
    assert "every seal holds" in unit.log.read_text()


def test_the_nightly_back_up(site: Site) -> None:
    """Under its own role, which reads everything; and its own folder, in which so many are kept as the unit says."""
    folder = site.machine.folder
    (folder / "backups" / "samsnakk").mkdir(parents=True)
    site.machine.write("backup.pub", archive.new_key(folder / "backup.key"))
    unit = Unit(site.machine, "samsnakk-backup.service")
    unit.run()
    assert "read again and whole" in unit.log.read_text()
    [made] = (folder / "backups" / "samsnakk").glob("*.backup")
    with made.open("rb") as file:
        opened = archive.read(file, archive.Secret(private=archive.private_key(folder / "backup.key")))
        assert sum(map(len, opened.pieces)) == opened.manifest["bytes"] > 10_000
    with site.database.connect("samsnakk_backup") as connection:
        for statement in (
            "UPDATE people_user SET is_active = true",
            "DELETE FROM audit_pending",
            "CREATE TABLE x (y int)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_a_server_that_must_not_start_says_why_and_ends(tmp_path: Path, site: Site) -> None:
    machine = Machine(tmp_path)
    env = (site.machine.folder / "etc" / "samsnakk.env").read_text()
    machine.write("samsnakk.env", env.replace("ALLOWED_HOSTS=localhost", "ALLOWED_HOSTS=*"))
    for name in ("master.keys", "vapid.pem"):
        machine.write(name, (site.machine.folder / "etc" / name).read_text())
    unit = Unit(machine, "samsnakk@.service", "1")
    unit.start()
    assert unit.process is not None
    assert unit.process.wait(60) == 1
    assert "ALLOWED_HOSTS must name" in unit.log.read_text()
