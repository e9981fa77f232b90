"""The sequencer's memory: whole at every reading, on disk when it says so, and never waited for without end."""

import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from server.audit import store as stores
from server.audit.store import FileStore, PostgresStore, State, StoreFault
from tools.services import own_database

needs_postgres = pytest.mark.skipif("DATABASE_URL" not in os.environ, reason="asks PostgreSQL")


def test_what_is_read_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when a reader does not wait for who writes: it would see the new `current` beside the old `next`."""
    store, said = FileStore(tmp_path, "one"), list[State]()
    store.swap(State(), State(next="n"))
    settle, reader = store._settle, threading.Thread(target=lambda: said.append(FileStore(tmp_path, "one").read()))

    def slow() -> None:
        settle()
        if not reader.ident:
            reader.start()
            reader.join(0.3)

    monkeypatch.setattr(store, "_settle", slow)
    store.swap(State(next="n"), State(current="c"))
    reader.join(5)
    assert said == [State(current="c")]


def test_a_name_that_was_not_written_to_its_end_is_written_again(tmp_path: Path) -> None:
    """Who was killed between making the file and filling it has not lost the folder."""
    (tmp_path / "host").touch()
    FileStore(tmp_path, "one").swap(State(), State(next="n"))
    assert (tmp_path / "host").read_text() == "one"
    with pytest.raises(StoreFault, match="belongs to the host one"):
        FileStore(tmp_path, "two").swap(State(next="n"), State())


def test_the_name_is_on_disk_before_anything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when the name is written as no other text is."""
    synced, real = list[str](), os.fsync

    def fsync(number: int) -> None:
        synced.append(Path(f"/proc/self/fd/{number}").readlink().name)
        real(number)

    monkeypatch.setattr(stores.os, "fsync", fsync)
    FileStore(tmp_path / "store", "one").read()
    assert synced == ["host.new", "store"]


def test_two_hosts_of_one_name_are_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines are copied, and keep their name."""
    machine = tmp_path / "machine-id"
    monkeypatch.setattr(stores, "MACHINE", machine)
    named = stores.this_host()
    assert named == socket.gethostname()
    machine.write_text("a" * 32 + "\n")
    first = stores.this_host()
    machine.write_text("b" * 32 + "\n")
    second = stores.this_host()
    assert len({named, first, second}) == 3
    assert "a" * 32 not in first, "systemd wants it kept"
    FileStore(tmp_path / "store", first).read()
    with pytest.raises(StoreFault, match=f"belongs to the host {first}"):
        FileStore(tmp_path / "store", second).read()


@pytest.fixture
def url() -> Iterator[str]:
    with own_database(os.environ["DATABASE_URL"]) as fresh:
        yield fresh


class Freezing:
    """Hands bytes on to PostgreSQL until it is frozen; then it takes them and says nothing."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._frozen, self._door = threading.Event(), socket.create_server(("127.0.0.1", 0))
        user = parts.netloc.rpartition("@")[0]
        here = f"127.0.0.1:{self._door.getsockname()[1]}"
        self.url = urlunsplit(parts._replace(netloc=f"{user}@{here}" if user else here))
        threading.Thread(target=self._serve, daemon=True).start()

    def freeze(self) -> None:
        self._frozen.set()

    def close(self) -> None:
        self._door.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._door.accept()
                threading.Thread(target=self._hand_on, args=(ours,), daemon=True).start()

    def _hand_on(self, ours: socket.socket) -> None:
        with ours, socket.create_connection(self._target) as theirs, suppress(OSError):
            while True:
                for one in select.select([ours, theirs], [], [])[0]:
                    said = one.recv(65_536)
                    if not said:
                        return
                    if not self._frozen.is_set():
                        (theirs if one is ours else ours).sendall(said)


@needs_postgres
def test_a_store_that_no_longer_answers_is_a_fault_and_heals(url: str) -> None:
    """Red without a limit of our own: the clock of `statement_timeout` is the frozen server's own."""
    between = Freezing(url)
    store = PostgresStore(between.url, timeout_s=1)
    store.swap(State(), State(next="n"))
    between.freeze()
    for attempt in (store.read, lambda: store.swap(State(next="n"), State(current="c"))):
        begun = time.monotonic()
        with pytest.raises(StoreFault, match="does not answer"):
            attempt()
        assert time.monotonic() - begun < 5
    between.close()
    store.url = url
    assert store.read() == State(next="n")


@needs_postgres
def test_a_shared_store_asks_nothing_of_the_start_that_a_pooler_refuses(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, connect = list[dict[str, object]](), psycopg.Connection.connect.__func__  # type: ignore[attr-defined]

    def spy(cls: type, conninfo: str = "", **options: object) -> object:
        asked.append(options)
        return connect(cls, conninfo, **options)

    monkeypatch.setattr(psycopg.Connection, "connect", classmethod(spy))
    store = PostgresStore(url, timeout_s=2)
    assert store.read() == State()
    [options] = asked
    assert "options" not in options
    assert options["keepalives_idle"] == 5
    assert options["tcp_user_timeout"] == 5000
    assert store._kept
    assert store._kept.prepare_threshold is None
    said = [str(store._kept.execute(f"SHOW {name}").fetchone()) for name in ("statement_timeout", "synchronous_commit")]
    assert said == ["('2s',)", "('on',)"]
