"""The drill: a back-up is made while people write, everything is lost, the back-up comes back, and the log says so."""

import contextlib
import secrets
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from tests.faults.ledger import ask
from tests.faults.stage import ROOT, Place, Server, Stage, stage
from tests.support import plain

pytestmark = pytest.mark.prove

STOPPED = "audit_sequencer_stopped"


def manage(env: Mapping[str, str], *words: str, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *words], cwd=ROOT, env=dict(env), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == status, done.stderr[-3000:] or done.stdout[-3000:]
    return done.stdout


def post(base: str, place: Place, number: int) -> int:
    body = {"txn_id": f"drill-{number}-{secrets.token_hex(4)}", "body": f"melding {number}"}
    who = place.people[number % len(place.people)]
    answer = plain.post(f"{base}/api/v1/rooms/{place.id}/messages", json=body, headers=who.headers, timeout=30)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["seq"])


@contextlib.contextmanager
def writing(base: str, rooms: list[Place]) -> Iterator[list[int]]:
    """People write all the while; how many messages were acknowledged so far."""
    over, done = threading.Event(), [0]

    def go() -> None:
        while not over.is_set():
            post(base, rooms[done[0] % len(rooms)], done[0])
            done[0] += 1

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield done
    finally:
        over.set()
        thread.join(60)


def warnings(server: Server) -> list[str]:
    found: list[str] = plain.get(f"{server.base}/health/ready", timeout=30).json()["warnings"]
    return found


def wait_for(server: Server, code: str, *, there: bool) -> None:
    deadline = time.monotonic() + 60
    while (code in warnings(server)) is not there:
        assert time.monotonic() < deadline, (code, warnings(server))
        time.sleep(0.5)


def sealed(database: str) -> None:
    deadline = time.monotonic() + 60
    while ask(database, "SELECT count(*) FROM audit_pending") != [(0,)]:
        assert time.monotonic() < deadline, "events wait to be sealed"
        time.sleep(0.1)


def lost(here: Stage, folder: Path) -> tuple[dict[str, str], str]:
    """The settings of an installation whose database is gone, and whose keys and sequencer's store are not; an empty
    database takes its place. Also that database, for questions of our own."""
    env = dict(here.servers[0]._environment)
    if here.postgres is None:
        old = Path(env["VAR_DIR"])
        new = folder / "var"
        shutil.copytree(old / "audit", new / "audit")
        shutil.copy(old / "master.key", new / "master.key")
        return env | {"VAR_DIR": str(new)}, str(new / "samsnakk.sqlite3")
    with psycopg.connect(here.postgres.url, autocommit=True) as superuser:
        superuser.execute("CREATE DATABASE restored")
    address = urlsplit(here.postgres.url)._replace(path="/restored").geturl()
    return env | {"DATABASE_URL": address}, address


def counted(database: str) -> dict[str, Any]:
    names = ("rooms_roomevent", "consent_version", "people_user", "alerts_alertkey", "vault_datakey")
    return {name: ask(database, f"SELECT count(*) FROM {name}")[0][0] for name in names}


@pytest.mark.parametrize("engine", ["postgresql", "sqlite"])
def test_the_drill(engine: str, tmp_path: Path) -> None:
    with stage(sqlite=engine == "sqlite", rooms=3, members=3, SEQUENCER="1", AUDIT_PUBLIC_EVERY_S="0") as here:
        server, env = here.servers[0], here.servers[0]._environment
        programs = ["--bin", str(here.postgres.binary.parent)] if here.postgres else []
        public = manage(env, "backup", "--keygen", str(tmp_path / "private.pem")).strip()
        (tmp_path / "public").write_text(public)
        (tmp_path / "signer").write_text(manage(env, "backup", "--signer"))
        token = {"Authorization": f"Bearer {here.rooms[0].patient.token}"}
        with writing(server.base, here.rooms) as done:
            while done[0] < 20:
                time.sleep(0.05)
            begun = time.monotonic()
            told = manage(env, "backup", str(tmp_path), "--to-file", str(tmp_path / "public"), *programs)
            took, before = time.monotonic() - begun, done[0]
            while done[0] < before + 20:  # what the back-up does not know
                time.sleep(0.05)
        assert "read again and whole" in told
        sealed(here.database)
        wait_for(server, STOPPED, there=False)
        whole = counted(here.database)
        assert server.stop() == 0

        again, database = lost(here, tmp_path)
        [made] = tmp_path.glob("samsnakk-*.backup")
        size = made.stat().st_size
        begun = time.monotonic()
        whose = ("--key-file", str(tmp_path / "private.pem"), "--signer-file", str(tmp_path / "signer"))
        said = manage(again, "restore", str(made), *whose, *programs)
        restored_in = time.monotonic() - begun
        assert "audit adopt" in said
        found = counted(database)
        assert whole["rooms_roomevent"] - found["rooms_roomevent"] >= 20, "what is newer is gone"
        assert {**whole, "rooms_roomevent": 0} == {**found, "rooms_roomevent": 0}
        for head, last in ask(
            database, "SELECT head, (SELECT max(seq) FROM rooms_roomevent e WHERE e.room_id = r.id) FROM rooms_room r"
        ):
            assert head == last, "law 2 holds as of one moment"
        manage(again, "vault", "check")
        manage(again, "consent", "verify", "--quiet")

        second = Server(9, again, here.folder, server._reaper)
        second.start()
        try:
            refused = plain.get(f"{second.base}/api/v1/me", headers=token, timeout=30)
            assert (refused.status_code, refused.json()["code"]) == (401, "session_ended")
            wait_for(second, STOPPED, there=True)  # the log does not quietly go on
            assert ask(database, "SELECT count(*) FROM audit_pending")[0][0] > 0, "acts wait, and are on record"
        finally:
            second.stop()
        manage(again, "audit", "adopt", "--reason", "restored", "--yes")
        second.start()
        try:
            sealed(database)
            wait_for(second, STOPPED, there=False)
            person = httpx.post(
                f"{second.base}/api/v1/demo/sign-in", json={"persona": "kari"}, verify=False, timeout=30
            )
            assert person.status_code == 200, person.text
            sealed(database)
            # What was lost is told as known; nothing that is there is wrong.
            manage(again, "audit", "verify", "--quiet")
        finally:
            second.stop()
        assert not here.faults_of_ours()
        print(
            f"\n  {engine}: {size / 1e6:.1f} MB in {took:.1f} s while people wrote; restored in {restored_in:.1f} s, "
            f"{whole['rooms_roomevent'] - found['rooms_roomevent']} events of later are gone"
        )


def test_a_sqlite_file_that_is_not_sound_is_never_backed_up(tmp_path: Path) -> None:
    """Red when a damaged database becomes the newest back-up, and --keep removes the good ones."""
    with stage(sqlite=True, rooms=1, members=3) as here:
        server, env = here.servers[0], here.servers[0]._environment
        server.stop()
        (tmp_path / "phrase").write_text("a passphrase that is long enough")
        with contextlib.closing(sqlite3.connect(here.database)) as file:
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            size = file.execute("PRAGMA page_size").fetchone()[0]
        with Path(here.database).open("r+b") as raw:
            for page in range(20, 60):
                raw.seek(page * size)
                raw.write(b"\xff" * 64)
        manage(env, "backup", str(tmp_path), "--passphrase-file", str(tmp_path / "phrase"), status=2)
        assert list(tmp_path.glob("*.backup")) == []
        assert [one.name for one in tmp_path.iterdir()] == ["phrase"]
