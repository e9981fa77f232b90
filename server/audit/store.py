"""The sequencer's own memory, outside the database that it seals: so that a database put back to an earlier state is
refused, and not quietly continued.

It holds two texts: `current`, the last signed checkpoint, and `next`, what is about to be committed. A store changes
only from what its caller has read (compare and swap), so that of two sequencers one wins.
"""

import fcntl
import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import psycopg

from server.common.postgres import ImpatientConnection

MACHINE = Path("/etc/machine-id")


class State(NamedTuple):
    """`current`: a signed note; `next`: JSON of the sequencer. Absent is None."""

    current: str | None = None
    next: str | None = None


class StoreMoved(Exception):
    """Somebody else has changed the store since it was read: whoever sees this has lost, and begins again."""


class StoreFault(Exception):
    """The store cannot be used. The text says what to do; it names no secret."""


class Store(Protocol):
    def read(self) -> State:
        """Raises StoreFault."""

    def swap(self, was: State, becomes: State) -> None:
        """On disk when it returns. Raises StoreMoved when the store is not as it `was`; StoreFault."""


def this_host() -> str:
    """The name of this machine and, because machines are copied with their name, what tells it from its copies; hashed,
    as systemd asks of whoever shows it."""
    with suppress(OSError):
        if machine := MACHINE.read_text().strip():
            return f"{socket.gethostname()} {hashlib.sha256(f'samsnakk {machine}'.encode()).hexdigest()[:16]}"
    return socket.gethostname()


class FileStore:
    """Files in a folder of one named host. Another host is refused: it could not know what this one has signed."""

    def __init__(self, folder: Path, host: str | None = None) -> None:
        self.folder = folder
        self.host = host or this_host()

    def read(self) -> State:
        try:
            self._own()
            with self._locked(fcntl.LOCK_SH):
                return self._read()
        except OSError as error:
            raise StoreFault(f"{self.folder}: {error.strerror}") from None

    def swap(self, was: State, becomes: State) -> None:
        try:
            self._own()
            with self._locked(fcntl.LOCK_EX):
                if self._read() != was:
                    raise StoreMoved
                # A new `current` first, then `next` goes: a crash between them leaves both saying the same.
                if becomes.current is not None and becomes.current != was.current:
                    self._write("current", becomes.current)
                if becomes.next is None:
                    (self.folder / "next").unlink(missing_ok=True)
                    self._settle()
                elif becomes.next != was.next:
                    self._write("next", becomes.next)
        except OSError as error:
            raise StoreFault(f"{self.folder}: {error.strerror}") from None

    def _own(self) -> None:
        """The first to use the folder writes its name there, and is the only one from then on."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = self._text("host")
        if not owner:
            with self._locked(fcntl.LOCK_EX):
                owner = self._text("host")
                if not owner:
                    self._write("host", self.host)
                    owner = self.host
        if owner != self.host:
            raise StoreFault(
                f"{self.folder} belongs to the host {owner}; a sequencer elsewhere needs a store that both share "
                "(AUDIT_STORE=postgresql://…)"
            )

    def _read(self) -> State:
        return State(self._text("current"), self._text("next"))

    def _text(self, name: str) -> str | None:
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def _write(self, name: str, text: str) -> None:
        aside = self.folder / f"{name}.new"
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self.folder / name)
        self._settle()

    def _settle(self) -> None:
        """A rename is on disk when its folder is."""
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        with (self.folder / "lock").open("a") as file:
            fcntl.flock(file, how)
            yield


class PostgresStore:
    """One row in another PostgreSQL database, which several hosts may share; best on another server than the log's.

    No exchange with it takes longer than `timeout_s`: the sequencer holds the head's lock meanwhile.
    """

    TABLE = "CREATE TABLE IF NOT EXISTS samsnakk_sequencer (id int PRIMARY KEY CHECK (id = 1), current text, next text)"
    ROW = "INSERT INTO samsnakk_sequencer (id) VALUES (1) ON CONFLICT DO NOTHING"
    READ = "SELECT current, next FROM samsnakk_sequencer WHERE id = 1"
    SWAP = (
        "UPDATE samsnakk_sequencer SET current = %s, next = %s "
        "WHERE id = 1 AND current IS NOT DISTINCT FROM %s AND next IS NOT DISTINCT FROM %s"
    )
    ALIVE: ClassVar[dict[str, Any]] = {
        "keepalives": 1,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 5_000,
    }
    """A server that is gone is noticed although nobody says so."""

    def __init__(self, url: str, timeout_s: int = 5) -> None:
        self.url = url
        self.timeout_s = timeout_s
        self._kept: psycopg.Connection[tuple[str | None, str | None]] | None = None

    def read(self) -> State:
        with self._connection() as connection:
            row = connection.execute(self.READ).fetchone()
        return State(*row) if row else State()

    def swap(self, was: State, becomes: State) -> None:
        with self._connection() as connection:
            done = connection.execute(self.SWAP, (*becomes, *was)).rowcount
        if done != 1:
            raise StoreMoved

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[tuple[str | None, str | None]]]:
        try:
            if self._kept is None or self._kept.closed:
                self._kept = self._connect()
            yield self._kept
        except psycopg.Error as error:
            if self._kept is not None:
                self._kept.close()
            raise StoreFault(f"the sequencer's store does not answer: {type(error).__name__}") from None

    def _connect(self) -> psycopg.Connection[tuple[str | None, str | None]]:
        connection = ImpatientConnection.within(self.timeout_s).connect(
            self.url, autocommit=True, connect_timeout=self.timeout_s, prepare_threshold=None, **self.ALIVE
        )
        try:
            # Not as options of the start: a pooler in between refuses those.
            connection.execute("SET synchronous_commit = on")
            connection.execute(f"SET statement_timeout = {self.timeout_s * 1000:d}")
            connection.execute(self.TABLE)
            connection.execute(self.ROW)
        except psycopg.Error:
            connection.close()
            raise
        return connection
