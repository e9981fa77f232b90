"""How a whole database leaves, and comes back into an empty one: by the engine's own tools."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings
from django.db import connection

PIECE = 1024 * 1024
FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin")
OF_LIBPQ = {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY"}


class EngineFault(Exception):
    """The database's own tool failed; one line, without content."""


class Engine(Protocol):
    name: str

    def dump(self) -> Iterator[bytes]:
        """Everything as of one moment. Raises EngineFault."""

    def check(self, dump: Iterable[bytes]) -> None:
        """Whether the engine's own tool can read it. Raises EngineFault."""

    def is_empty(self) -> bool:
        """Nothing would be overwritten."""

    def load(self, dump: Iterable[bytes]) -> None:
        """All of it, or nothing. Raises EngineFault."""


def engine(folder: Path | None = None) -> Engine:
    """Of the settings' database. `folder`: where PostgreSQL's programs are, when not in a usual place."""
    return Sqlite() if settings.EMBEDDED else Postgres(folder)


class Postgres:
    """`pg_dump` and `pg_restore`, in PostgreSQL's custom format. Owners and rights stay behind: deploy/sql/roles.sql
    gives them."""

    name = "postgresql"

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def dump(self) -> Iterator[bytes]:
        command = [self._program("pg_dump"), "--format=custom", "--no-owner", "--no-privileges", "--schema=public"]
        # Our own answer to a lock that somebody holds for ever; reading takes as long as it takes.
        with subprocess.Popen(
            [*command, "--lock-wait-timeout=60s"],
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout is not None
            while piece := process.stdout.read(PIECE):
                yield piece
        if process.returncode:
            raise EngineFault("pg_dump failed: may this role read everything, and is pg_dump as new as the server?")

    def check(self, dump: Iterable[bytes]) -> None:
        self._feed([self._program("pg_restore"), "--list"], dump, "pg_restore cannot read what pg_dump wrote")

    def is_empty(self) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")
            return bool(cursor.fetchone() == (0,))

    def load(self, dump: Iterable[bytes]) -> None:
        command = [self._program("pg_restore"), "--no-owner", "--no-privileges", "--single-transaction"]
        command += ["--exit-on-error", "--use-list"]
        with tempfile.NamedTemporaryFile(dir=settings.ENV.var_dir) as file, tempfile.NamedTemporaryFile("w") as chosen:
            # pg_restore wants to choose from a list, and reads its input once: the schema is there already.
            for piece in dump:
                file.write(piece)
            file.flush()
            listed = subprocess.run(
                [self._program("pg_restore"), "--list", file.name], capture_output=True, text=True, check=False
            ).stdout
            chosen.write("".join(f"{line}\n" for line in listed.splitlines() if " SCHEMA - public " not in line))
            chosen.flush()
            name = str(settings.DATABASES["default"]["NAME"])
            done = subprocess.run(
                [*command, chosen.name, f"--dbname={name}", file.name],
                env=self._environment(),
                capture_output=True,
                check=False,
            )
        if done.returncode:
            raise EngineFault("pg_restore failed, and nothing was restored: is this the database's owner?")

    def _feed(self, command: list[str], dump: Iterable[bytes], fault: str) -> None:
        with subprocess.Popen(
            command,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdin is not None
            try:
                for piece in dump:
                    process.stdin.write(piece)
                process.stdin.close()
            except BrokenPipeError:
                pass  # it had read enough: a list stands at the beginning
        if process.returncode:
            raise EngineFault(fault)

    def _program(self, name: str) -> str:
        """Raises EngineFault when it is nowhere."""
        if self._folder is not None:
            return str(self._folder / name)
        newest = sorted(
            (path for pattern in FOLDERS for path in Path("/").glob(pattern[1:])), key=_version, reverse=True
        )
        for path in newest:  # before PATH, where Debian puts one that asks which cluster is meant
            if (path / name).exists():
                return str(path / name)
        if found := shutil.which(name):
            return found
        raise EngineFault(f"{name} is missing: install PostgreSQL's client programs, or name their folder with --bin")

    def _environment(self) -> dict[str, str]:
        """The password stands in no command line."""
        said = settings.DATABASES["default"]
        given = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD", "PGDATABASE": "NAME"}
        own = {variable: str(said[key]) for variable, key in given.items() if said.get(key)}
        options: dict[str, Any] = said.get("OPTIONS", {})
        own |= {variable: str(options[key]) for key, variable in OF_LIBPQ.items() if options.get(key)}
        return {**{k: v for k, v in os.environ.items() if not k.startswith("PG")}, **own, "LC_ALL": "C"}


def _version(path: Path) -> int:
    digits = "".join(filter(str.isdigit, str(path)))
    return int(digits or 0)


class Sqlite:
    """SQLite's own online back-up: a moment's state, while others go on writing."""

    name = "sqlite"

    def dump(self) -> Iterator[bytes]:
        with tempfile.TemporaryDirectory(dir=self._file().parent, prefix=".backup-") as folder:  # mode 0700
            copy = Path(folder) / "copy"
            with closing(sqlite3.connect(self._file())) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
            self._sound(copy)
            with copy.open("rb") as file:
                while piece := file.read(PIECE):
                    yield piece

    def check(self, dump: Iterable[bytes]) -> None:
        with tempfile.TemporaryDirectory(dir=self._file().parent, prefix=".check-") as folder:
            copy = Path(folder) / "copy"
            self._write(copy, dump)
            self._sound(copy)

    def is_empty(self) -> bool:
        return not connection.introspection.table_names()

    def load(self, dump: Iterable[bytes]) -> None:
        path = self._file()
        connection.close()
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".restore-") as folder:
            copy = Path(folder) / "copy"
            self._write(copy, dump)
            self._sound(copy)
            for beside in ("-wal", "-shm"):
                path.with_name(path.name + beside).unlink(missing_ok=True)
            copy.replace(path)

    @staticmethod
    def _file() -> Path:
        return Path(settings.DATABASES["default"]["NAME"])

    @staticmethod
    def _write(path: Path, dump: Iterable[bytes]) -> None:
        with path.open("wb") as file:
            for piece in dump:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())

    @staticmethod
    def _sound(path: Path) -> None:
        try:
            with closing(sqlite3.connect(path)) as copy:
                said = copy.execute("PRAGMA integrity_check").fetchone()
        except sqlite3.DatabaseError:
            said = None
        if said != ("ok",):
            raise EngineFault("SQLite says that this copy is not sound")
