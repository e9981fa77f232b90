"""What is measured: PostgreSQL with durability on, Redis, one or more server processes; their CPU time and memory."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import psutil
import psycopg
import redis

from tools.processes import family
from tools.servers import free_port
from tools.services import PrivatePostgres, PrivateRedis, own_database, own_redis

ROOT = Path(__file__).resolve().parents[1]
START_S = 60.0
STOP_S = 20.0
SETTINGS_TOLD = (
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_sync_method",
    "shared_buffers",
    "max_wal_size",
    "commit_delay",
    "track_commit_timestamp",
    "log_statement",
)


class Fault(Exception):
    """The benchmark cannot go on; one line says why."""


class Stack:
    """Addresses of the servers, and the process ids of everything whose CPU time counts."""

    def __init__(self, environment: dict[str, str], folder: Path, roots: dict[str, list[int]]) -> None:
        self.environment = environment
        self.folder = folder
        self.roots = roots
        self.servers: list[Server] = []

    @property
    def urls(self) -> list[str]:
        return [f"ws://127.0.0.1:{server.port}/ws/v1" for server in self.servers]

    def manage(self, *words: str) -> str:
        """Run a management command. Raises Fault with its last line."""
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
            raise Fault(f"manage.py {words[0]} failed: {lines[-1]}")
        return done.stdout

    def start(self, processes: int, command: Sequence[str], **more: str) -> None:
        """Start that many server processes, with `more` in their environment; returns when all are ready. Raises
        Fault."""
        for number in range(processes):
            # One after the other: the first may have something to prepare in the database.
            server = Server(command, self.environment | more, self.folder / f"server-{number}.log")
            self.servers.append(server)
            server.wait_until_ready()
        self.roots["server"] = [server.pid for server in self.servers]

    def stop(self) -> list[int]:
        """Stop the server processes in good order; their exit statuses."""
        statuses = [server.stop() for server in self.servers]
        self.servers, self.roots["server"] = [], []
        return statuses

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds so far of each part, children included, those that have ended too."""
        return {part: sum(map(cpu_of, pids)) for part, pids in self.roots.items()}

    def server_rss(self) -> int:
        """Resident bytes of all server processes together, children included."""
        return sum(one.memory_info().rss for pid in self.roots.get("server", []) for one in family(psutil.Process(pid)))

    def postgres_settings(self) -> dict[str, str]:
        with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
            rows = connection.execute(
                "SELECT name, setting || coalesce(unit, '') FROM pg_settings WHERE name = ANY(%s)",
                [list(SETTINGS_TOLD)],
            )
            return dict(rows.fetchall())

    def withdrawn_at(self) -> dict[str, float]:
        """When each room's withdrawal was committed, in seconds since 1970; empty when PostgreSQL does not note it."""
        with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
            kept = connection.execute("SHOW track_commit_timestamp").fetchone()
            if kept != ("on",):
                return {}
            rows = connection.execute(
                "SELECT room_id::text, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 "
                "FROM rooms_roomevent WHERE type = 'consent' AND facts ->> 'act' = 'withdrawn'"
            )
            return dict(rows.fetchall())

    def redis_version(self) -> str:
        with redis.Redis.from_url(self.environment["REDIS_URL"]) as client:
            told: Any = client.info("server")
            return str(told["redis_version"])


class Server:
    """One server process on a port of its own."""

    def __init__(self, command: Sequence[str], environment: dict[str, str], log: Path) -> None:
        self.port = free_port()
        self._log = log
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment | {"PORT": str(self.port)},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                lines = self._log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
                raise Fault(f"the server did not start: {lines[-1]}")
            with contextlib.suppress(OSError, urllib.error.URLError):
                url = f"http://127.0.0.1:{self.port}/health/ready"
                with urllib.request.urlopen(url, timeout=2) as answer:
                    if answer.status == 200:
                        return
            time.sleep(0.1)
        raise Fault(f"the server was not ready within {START_S:.0f} s")

    def stop(self) -> int:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def cpu_of(root: int) -> float:
    """CPU seconds of a process and its living children, and of the children they have waited for."""
    total = 0.0
    for one in family(psutil.Process(root)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


@contextlib.contextmanager
def stack() -> Iterator[Stack]:
    """Private servers, or those at DATABASE_URL and REDIS_URL; migrated. All is removed afterwards."""
    with contextlib.ExitStack() as keep:
        folder = Path(keep.enter_context(tempfile.TemporaryDirectory(prefix="samsnakk-bench-")))
        environment = {**os.environ, "MODE": "demo", "HOST": "127.0.0.1", "VAR_DIR": str(folder / "var")}
        for name in ("MASTER_KEYS", "MASTER_KEY_FILE", "SECRET_KEY", "DEBUG", "THROTTLE"):
            environment.pop(name, None)
        roots: dict[str, list[int]] = {}
        if url := environment.get("DATABASE_URL"):
            roots["postgresql"] = postmaster(url)
        else:
            quiet = {"log_statement": "none", "log_min_messages": "warning", "track_commit_timestamp": "on"}
            postgres = keep.enter_context(PrivatePostgres(durable=True, settings=quiet))
            url, roots["postgresql"] = postgres.url, postgres.pids()[:1]
        if cache := environment.get("REDIS_URL"):
            roots["redis"] = redis_process(cache)
        else:
            hints = keep.enter_context(PrivateRedis())
            cache, roots["redis"] = hints.url, hints.pids()[:1]
        environment["DATABASE_URL"] = keep.enter_context(own_database(url))
        environment["REDIS_URL"], environment["REDIS_PREFIX"] = keep.enter_context(own_redis(cache))
        made = Stack(environment, folder, roots)
        try:
            made.manage("migrate", "--verbosity", "0")
            yield made
        finally:
            made.stop()


def postmaster(url: str) -> list[int]:
    """The process id of a PostgreSQL on this machine; empty when it is elsewhere (its CPU time is then not counted)."""
    with psycopg.connect(url) as connection, contextlib.suppress(psutil.Error):
        parent = psutil.Process(connection.info.backend_pid).parent()
        if parent is not None and "postgres" in parent.name():
            return [parent.pid]
    return []


def redis_process(url: str) -> list[int]:
    """The process id of a Redis on this machine; empty when it is elsewhere."""
    with redis.Redis.from_url(url) as client, contextlib.suppress(psutil.Error):
        told: Any = client.info("server")
        process = psutil.Process(int(told["process_id"]))
        if "redis" in process.name():
            return [process.pid]
    return []


class Driver:
    """The load generator's process, asked in JSON lines."""

    def __init__(self) -> None:
        self.run = f"b{secrets.token_hex(4)}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.load", self.run],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, what: str, **words: Any) -> dict[str, Any]:
        """Let the generator do one thing; its answer. Raises Fault."""
        to, back = self._pipes()
        to.write(json.dumps({"do": what, **words}) + "\n")
        to.flush()
        line = back.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"fault": "it ended"}
        if "fault" in answer:
            raise Fault(f"the load generator, asked to {what}: {answer['fault']}")
        result: dict[str, Any] = answer["ok"]
        return result

    def close(self) -> None:
        to, _ = self._pipes()
        to.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout
