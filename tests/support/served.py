"""A real `manage.py serve` in a process of its own, with an environment that holds nothing but what is given."""

import base64
import contextlib
import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support import plain
from tests.support.forked import ROOT as ROOT
from tests.support.forked import Forked
from tools.servers import free_port

PATIENCE_S = 60.0

sqlite_only = pytest.mark.skipif("DATABASE_URL" in os.environ, reason="asks no engine: runs with the SQLite tests")
once = pytest.mark.skipif("DATABASE_URL" in os.environ, reason="brings servers of its own: runs with the SQLite tests")
"""For tests to which the engine of the test process makes no difference."""


@dataclass
class Served:
    """`log` is all that the server said, on either stream."""

    url: str
    port: int
    log: Path
    process: Forked

    @property
    def ws(self) -> str:
        return self.url.replace("http", "ws", 1) + "/ws/v1"


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The least a process needs, and `more`; nothing of the caller's own settings, and no watchdog beside it."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "VAR_DIR": str(folder / "var"), "WATCHDOG": "0", **more}


def production(folder: Path, **more: str) -> dict[str, str]:
    """A proper production environment on SQLite, with keys made for the occasion."""
    proper = {
        "MODE": "production",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "MASTER_KEYS": f"1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        "ALLOWED_HOSTS": "samsnakk.test",
        "PILOT": "1",
    }
    return environment(folder, **{**proper, **more})


def manage(*words: str, env: dict[str, str], patience_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    with tempfile.TemporaryDirectory(prefix="samsnakk-manage-") as folder:
        out, errors = Path(folder) / "out", Path(folder) / "errors"
        out.touch()
        errors.touch()
        process = Forked(words, env, out, errors)
        try:
            status = process.wait(patience_s)
        finally:
            process.kill()
        return subprocess.CompletedProcess(["manage.py", *words], status, out.read_text(), errors.read_text())


@contextlib.contextmanager
def serve(folder: Path, env: dict[str, str], *, host: str = "localhost") -> Iterator[Served]:
    """Serve until the block ends; `host` is the name that requests carry. Raises AssertionError with what the server
    said when it does not get ready."""
    port, log = free_port(), folder / "server.log"
    log.write_bytes(b"")
    process = Forked(["serve"], {**env, "HOST": "127.0.0.1", "PORT": str(port)}, log)
    served = Served(f"http://127.0.0.1:{port}", port, log, process)
    try:
        _wait(served, host)
        yield served
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(served: Served, host: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(httpx.HTTPError):
            if plain.get(f"{served.url}/health/ready", headers={"Host": host}).status_code == 200:
                return
        ended = served.process.poll() is not None
        if ended or time.monotonic() > deadline:
            raise AssertionError(f"the server did not get ready: {served.log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)
