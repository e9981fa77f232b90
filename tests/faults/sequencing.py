"""A log that is sealed by processes which are killed, seen from outside: by SQL, by `verify.py` run alone, and by
somebody who looks at every checkpoint. Nothing here goes through the product's reading code."""

import contextlib
import itertools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
from psycopg import sql

from server.audit.note import Signer
from server.audit.verify import VerifierKey, leaf_hash, node_hash, open_checkpoint, root_of, tile_path
from tests.faults.ledger import as_id, ask
from tests.faults.stage import QUIET, ROOT, environment
from tools.processes import Reaper
from tools.servers import PrivatePostgres
from tools.services import own_database

PATIENCE_S = 60.0
NOTING = {**QUIET, "track_commit_timestamp": "on"}
WIDTH, TREE_BITS, NODE_BITS = 256, 40, 48
KILLED, STOPPED = -signal.SIGKILL, "stopped"
NEWEST = "SELECT position, note FROM audit_checkpoint WHERE note <> '' ORDER BY position DESC LIMIT 1"
LEAVES = (
    "SELECT l.position, l.event_id, l.hash, e.leaf FROM audit_leaf l LEFT JOIN audit_auditevent e ON e.id = l.event_id "
    "ORDER BY l.position"
)


class Child:
    """A process of the nursery."""

    def __init__(self, nursery: "Nursery", pid: int, log: Path) -> None:
        self.pid, self.log, self._nursery = pid, log, nursery
        self._status: int | None = None

    @property
    def status(self) -> int | None:
        """How it ended (negative: by which signal); None while it lives."""
        if self._status is None:
            self._status = self._nursery.tell(ended=self.pid)
        return self._status

    def wait(self, patience_s: float = PATIENCE_S) -> int:
        deadline = time.monotonic() + patience_s
        while (status := self.status) is None:
            assert time.monotonic() < deadline, f"it still lives: {self.said()[-2000:]}"
            time.sleep(0.003)
        return status

    def wait_until_stopped(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while psutil.Process(self.pid).status() != psutil.STATUS_STOPPED:
            assert time.monotonic() < deadline, f"it does not stand still: {self.said()[-2000:]}"
            time.sleep(0.003)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    def signal(self, number: signal.Signals) -> None:
        if self.status is None:
            os.kill(self.pid, number)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def acknowledged(self) -> list[str]:
        """Of a writer: the events that were committed, in order."""
        return self.said().split()

    def acknowledged_at_end(self) -> list[str]:
        assert self.wait() == 0, self.said()
        return self.acknowledged()


class Nursery:
    """`tests.faults.doomed`, or another module that forks as it does, and what it has started."""

    def __init__(
        self, shared: dict[str, str], folder: Path, reaper: Reaper, module: str = "tests.faults.doomed"
    ) -> None:
        self.folder, self._numbers, self._lock = folder, itertools.count(), threading.Lock()
        self.born: list[Child] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env=shared,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        reaper.watch(self._process.pid)

    def tell(self, **words: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(words) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def start(self, work: str, **words: Any) -> Child:
        log = self.folder / f"{work}-{next(self._numbers)}.log"
        log.touch()
        child = Child(self, self.tell(start=work, words=words, log=str(log)), log)
        self.born.append(child)
        return child

    def end(self) -> None:
        for child in self.born:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
        self._process.communicate(timeout=PATIENCE_S)


class Watcher:
    """Somebody outside who looks at the newest published checkpoint all the time, and keeps each."""

    def __init__(self, database: str) -> None:
        self.notes: dict[int, str] = {}
        """Position → note, in the order in which they were seen."""
        self.faults: list[str] = []
        self._database, self._stop = database, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_S)

    def _look(self) -> None:
        newest = 0
        with contextlib.closing(self._connected()) as connection:
            while not self._stop.wait(0.002):
                for position, note in connection.execute(NEWEST).fetchall():
                    if self.notes.setdefault(position, note) != note:
                        self.faults.append(f"two notes at {position}")
                    if position < newest:
                        self.faults.append(f"{position} was shown after {newest}")
                    newest = max(newest, position)

    def _connected(self) -> Any:
        if "://" in self._database:
            return psycopg.connect(self._database, autocommit=True)
        return sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=20)


