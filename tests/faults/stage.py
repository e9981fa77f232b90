"""Servers to break: `manage.py serve` as processes of their own, on a database and a Redis that belong to the test."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.support import plain
from tests.support.environment import MARK, UNSET
from tools.processes import Reaper, family, kill_all
from tools.servers import PrivatePostgres, PrivateRedis, free_port

ROOT = Path(__file__).resolve().parents[2]
START_S = 90.0
"""A shared machine may be slow to start things; what is measured is measured apart."""
QUIET = {"log_statement": "none", "log_min_messages": "warning"}


@dataclass(frozen=True, slots=True)
class Somebody:
    """A user with a session."""

    user: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True, slots=True)
class Place:
    """A room with consent given."""

    id: str
    consent: str
    patient: Somebody
    staff: tuple[Somebody, ...]

    @property
    def people(self) -> tuple[Somebody, ...]:
        return (self.patient, *self.staff)


class Server:
    """One `manage.py serve` on a port that it keeps over restarts."""

    def __init__(self, number: int, environment: Mapping[str, str], folder: Path, reaper: Reaper) -> None:
        self.port = free_port()
        self.log = folder / f"server-{number}.log"
        self._environment = {**environment, "PORT": str(self.port)}
        self._reaper = reaper
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/v1"

    @property
    def process(self) -> psutil.Process:
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def start(self) -> None:
        """Returns when it is ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", "serve"],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._reaper.watch(self._process.pid)
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(httpx.TransportError):
                if plain.get(f"{self.base}/health/ready", timeout=5).status_code == 200:
                    return
            told = self.log.read_text(errors="replace")[-2000:]
            assert self._process.poll() is None, f"the server ended: {told}"
            assert time.monotonic() < deadline, f"the server is not ready: {told}"
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL, to everything it started as well; returns when it is gone."""
        if self._process is not None and self._process.poll() is None:
            kill_all(family(self.process))
            self._process.wait(10)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def warnings(self) -> dict[str, int]:
        """How often each warning or error stands in its log."""
        found: dict[str, int] = {}
        for line in self.log.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                said: Any = json.loads(line)
                if isinstance(said, dict) and said.get("level") in ("warning", "error", "critical"):
                    name = f"{said['event']}:{said.get('error', '')}".rstrip(":")[:80]
                    found[name] = found.get(name, 0) + 1
        return found

    def faults_of_ours(self) -> list[str]:
        """Tracebacks and 500s: whatever breaks around us, these must not be."""
        mine = ("request_failed", "post_failed", "gateway_task_failed", "Traceback")
        lines = self.log.read_text(errors="replace").splitlines()
        return [line[:2000] for line in lines if any(word in line for word in mine)]


@dataclass
class Stage:
    """Everything of one proof."""

    servers: list[Server]
    rooms: list[Place]
    database: str
    """A PostgreSQL address or the path of an SQLite file, for checks that share nothing with the product."""
    postgres: PrivatePostgres | None
    redis: PrivateRedis | None
    folder: Path

    def faults_of_ours(self) -> list[str]:
        return [fault for server in self.servers for fault in server.faults_of_ours()]


def environment(folder: Path, **more: str) -> dict[str, str]:
    drop = {MARK, *UNSET, "DATABASE_URL", "REDIS_URL", "REDIS_PREFIX", "POSTGRES_LOG", "LOG_FORMAT"}
    kept = {name: value for name, value in os.environ.items() if name not in drop}
    return kept | {
        "MODE": "demo",
        "HOST": "127.0.0.1",
        "VAR_DIR": str(folder / "var"),
        "THROTTLE": "0",
        "DEBUG": "0",
        "LOG_LEVEL": "WARNING",
        "LOG_FORMAT": "json",
        **more,
    }


@contextlib.contextmanager
def stage(
    *,
    sqlite: bool = False,
    processes: int = 1,
    rooms: int = 4,
    members: int = 4,
    heartbeat_s: float = 1.0,
    db_timeout_s: float = 2.0,
    postgres_settings: Mapping[str, str] | None = None,
    redis_for: Callable[[int, str], str] | None = None,
    **more: str,
) -> Iterator[Stage]:
    """Servers, and rooms to use. `redis_for(number, url)` may give each server another address of Redis (a proxy's)."""
    with contextlib.ExitStack() as keep:
        folder = Path(tempfile.mkdtemp(prefix="samsnakk-faults-"))
        reaper = Reaper(folder)
        keep.callback(reaper.release)
        shared = environment(folder, HEARTBEAT_S=str(heartbeat_s), DB_TIMEOUT_S=str(db_timeout_s), **more)
        postgres = cache = None
        database = str(folder / "var" / "samsnakk.sqlite3")
        if not sqlite:
            postgres = keep.enter_context(
                PrivatePostgres(durable=True, settings={**QUIET, **(postgres_settings or {})})
            )
            cache = keep.enter_context(PrivateRedis())
            shared["DATABASE_URL"] = database = postgres.url
        servers = []
        for number in range(processes):
            own = dict(shared)
            if cache is not None:
                own["REDIS_URL"] = redis_for(number, cache.url) if redis_for else cache.url
            servers.append(Server(number, own, folder, reaper))
        for server in servers:
            keep.callback(server.kill)
            server.start()
        yield Stage(servers, crowd(shared, folder, rooms, members), database, postgres, cache, folder)


def crowd(shared: Mapping[str, str], folder: Path, rooms: int, members: int) -> list[Place]:
    out = folder / "crowd.json"
    words = ["demo", "crowd", "--rooms", str(rooms), "--members", str(members), "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "manage.py", *words], cwd=ROOT, env=dict(shared), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [
        Place(
            room["id"],
            room["consent"],
            Somebody(**room["patient"]),
            tuple(Somebody(**one) for one in room["staff"]),
        )
        for room in json.loads(out.read_text())["rooms"]
    ]
