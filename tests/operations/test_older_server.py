"""A server of the version before, beside one of today on a database that today's migrations have been at: what a
rolling upgrade asks of it."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from tests.faults.clients import Phone, Writer, caught_up, compare_bodies, keep_posting, until
from tests.faults.ledger import Ledger
from tests.faults.stage import Place, crowd
from tests.support import plain
from tests.support.deployed import Deployed
from tests.support.served import ROOT, once, serve
from tools.servers import PrivateRedis, free_port

pytestmark = [pytest.mark.prove, once]

NEWER = "server/people/migrations/0005_sign_in.py"
"""What the older version does not know: columns and tables for sessions that are refreshed."""
BEGUN = "pyjwt"
"""Installed by the first commit of those that led to it: the one before is whole."""
PLAYED_S, PATIENCE_S = 6.0, 60.0


def git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True).stdout


def unpack(folder: Path) -> None:
    """The tree as it was before."""
    try:
        begun = git("log", "-S", BEGUN, "--format=%H", "--", "pyproject.toml").decode().split()
        packed = git("archive", f"{begun[-1]}^")
    except (OSError, subprocess.CalledProcessError, IndexError):
        pytest.skip("no clone with its history: what was before is not here")
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed, check=True)
    assert not (folder / NEWER).exists()


@contextlib.contextmanager
def older(folder: Path, env: dict[str, str]) -> Iterator[str]:
    """Its address while it serves, with what is installed today."""
    port, log = free_port(), folder.with_suffix(".log")
    with log.open("wb") as out:
        command = [sys.executable, "manage.py", "serve"]
        process = subprocess.Popen(
            command, cwd=folder, env={**env, "HOST": "127.0.0.1", "PORT": str(port)}, stdout=out, stderr=out
        )
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE_S
    try:
        while True:
            with contextlib.suppress(httpx.TransportError):
                if plain.get(f"{url}/health/ready", timeout=5).status_code == 200:
                    break
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.1)
        yield url
        process.terminate()
        assert process.wait(30) == 0, log.read_text()[-3000:]
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()
        process.wait()


async def play(place: Place, urls: list[str], ledger: Ledger) -> list[Phone]:
    """The members of a room, at one server and the other, over sockets and REST."""
    async with AsyncExitStack() as keep:
        phones, writers = [], []
        for number, who in enumerate(place.people):
            url = urls[number % len(urls)]
            socket = url.replace("http", "ws", 1) + "/ws/v1"
            phones.append(await keep.enter_async_context(Phone(who, lambda socket=socket: socket, ledger)))  # type: ignore[misc]
            writers.append(await keep.enter_async_context(Writer(who, lambda url=url: url, ledger)))  # type: ignore[misc]
        await until(lambda: all(one.synced.is_set() for one in phones), PATIENCE_S, "every phone's hello")
        stop = asyncio.Event()
        work = [asyncio.create_task(keep_posting(one, [place.id], stop, 0.2)) for one in (*phones, *writers)]
        await asyncio.sleep(PLAYED_S)
        stop.set()
        await asyncio.wait_for(asyncio.gather(*work), PATIENCE_S)
        await until(caught_up(phones, ledger), PATIENCE_S, "every phone has everything")
        return phones


def test_the_version_before_serves_on(deployed: Deployed, tmp_path: Path) -> None:
    unpack(tmp_path / "before")
    database, ledger = deployed.another(), Ledger()
    with PrivateRedis() as redis:
        env = database.environment("samsnakk", REDIS_URL=redis.url, THROTTLE="0", LOG_LEVEL="WARNING")
        with serve(tmp_path, env) as today, older(tmp_path / "before", env) as before:
            for persona in ("kari", "are"):
                said = plain.post(f"{before}/api/v1/demo/sign-in", json={"persona": persona}, timeout=30)
                assert said.is_success, said.text
                headers = {"Authorization": f"Bearer {said.json()['token']}"}
                for url in (before, today.url):
                    assert plain.get(f"{url}/api/v1/me", headers=headers, timeout=30).status_code == 200
            [place] = crowd(env, tmp_path, rooms=1, members=4)
            phones = asyncio.run(play(place, [before, today.url], ledger))
    figures = ledger.check(database.address("samsnakk"))
    assert compare_bodies(phones, ledger) > 0
    assert not ledger.faults, ledger.faults[:10]
    assert not ledger.refused
    assert figures["acknowledged"] == figures["sent"] > 0
    assert {one.lost for one in phones} == {0}
    print(f"\n  {figures}; sockets at both {[len(one.bodies) for one in phones]}")