@dataclass
class House:
    """A database with a log, and the processes that write and seal it."""

    database: str
    """A PostgreSQL address or the path of an SQLite file."""
    environment: dict[str, str]
    folder: Path
    nursery: Nursery
    postgres: PrivatePostgres | None
    writers: list[Child] = field(default_factory=list)

    @property
    def key(self) -> VerifierKey:
        """What officers were handed."""
        line = (self.folder / "var" / "audit" / "signing.key").read_text().strip()
        return Signer.parse(line).verifier

    @property
    def store(self) -> Path:
        return self.folder / "var" / "audit" / "store"

    def act(self, **words: Any) -> Child:
        """A process that writes events; what it was told stands is compared in `check`."""
        self.writers.append(self.nursery.start("act", **words))
        return self.writers[-1]

    def seal(self, **words: Any) -> Child:
        return self.nursery.start("seal", **words)

    def settle(self) -> None:
        """A fresh sequencer, until nothing waits."""
        child = self.seal(dry=True)
        assert child.wait() == 0, child.said()[-3000:]

    def newest(self, tree: int = 1) -> str:
        """The last published checkpoint of a tree."""
        question = (
            "SELECT note FROM audit_checkpoint WHERE note <> '' AND position >= %s AND position < %s "
            "ORDER BY position DESC LIMIT 1"
        )
        return str(ask(self.database, question, tree << TREE_BITS, tree + 1 << TREE_BITS)[0][0])

    def leaves(self, tree: int = 1) -> list[tuple[int, str, bytes, bytes | None]]:
        """(index, event, hash, entry) of a tree, as the tables have them."""
        return [
            (position - (tree << TREE_BITS), as_id(event), bytes(hash_), None if leaf is None else leaf.encode())
            for position, event, hash_, leaf in ask(self.database, LEAVES)
            if position >> TREE_BITS == tree
        ]

    def faults(self, seen: "Watcher | None" = None) -> list[str]:
        """What is wrong when nothing waits any longer: lost, doubled, out of order, or shown and not so."""
        wrong = list(seen.faults) if seen else []
        leaves = self.leaves()
        if [index for index, *_ in leaves] != list(range(len(leaves))):
            wrong.append("the places have holes")
        wrong += [
            f"entry {i} is not what was hashed" for i, _, h, leaf in leaves if leaf is None or leaf_hash(leaf) != h
        ]
        place = {event: index for index, event, _, _ in leaves}
        written = {as_id(event) for (event,) in ask(self.database, "SELECT id FROM audit_auditevent")}
        if len(place) != len(leaves) or set(place) != written:
            wrong.append(f"{len(written)} events, {len(leaves)} leaves, {len(set(place) ^ written)} of one side only")
        for writer in self.writers:
            told = writer.acknowledged()
            if lost := [event for event in told if event not in place]:
                wrong.append(f"{len(lost)} events were acknowledged and are not sealed: {lost[:3]}")
            elif sorted(told, key=place.__getitem__) != told:
                wrong.append("what one process wrote is sealed in another order")
        if ask(self.database, "SELECT 1 FROM audit_pending"):
            wrong.append("something waits still")
        notes = [*(seen.notes.values() if seen else ()), self.newest()]
        said = [open_checkpoint(note, [self.key]) for note in notes]
        found = roots([hash_ for _, _, hash_, _ in leaves], {one.size for one in said})
        wrong += [
            f"the checkpoint of {one.size} was shown and is not so" for one in said if found.get(one.size) != one.root
        ]
        if said[-1].size != len(leaves):
            wrong.append(f"{len(leaves)} are sealed, and the last checkpoint says {said[-1].size}")
        return wrong

    def export(self, tree: int = 1) -> Path:
        """A tree as officers get it, straight from the tables."""
        folder = Path(tempfile.mkdtemp(prefix="export-", dir=self.folder))
        leaves, note = self.leaves(tree), self.newest(tree)
        (folder / "checkpoint").write_text(note)
        size = int(note.splitlines()[1])
        hashes = {(0, index): hash_ for index, _, hash_, _ in leaves}
        for place, hash_ in ask(self.database, "SELECT place, hash FROM audit_node"):
            if place >> NODE_BITS == tree:
                hashes[place >> TREE_BITS & 0xFF, place & ((1 << TREE_BITS) - 1)] = bytes(hash_)
        entries = {index: leaf or b"" for index, _, _, leaf in leaves}
        for level in itertools.count():
            count = size >> 8 * level
            if not count:
                return folder
            for number in range(-(-count // WIDTH)):
                here = range(number * WIDTH, min(count, (number + 1) * WIDTH))
                put(folder, level, number, len(here), b"".join(hashes.get((level, at), b"") for at in here))
                if level == 0:
                    pieces = (len(entries.get(at, b"")).to_bytes(2) + entries.get(at, b"") for at in here)
                    put(folder, "entries", number, len(here), b"".join(pieces))
        raise AssertionError

    def verify(self, folder: Path, *, older: str = "", key: VerifierKey | None = None) -> tuple[int, str]:
        """`verify.py` run alone in an empty folder: exit status and answer."""
        with tempfile.TemporaryDirectory(dir=self.folder) as alone:
            shutil.copy(ROOT / "server" / "audit" / "verify.py", alone)
            words = [str(folder), "--key", (key or self.key).line]
            if older:
                (Path(alone) / "kept").write_text(older)
                words += ["--older", "kept"]
            done = subprocess.run(
                [sys.executable, "-I", "verify.py", *words], cwd=alone, env={}, capture_output=True, text=True
            )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout

    def back_up(self) -> Path:
        """A dump, as operators make it; nobody writes meanwhile."""
        out = self.folder / f"backup-{time.monotonic_ns()}"
        if self.postgres is None:
            with (
                contextlib.closing(sqlite3.connect(self.database)) as live,
                contextlib.closing(sqlite3.connect(out)) as to,
            ):
                live.backup(to)
        else:
            self._client("pg_dump", "--file", str(out), self.database)
        return out

    def put_back(self, backup: Path) -> None:
        if self.postgres is None:
            for ending in ("-wal", "-shm"):
                Path(self.database + ending).unlink(missing_ok=True)
            shutil.copy(backup, self.database)
            return
        name = sql.Identifier(urlsplit(self.database).path.strip("/"))
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(name))
        self._client("psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", str(backup), self.database)

    def _client(self, program: str, *words: str) -> None:
        """A program of PostgreSQL's, of the server's own version."""
        assert self.postgres is not None
        done = subprocess.run([self.postgres.binary.with_name(program), *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]


def put(folder: Path, level: int | str, number: int, width: int, data: bytes) -> None:
    file = folder / "tile" / tile_path(level, number, width)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def roots(leaves: Sequence[bytes], sizes: set[int]) -> dict[int, bytes]:
    """The root at each of the sizes, leaf by leaf."""
    peaks: list[bytes] = []
    found = {0: root_of(())}
    for size, leaf in enumerate(leaves, start=1):
        peaks.append(leaf)
        for _ in range((size & -size).bit_length() - 1):
            right = peaks.pop()
            peaks[-1] = node_hash(peaks[-1], right)
        if size in sizes:
            root = peaks[-1]
            for peak in reversed(peaks[:-1]):
                root = node_hash(peak, root)
            found[size] = root
    return found


@contextlib.contextmanager
def house(engine: str, *, shared_store: bool = False, **more: str) -> Iterator[House]:
    """`engine`: postgresql (durable) or sqlite; `shared_store`: the sequencer's memory is a PostgreSQL database."""
    with contextlib.ExitStack() as keep:
        folder = Path(tempfile.mkdtemp(prefix="samsnakk-sealing-"))
        reaper = Reaper(folder)
        keep.callback(reaper.release)
        own = environment(folder, SEQUENCER="false", LOG_LEVEL="ERROR", **more)
        postgres, database = None, str(folder / "var" / "samsnakk.sqlite3")
        if engine == "postgresql" or shared_store:
            postgres = keep.enter_context(PrivatePostgres(durable=True, settings=NOTING))
        if postgres and engine == "postgresql":
            own["DATABASE_URL"] = database = keep.enter_context(own_database(postgres.url))
        if postgres and shared_store:
            own["AUDIT_STORE"] = keep.enter_context(own_database(postgres.url))
        command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        nursery = Nursery(own, folder, reaper)
        keep.callback(nursery.end)
        made = House(database, own, folder, nursery, postgres if engine == "postgresql" else None)
        made.act(count=20).wait()
        made.settle()
        yield made
