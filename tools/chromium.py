"""A headless Chromium for proofs: the one that is installed, else Debian's own package with what it needs, unpacked
into `.tools/chromium` by `apt-get` and `dpkg`. Nothing is installed, and no root is needed. And as much of the DevTools
protocol as a proof speaks."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tools.servers import ServiceFault

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".tools" / "chromium"
PACKAGE = "chromium-headless-shell"
LIMIT_S = 300
START_S = 60.0
MISSING = "Chromium is missing: not on PATH, and Debian's package could not be had"


def find() -> Path:
    """The program. Raises ServiceFault with one line that says why there is none."""
    for name in (PACKAGE, "chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return Path(found)
    TOOLS.parent.mkdir(exist_ok=True)
    with (TOOLS.parent / "chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs that begin at once fetch it once
        if not _unpacked().exists():
            _fetch()
    if not _unpacked().exists():
        raise ServiceFault(f"{MISSING}: what came holds no program")
    return _unpacked()


def _unpacked() -> Path:
    return TOOLS / "usr" / "lib" / "chromium" / PACKAGE


def _fetch() -> None:
    """The package, and of what it needs whatever this machine lacks."""
    with tempfile.TemporaryDirectory(prefix="samsnakk-chromium-") as folder:
        lacking = _run(["apt-get", "install", "--simulate", "--no-install-recommends", PACKAGE], folder)
        names = [line.split()[1] for line in lacking.splitlines() if line.startswith("Inst ")]
        _run(["apt-get", "download", *names], folder)
        for package in Path(folder).glob("*.deb"):
            _run(["dpkg", "-x", str(package), str(TOOLS)], folder)


def _run(command: list[str], folder: str) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceFault(f"{MISSING}: {command[0]}: {type(error).__name__}") from None
    if done.returncode:
        raise ServiceFault(f"{MISSING}: {(done.stderr.strip().splitlines() or [command[0]])[-1]}")
    return done.stdout


class Page:
    """One page, spoken to over the DevTools protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._number, self._session = socket, 0, ""

    def open(self, url: str) -> None:
        target = self.call("Target.createTarget", url=url)["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Raises AssertionError with what Chromium said instead."""
        self._number += 1
        session = {"sessionId": self._session} if self._session else {}
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params, **session}))
        while True:
            told = json.loads(self._socket.recv(timeout=START_S))
            if told.get("id") == self._number:
                assert "error" not in told, (method, told["error"])
                found: dict[str, Any] = told["result"]
                return found

    def run(self, script: str) -> Any:
        """What the script's promise gives. Raises AssertionError with its exception."""
        told = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"].get("exception", told)
        return told["result"].get("value")


@contextlib.contextmanager
def page(url: str) -> Iterator[Page]:
    """A page of a Chromium of our own, which ends with the block. Raises ServiceFault."""
    program = find()
    beside = [str(path) for path in sorted((TOOLS / "usr" / "lib").glob("*-linux-gnu*"))]
    beside += [str(path) for one in beside for path in sorted(Path(one).iterdir()) if path.is_dir()]
    env = {**os.environ, "LD_LIBRARY_PATH": ":".join(beside)} if beside else dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="samsnakk-chromium-", ignore_cleanup_errors=True) as folder:
        said = Path(folder) / "DevToolsActivePort"
        words = [f"--user-data-dir={folder}", "--remote-debugging-port=0", "--no-sandbox", "--disable-gpu"]
        process = subprocess.Popen(
            [program, *words, "--headless", "about:blank"],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + START_S
            while not said.exists() or len(said.read_text().split()) < 2:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise ServiceFault("Chromium does not start here")
                time.sleep(0.1)
            port, path = said.read_text().split()
            with connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as socket:
                found = Page(socket)
                found.open(url)
                yield found
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
