"""A real OpenID provider for tests: panva's `oidc-provider` (MIT), from npm, by the node that is installed with the
tests' other tools. `npm ci` puts exactly what the lock file says into `.tools`, once.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "tests" / "sign_in" / "provider"
FILES = ("package.json", "package-lock.json")
PATIENCE_S = 30
STAMP = ".locked"


class ProviderFault(Exception):
    """There is no provider; the text is one line."""


def program(name: str) -> str:
    """`node` or `npm`, beside this Python."""
    return str(Path(sys.executable).with_name(name))


def installed() -> Path:
    """Where the provider's code is; installed when it is not, or not what the lock says. Raises ProviderFault."""
    home = ROOT / ".tools" / "provider"
    wanted = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in FILES)).hexdigest()
    handle = os.open(HERE / FILES[1], os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # two who test at once: the second finds it ready
        stamp = home / STAMP
        if not stamp.exists() or stamp.read_text() != wanted:
            _install(home)
            stamp.write_text(wanted)
    finally:
        os.close(handle)
    return home


def _install(home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    for name in FILES:
        shutil.copy(HERE / name, home)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        cwd=home,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise ProviderFault(f"npm ci could not install the tests' OpenID provider: {last[-1]}")


class Provider:
    """The process. It ends when its standard input does, so also when we are killed."""

    def __init__(self, said: dict[str, Any]) -> None:
        command = [program("node"), str(HERE / "server.mjs"), str(installed())]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(said) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.strip() == "ready":
                return
        raise ProviderFault("the tests' OpenID provider did not start")

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
