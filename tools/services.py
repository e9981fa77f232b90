"""Real PostgreSQL and Redis for a command: `python -m tools.services run [--durable] -- COMMAND ...`.

Used are the servers at DATABASE_URL and REDIS_URL; unset: those on the standard local ports; none there: private ones,
from installed binaries or from the pip packages that carry them. Nothing found is one line and exit status 1: never a
skip.
SERVICES=private forces private servers, SERVICES=pip those of the pip packages.

The command gets DATABASE_URL, REDIS_URL and REDIS_PREFIX (for keys and channels: pub/sub knows no database numbers)
that are its own, and with private servers POSTGRES_LOG; all is removed afterwards, also on SIGINT and SIGTERM.
Tests start servers of their own to break them: PrivatePostgres and PrivateRedis, from `tools/servers.py`.
"""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from types import FrameType
from urllib.parse import urlsplit

import psycopg
import redis
from psycopg import sql

from tools.servers import PrivatePostgres, PrivateRedis, PrivateServer, ServiceFault

__all__ = ["PrivatePostgres", "PrivateRedis", "PrivateServer", "ServiceFault", "own_database", "own_redis", "services"]

LOCAL_POSTGRES = ("postgresql://postgres@127.0.0.1:5432/postgres", "postgresql://127.0.0.1:5432/postgres")
LOCAL_REDIS = "redis://127.0.0.1:6379"
CLAIM = "samsnakk:claimed"
CLAIM_SECONDS = 24 * 3600


def say(text: str) -> None:
    print(f"services: {text}", file=sys.stderr, flush=True)


def postgres_answers(url: str, *, superuser: bool = False) -> str:
    """Why the server at `url` is of no use, in one line; empty when it is. Tests tear down as superuser (law 8)."""
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            row = connection.execute("SELECT usesuper FROM pg_user WHERE usename = current_user").fetchone()
    except psycopg.Error as error:
        return str(error).strip().splitlines()[-1]
    return "" if not superuser or (row and row[0]) else "its user is not a superuser"


def redis_answers(url: str) -> str:
    """Why the server at `url` is of no use, in one line; empty when it is."""
    try:
        with redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        return str(error).strip() or type(error).__name__
    return ""


def postgres_url(stack: contextlib.ExitStack, environment: dict[str, str], *, source: str, durable: bool) -> str:
    """A server's address: given, local or private (see the module). Raises ServiceFault when there is none."""
    if not source and (url := environment.get("DATABASE_URL")):
        if why := postgres_answers(url):
            raise ServiceFault(f"DATABASE_URL is set, but PostgreSQL does not answer there: {why}")
        say("PostgreSQL at DATABASE_URL")
        return url
    for url in () if source else LOCAL_POSTGRES:
        if not postgres_answers(url, superuser=True):
            say("PostgreSQL on the standard local port")
            return url
    server = stack.enter_context(PrivatePostgres(durable=durable, pip_only=source == "pip"))
    environment["POSTGRES_LOG"] = str(server.log_path)
    say(f"private PostgreSQL {server.version} on port {server.port}")
    return server.url


def redis_url(stack: contextlib.ExitStack, environment: dict[str, str], *, source: str, durable: bool) -> str:
    """A server's address: given, local or private (see the module). Raises ServiceFault when there is none."""
    if not source and (url := environment.get("REDIS_URL")):
        if why := redis_answers(url):
            raise ServiceFault(f"REDIS_URL is set, but Redis does not answer there: {why}")
        say("Redis at REDIS_URL")
        return url
    if not source and not redis_answers(LOCAL_REDIS):
        say("Redis on the standard local port")
        return LOCAL_REDIS
    server = stack.enter_context(PrivateRedis(durable=durable, pip_only=source == "pip"))
    say(f"private Redis {server.version} on port {server.port}")
    return server.url


@contextlib.contextmanager
def own_database(server: str, *, template: str = "template0") -> Iterator[str]:
    """A new database on that server, empty or a copy of `template`, to which nobody is connected; dropped afterwards,
    with the `test_` databases Django makes of it."""
    name = f"samsnakk_{secrets.token_hex(5)}"
    with psycopg.connect(server, autocommit=True) as connection:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8'")
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            mine = "SELECT datname FROM pg_database WHERE datname = %s OR starts_with(datname, %s)"
            for (found,) in connection.execute(mine, [name, f"test_{name}"]).fetchall():
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(found)))


def claim_number(server: str, owner: str) -> int | None:
    """An empty database number that nobody else claimed; None when all are taken or the server has but one."""
    for number in range(1, 16):
        with redis.Redis.from_url(server, db=number) as client, contextlib.suppress(redis.ResponseError):
            # Two who both see it empty are told apart by SET NX; a claim left by a kill ends by itself.
            if not client.dbsize() and client.set(CLAIM, owner, nx=True, ex=CLAIM_SECONDS):
                return number
    return None


@contextlib.contextmanager
def own_redis(server: str) -> Iterator[tuple[str, str]]:
    """(address, prefix) for us alone; keys are removed afterwards. An address that names a database number keeps it."""
    owner = secrets.token_hex(5)
    prefix = f"samsnakk-{owner}"
    number = None if urlsplit(server).path.strip("/") else claim_number(server, owner)
    address = server if number is None else urlsplit(server)._replace(path=f"/{number}").geturl()
    try:
        yield address, prefix
    finally:
        with redis.Redis.from_url(address, socket_timeout=10) as client:
            if number is not None and client.get(CLAIM) == owner.encode():
                client.flushdb()
            else:
                for key in client.scan_iter(match=f"*{prefix}*", count=1000):
                    client.delete(key)


@contextlib.contextmanager
def services(*, durable: bool = False) -> Iterator[dict[str, str]]:
    """The environment for a command that needs both servers. Raises ServiceFault when one cannot be had."""
    source = os.environ.get("SERVICES", "")
    if source not in ("", "private", "pip"):
        raise ServiceFault("SERVICES is `private`, `pip` or unset")
    environment = dict(os.environ)
    environment.pop("POSTGRES_LOG", None)
    with contextlib.ExitStack() as stack:
        postgres = postgres_url(stack, environment, source=source, durable=durable)
        cache = redis_url(stack, environment, source=source, durable=durable)
        environment["DATABASE_URL"] = stack.enter_context(own_database(postgres))
        environment["REDIS_URL"], environment["REDIS_PREFIX"] = stack.enter_context(own_redis(cache))
        yield environment


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a command and all it started: first as Ctrl-C does, so that tests tear down, then harder."""
    for number, patience_s in ((signal.SIGINT, 20), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, number)
            process.wait(patience_s)


def leave(number: int, _frame: FrameType | None) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)  # a second Ctrl-C must not break off the cleaning
    raise SystemExit(128 + number)


def run(command: Sequence[str], *, durable: bool) -> int:
    """Run the command with servers of its own; its exit status (128 + number when a signal ended it)."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    with services(durable=durable) as environment:
        process = subprocess.Popen(command, env=environment, start_new_session=True)
        try:
            status = process.wait()
        finally:
            end_group(process)
    return status if status >= 0 else 128 - status


def main(arguments: list[str]) -> int:
    match arguments:
        case ["run", "--", *command] if command:
            durable = False
        case ["run", "--durable", "--", *command] if command:
            durable = True
        case _:
            print("usage: python -m tools.services run [--durable] -- COMMAND ...", file=sys.stderr)
            return 2
    try:
        return run(command, durable=durable)
    except (ServiceFault, psycopg.Error, redis.RedisError, OSError) as fault:
        say(" ".join(str(fault).split()) or type(fault).__name__)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
