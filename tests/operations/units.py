"""The lines of a systemd unit, run as processes: what systemd would do with them, as far as it needs no systemd.

`Environment`, `EnvironmentFile`, `LoadCredential`, `StateDirectory`, every `ExecStartPre` to its end, then `ExecStart`.
Places on the disk become places in the test's folder, and nothing else of a line is changed.
"""

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.served import ROOT

DEPLOY = ROOT / "deploy"
LAUNCH = "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); os.execvp(sys.argv[1], sys.argv[1:])"
"""Memory that is written to is never executed afterwards (PR_SET_MDWE, Linux 6.3): what the kernel does not know, it
ignores."""


def lines(name: str) -> dict[str, dict[str, list[str]]]:
    """Section → key → its values in order; an empty value takes back those before it."""
    found: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in (DEPLOY / name).read_text().replace("\\\n", " ").splitlines():
        said = line.strip()
        if said.startswith("["):
            section = found.setdefault(said.strip("[]"), {})
        elif said and said[0] not in "#;":
            key, _, value = said.partition("=")
            section[key] = [*section.get(key, []), value] if value else []
    return found


@dataclass(frozen=True)
class Machine:
    """Where things lie on the test's machine."""

    folder: Path
    programs: str = ""
    """A folder that comes first on PATH."""

    @property
    def places(self) -> dict[str, str]:
        return {
            "/opt/samsnakk/.venv": str(Path(sys.executable).parents[1]),
            "/opt/samsnakk": str(ROOT),
            "/etc/samsnakk": str(self.folder / "etc"),
            "/var/lib": str(self.folder / "lib"),
            "/var/backups": str(self.folder / "backups"),
        }

    def here(self, text: str) -> str:
        for place, own in self.places.items():
            text = text.replace(place, own)
        return text

    def write(self, name: str, text: str) -> Path:
        """A file of the configuration's folder."""
        path = self.folder / "etc" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
        return path

    def settle(self, example: str, **changed: str) -> Path:
        """An environment file as its example says, with what an installation fills in."""
        text = self.here((DEPLOY / f"{example}.env.example").read_text())
        said = dict(line.partition("=")[::2] for line in text.splitlines() if line and line[0] != "#")
        assert set(changed) <= set(said), set(changed) - set(said)
        return self.write(f"{example}.env", "".join(f"{k}={v}\n" for k, v in {**said, **changed}.items()))


class Unit:
    """One instance of a unit."""

    def __init__(self, machine: Machine, name: str, instance: str = "") -> None:
        self.machine, self.name, self.instance = machine, name, instance
        self.said = lines(name)["Service"]
        own = name.partition(".")[0] + instance
        self.credentials = machine.folder / "credentials" / own
        self.log = machine.folder / f"{own}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def one(self, key: str, default: str = "") -> str:
        return self.said.get(key, [default])[-1]

    def words(self, line: str) -> list[str]:
        """A command line, specifiers and places resolved."""
        resolved = {"%i": self.instance, "%d": str(self.credentials), "%%": "%"}
        whole = re.sub("%.", lambda found: resolved[found.group()], self.machine.here(line))  # KeyError: teach this one
        return shlex.split(whole)

    def environment(self) -> dict[str, str]:
        """What systemd would hand over, and nothing of ours."""
        path = "/usr/local/bin:/usr/bin:/bin"
        env = {"PATH": f"{self.machine.programs}:{path}".strip(":"), "LANG": "C.UTF-8"}
        for file in self.said.get("EnvironmentFile", []):
            path = Path(self.machine.here(file.removeprefix("-")))
            if path.exists() or not file.startswith("-"):
                env |= dict(one.partition("=")[::2] for one in path.read_text().splitlines() if one and one[0] != "#")
        for line in self.said.get("Environment", []):
            env |= dict(word.partition("=")[::2] for word in self.words(line))
        return env

    def prepare(self) -> None:
        """Folders and credentials."""
        for state in self.one("StateDirectory").split():
            (self.machine.folder / "lib" / state).mkdir(parents=True, exist_ok=True, mode=0o700)
        for loaded in self.said.get("LoadCredential", []):
            name, _, path = loaded.partition(":")
            self.credentials.mkdir(parents=True, exist_ok=True)
            (self.credentials / name).write_bytes(Path(self.machine.here(path)).read_bytes())

    def start(self) -> None:
        """ExecStartPre to their end, then ExecStart, which goes on."""
        self.prepare()
        for line in self.said.get("ExecStartPre", []):
            self._run(line)
        with self.log.open("ab") as out:
            command = self.words(self.one("ExecStart"))
            if self.one("MemoryDenyWriteExecute") == "yes":
                command = [sys.executable, "-c", LAUNCH, *command]
            self.process = subprocess.Popen(command, env=self.environment(), cwd=self._folder(), stdout=out, stderr=out)

    def run(self) -> None:
        """A `oneshot` unit, to its end. Raises AssertionError with what it said."""
        assert self.one("Type") == "oneshot"
        self.prepare()
        for line in [*self.said.get("ExecStartPre", []), *self.said["ExecStart"]]:
            self._run(line)

    def stop(self) -> int:
        """As systemd does: the signal that the unit names, and time."""
        assert self.process is not None
        assert self.one("KillSignal", "SIGTERM") == "SIGTERM"
        self.process.terminate()
        try:
            return self.process.wait(float(self.one("TimeoutStopSec", "90")))
        finally:
            self.process.kill()

    def _run(self, line: str) -> None:
        done = subprocess.run(
            self.words(line), env=self.environment(), cwd=self._folder(), capture_output=True, text=True, timeout=120
        )
        with self.log.open("a") as out:
            out.write(done.stdout + done.stderr)
        assert done.returncode == 0, f"{self.name}: {line}: {done.stderr[-2000:] or done.stdout[-2000:]}"

    def _folder(self) -> str:
        return self.machine.here(self.one("WorkingDirectory", "/"))
