"""Real servers for the socket tests: our own (`manage.py serve`: daphne) and uvicorn, each a process of its own, on a
database and a folder of their own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support import database, plain
from tools.services import own_database

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Site:
    """One installation: a database, a folder for data, a prefix in Redis."""

    environment: dict[str, str]
    folder: Path

    @property
    def embedded(self) -> bool:
        return "DATABASE_URL" not in self.environment

    @contextlib.contextmanager
    def server(self, kind: str = "daphne", **changed: str) -> Iterator["Server"]:
        """A server process of this site; ended, hard if need be, when the block ends."""
        port = free_port()
        environment = {**self.environment, "PORT": str(port), **changed}
        daphne = [sys.executable, "manage.py", "serve"]
        uvicorn = [sys.executable, "-m", "uvicorn", "server.asgi:application", "--host", "127.0.0.1"]
        uvicorn += ["--port", str(port), "--ws", "websockets", "--no-access-log", "--log-level", "warning"]
        uvicorn += ["--timeout-graceful-shutdown", "8"]  # else it waits for ever for a peer that does not read
        log = self.folder / f"{kind}-{port}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                daphne if kind == "daphne" else uvicorn,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        server = Server(kind, f"http://127.0.0.1:{port}", process, log, self)
        try:
            server.wait_until_ready()
            yield server
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(10)


@dataclass
class Server:
    kind: str
    url: str
    process: "subprocess.Popen[bytes]"
    log: Path
    site: Site

    @property
    def socket_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/ws/v1"

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.said()
            with contextlib.suppress(httpx.HTTPError):
                if plain.get(f"{self.url}/health/ready", timeout=5).status_code == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"not ready within {PATIENCE_S:g} s: {self.said()}")

    def said(self, last: int = 4000) -> str:
        return self.log.read_text(errors="replace")[-last:]

    def sign_in(self, persona: str) -> dict[str, Any]:
        """`{"token", "user"}`."""
        answer = plain.post(f"{self.url}/api/v1/demo/sign-in", json={"persona": persona}, timeout=20)
        answer.raise_for_status()
        said: dict[str, Any] = answer.json()
        return said


@contextlib.contextmanager
def site(**environment: str) -> Iterator[Site]:
    """A site on the engine that the tests run on, migrated (what `django_db_setup` kept); its first server builds the
    town."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="samsnakk-site-")))
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SAMSNAKK_")}
        kept |= {"MODE": "demo", "VAR_DIR": str(folder / "var"), "HOST": "127.0.0.1", "THROTTLE": "0"}
        kept |= {"LOG_LEVEL": "INFO", "DB_POOL": "4", "DB_THREADS": "4", "HEARTBEAT_S": "1", **environment}
        if url := os.environ.get("DATABASE_URL"):
            migrated = own_database(url, template=database.template_name())
            kept["DATABASE_URL"] = stack.enter_context(migrated)
            kept["REDIS_PREFIX"] = os.environ.get("REDIS_PREFIX", "samsnakk") + "-" + folder.name
        else:
            (folder / "var").mkdir()
            shutil.copy(database.template(), folder / "var" / "samsnakk.sqlite3")
        yield Site(kept, folder)
