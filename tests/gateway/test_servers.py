"""The socket over real TCP, on daphne and uvicorn: close codes, the upgrade, slow readers, the drain, connections."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sqlite3
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import psutil
import psycopg
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from server.operate.players import Device
from tests.gateway.driver import SLACK_S
from tests.gateway.servers import Server, Site

JSON = dict[str, Any]


def run(test: Callable[[Server], Awaitable[None]], server: Server) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(90):
            await test(server)

    asyncio.run(bounded())


class Person:
    """A persona with a session on a server."""

    def __init__(self, server: Server, name: str) -> None:
        said = server.sign_in(name)
        self.name, self.user, self.token, self.server = name, said["user"], said["token"], server
        self.client = httpx.Client(
            base_url=server.url + "/api/v1/",
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=30,
            verify=False,
        )

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.client.request(method, path, json=body)
        assert answer.is_success, (method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def device(self) -> Device:
        return Device(self.name, self.server.socket_url, self.token)


def opened(server: Server, purpose: str = "coordination") -> tuple[str, str, dict[str, Person]]:
    """Are's shared room (room, consent, people): the same one each time, shared anew if need be."""
    people = {name: Person(server, name) for name in ("are", "kari", "frida", "vera")}
    are, kari = people["are"], people["kari"]
    patients = kari.ok("GET", "patients")["results"]
    patient = next(one["id"] for one in patients if one["user"] == are.user)
    propose = [people["frida"].user, people["vera"].user]
    made = kari.ok("POST", "rooms", {"patient": patient, "purpose": purpose, "propose": propose})
    consent = made["consent"]["id"]
    if are.ok("GET", f"consents/{consent}")["asked"]:
        verb = "give" if are.ok("GET", f"consents/{consent}")["state"] != "active" else "change"
        are.ok("POST", f"consents/{consent}/{verb}", {})
    return made["id"], consent, people


async def hello(server: Server, token: str | None = None, **more: Any) -> ClientConnection:
    phone = await connect(server.socket_url, compression=None, max_size=None, **more)
    said: JSON = {"type": "hello", "protocol": 1, "cursors": {}}
    await phone.send(json.dumps(said | ({"token": token} if token else {})))
    return phone


async def until(phone: ClientConnection, kind: str) -> JSON:
    while True:
        frame: JSON = json.loads(await phone.recv())
        if frame["type"] == kind:
            return frame


async def code_of(phone: ClientConnection, within_s: float = 5) -> int | None:
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(within_s):
            while True:
                await phone.recv()
    return phone.close_code


def test_signing_in_at_the_upgrade(server: Server) -> None:
    async def go(server: Server) -> None:
        kari = Person(server, "kari")
        async with await hello(server, additional_headers={"Authorization": f"Bearer {kari.token}"}) as phone:
            assert (await until(phone, "welcome"))["user"] == kari.user
        cookie = {"Cookie": f"samsnakk_session={kari.token}"}
        async with await hello(server, additional_headers=cookie, origin=server.url) as phone:
            assert (await until(phone, "welcome"))["user"] == kari.user
        assert await code_of(await hello(server, additional_headers=cookie)) == 4401, "a cookie needs an Origin"
        for more in (cookie, {"Authorization": f"Bearer {kari.token}"}):
            with pytest.raises(InvalidStatus) as refused:
                await hello(server, additional_headers=more, origin="http://evil.example")
            assert refused.value.response.status_code == 403, "a page of another site, whatever it holds"
        phone = await connect(f"{server.socket_url}?token={kari.token}")
        await phone.send('{"type":"hello","protocol":1}')
        assert await code_of(phone) == 4401

    run(go, server)


def test_other_addresses_are_refused_before_they_are_accepted(server: Server) -> None:
    async def go(server: Server) -> None:
        for path in ("/", "/ws/v2", "/ws/v1/", "/api/v1/me"):
            with pytest.raises(InvalidStatus) as refusal:
                await connect(server.url.replace("http", "ws", 1) + path)
            assert refusal.value.response.status_code in (403, 404)

    run(go, server)


def test_close_codes_arrive(server: Server) -> None:
    async def go(server: Server) -> None:
        token = Person(server, "kari").token
        sent: list[tuple[str | bytes, int]] = [
            ("hei", 4400),
            (b'{"type":"ping"}', 4400),
            ('{"type":"ping","x":"\\ud800"}', 4400),
            ('{"type":"ping","x":"\\u0000"}', 4400),
            (json.dumps({"type": "ping", "x": "a" * 1024 * 1024}), 4413),
        ]
        for text, code in sent:
            phone = await hello(server, token)
            await until(phone, "synced")
            await phone.send(text)
            assert await code_of(phone) == code, text[:30]
        assert await code_of(await hello(server, "0" * 64)) == 4401
        phone = await connect(server.socket_url)
        await phone.send('{"type":"ping"}')
        assert await code_of(phone) == 4400
        phone = await connect(server.socket_url)
        assert await code_of(phone, 8) == 4408, "no hello within 5 s"

    run(go, server)


def test_invalid_utf8_ends_that_socket_alone(server: Server) -> None:
    async def go(server: Server) -> None:
        token = Person(server, "kari").token
        other = await hello(server, token)
        phone = await hello(server, token)
        await until(phone, "synced")
        await until(other, "synced")
        await phone.send(b"\xff\xfe{}", text=True)
        assert await code_of(phone) in (1007, 1006, 4400)
        await other.send('{"type":"ping"}')
        await until(other, "pong")
        await other.close()

    run(go, server)


def test_a_conversation(server: Server) -> None:
    async def go(server: Server) -> None:
        room, _, people = await asyncio.to_thread(opened, server)
        phones = {name: person.device() for name, person in people.items()}
        for phone in phones.values():
            await phone.open()
        words = [f"nr. {number} {uuid4().hex}" for number in range(30)]
        for said in words:
            await phones["kari"].send(type="post", room=room, txn_id=uuid4().hex, body=said)
        for phone in phones.values():
            await phone.wait(lambda f: f["type"] == "event" and f["event"]["content"].get("body") == words[-1])
            bodies = [one["content"].get("body") for one in phone.events(room)]
            assert [body for body in bodies if body in words] == words
        await phones["vera"].drop()
        await asyncio.to_thread(people["frida"].ok, "POST", f"rooms/{room}/messages", {"txn_id": words[0], "body": "x"})
        before = len(phones["vera"].events(room))
        await phones["vera"].open()
        assert len(phones["vera"].events(room)) == before + 1
        for phone in phones.values():
            await phone.close()

    run(go, server)


def test_withdrawal_closes_within_a_second(server: Server) -> None:
    async def go(server: Server) -> None:
        room, consent, people = await asyncio.to_thread(opened, server)
        phones = [people[name].device() for name in ("kari", "frida", "vera")]
        for phone in phones:
            await phone.open()
        writing = asyncio.gather(
            *(phones[0].send(type="post", room=room, txn_id=uuid4().hex, body=f"nr. {n}") for n in range(40))
        )
        start = time.monotonic()
        await asyncio.to_thread(people["are"].ok, "POST", f"consents/{consent}/withdraw", {})
        await writing
        for phone in phones:
            await phone.wait(lambda f: f["type"] == "room.closed" and f["room"] == room, patience_s=1 + SLACK_S)
        assert time.monotonic() - start < 1 + SLACK_S
        events = await asyncio.to_thread(people["are"].ok, "GET", f"rooms/{room}/events?limit=100")
        ends = [e["seq"] for e in events["results"] if e["type"] == "consent" and e["content"]["act"] == "withdrawn"]
        for phone in phones:
            assert all(one["seq"] < ends[-1] for one in phone.events(room))
            await phone.close()

    run(go, server)


def test_hints_cross_between_processes(daphne: Server, uvicorn: Server) -> None:
    """Redis between them; on SQLite with the in-process layer the heartbeat (1 s here) does it.

    Each message is sent when the one before has come: if the heartbeat did it, eight would take seven seconds.
    """

    async def go(server: Server) -> None:
        room, _, people = await asyncio.to_thread(opened, daphne)
        here, there = people["kari"].device(), Device("frida", uvicorn.socket_url, people["frida"].token)
        await here.open()
        await there.open()
        count = 1 if daphne.site.embedded else 8
        start = time.monotonic()
        for words in [uuid4().hex for _ in range(count)]:
            await here.send(type="post", room=room, txn_id=words, body=words)
            await there.wait(lambda f, w=words: f["type"] == "event" and f["event"]["content"].get("body") == w)  # type: ignore[misc]
        assert time.monotonic() - start < 1 + SLACK_S
        await here.close()
        await there.close()

    run(go, daphne)


def test_a_slow_reader_is_closed_with_bounded_memory_and_resumes(server: Server) -> None:
    async def go(server: Server) -> None:
        room, _, people = await asyncio.to_thread(opened, server)
        kari, frida = people["kari"].device(), people["frida"].device()
        await kari.open()
        await frida.open()
        head = frida.cursors[room]
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", int(server.url.rsplit(":", 1)[1])))
        # It reads the welcome, and then never again: no pong, no answer to a close.
        slow = await connect(
            server.socket_url, sock=raw, compression=None, max_size=None, max_queue=1, ping_interval=None
        )
        await slow.send(json.dumps({"type": "hello", "protocol": 1, "token": people["vera"].token, "cursors": {}}))
        await until(slow, "synced")
        slow.transport.pause_reading()
        port = raw.getsockname()[1]
        memory = psutil.Process(server.process.pid).memory_info().rss
        count, body = 500, "x" * 10_000  # 5 MB
        for number in range(count):
            await kari.send(type="post", room=room, txn_id=uuid4().hex, body=body)
            if number % 20 == 19:
                await kari.wait(lambda _, n=number: posted(kari) > n, patience_s=30)  # type: ignore[misc]
        await frida.wait(lambda f: f["type"] == "event" and f["event"]["seq"] == head + count, patience_s=20)
        assert len(frida.events(room)) == count
        grown = psutil.Process(server.process.pid).memory_info().rss - memory
        assert grown < 60 * 1024 * 1024, f"{grown / 1024 / 1024:.0f} MiB"
        if (
            server.kind == "daphne"
        ):  # uvicorn closes once the peer has taken its buffer; the application ends before that
            await asyncio.to_thread(wait_until_let_go, server, port)
        again = people["vera"].device()
        again.cursors = {room: head}
        await again.open()
        if not any(f["type"] == "limited" for f in again.frames):
            assert len(again.events(room)) == count
        else:
            await asyncio.to_thread(page_through, people["vera"], room, head, count)
        slow.transport.abort()
        for phone in (kari, frida, again):
            await phone.close()

    run(go, server)


def posted(device: Device) -> int:
    return sum(frame["type"] == "posted" for frame in device.frames)


def page_through(person: Person, room: str, after: int, count: int) -> None:
    found, address = 0, f"rooms/{room}/events?after={after}&limit=200"
    while address:
        page = person.ok("GET", address)
        found += sum(one["type"] == "message" for one in page["results"])
        address = page["next"].split("/api/v1/")[1] if page["next"] else ""
    assert found == count


def wait_until_let_go(server: Server, peer_port: int, patience_s: float = 20) -> None:
    """The connection has ended, whatever the peer does."""
    deadline = time.monotonic() + patience_s
    while still_open(server, peer_port):
        assert time.monotonic() < deadline, f"still open after {patience_s:g} s"
        time.sleep(0.2)


def still_open(server: Server, peer_port: int) -> bool:
    """Whether the server's process still holds the connection to that port of a client."""
    process = psutil.Process(server.process.pid)
    return any(one.raddr and one.raddr.port == peer_port for one in process.net_connections("tcp"))


def test_connections_have_a_ceiling_and_do_not_leak(server: Server) -> None:
    async def go(server: Server) -> None:
        token = Person(server, "kari").token

        async def once() -> None:
            phone = await hello(server, token)
            await until(phone, "synced")
            await phone.close()

        for _ in range(10 if server.kind == "daphne" else 3):
            await asyncio.gather(*(once() for _ in range(5)))

    run(go, server)
    if server.site.embedded:
        held = [one.path for one in psutil.Process(server.process.pid).open_files() if one.path.endswith("sqlite3")]
        assert len(held) <= 4 + 20, "one per database thread, and Django's request threads"
        return
    with psycopg.connect(server.site.environment["DATABASE_URL"]) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    assert row is not None
    assert row[0] <= 2 * (4 + 4), "db_threads + db_pool, for each of the two processes"


def rows(site: Site, sql: str) -> list[Any]:
    """By separate SQL, on a connection of our own."""
    if not site.embedded:
        with psycopg.connect(site.environment["DATABASE_URL"]) as connection:
            return connection.execute(sql.encode()).fetchall()
    with contextlib.closing(sqlite3.connect(f"file:{site.folder}/var/samsnakk.sqlite3?mode=ro", uri=True)) as lite:
        return lite.execute(sql).fetchall()


@pytest.mark.parametrize("kind", ["daphne", pytest.param("uvicorn", marks=pytest.mark.prove)])
def test_sigterm_drains(kind: str, the_site: Site, daphne: Server) -> None:
    """Every socket gets 1012 and the process ends within seconds; every acknowledged post is stored, once, with its
    audit row, and nothing is stored twice."""
    with the_site.server(kind) as server:

        async def go(server: Server) -> None:
            room, _, people = await asyncio.to_thread(opened, server)
            phones = [people[name].device() for name in ("kari", "frida", "vera", "are")]
            for phone in phones:
                await phone.open()
            silent = [await connect(server.socket_url) for _ in range(3)]  # they have not said hello
            run_id = uuid4().hex[:8]

            async def write(phone: Device) -> None:
                with contextlib.suppress(ConnectionClosed):
                    for number in range(2000):
                        name = f"{run_id}-{phone.name}-{number}"
                        await phone.send(type="post", room=room, txn_id=name, body="i fart")
                        await asyncio.sleep(0.02)

            writers = [asyncio.create_task(write(phone)) for phone in phones[:3]]
            await asyncio.sleep(0.5)
            start = time.monotonic()
            os.kill(server.process.pid, signal.SIGTERM)
            for phone in phones:
                assert phone._task is not None
                await asyncio.wait_for(phone._task, 12)
            await asyncio.gather(*writers)
            assert [phone.closed_with for phone in phones] == [1012] * 4
            assert [await code_of(phone) for phone in silent] == [1012] * 3
            status = await asyncio.to_thread(server.process.wait, 10)
            assert time.monotonic() - start < 7 + SLACK_S
            assert status == 0 if kind == "daphne" else status in (0, -signal.SIGTERM)
            acknowledged = {f["txn_id"] for phone in phones for f in phone.frames if f["type"] == "posted"}
            assert acknowledged
            stored = rows(
                the_site,
                "SELECT e.txn_id, count(*), count(a.id) FROM rooms_roomevent e LEFT JOIN audit_auditevent a "
                f"ON a.object_id = e.id WHERE e.txn_id LIKE '{run_id}%' GROUP BY e.txn_id",
            )
            assert acknowledged <= {name for name, _, _ in stored}
            assert {(count, records) for _, count, records in stored} == {(1, 1)}

        run(go, server)


def test_a_second_sigterm_does_no_harm(the_site: Site, daphne: Server) -> None:
    with the_site.server("daphne") as server:
        os.kill(server.process.pid, signal.SIGTERM)
        with contextlib.suppress(ProcessLookupError):
            os.kill(server.process.pid, signal.SIGTERM)
        assert server.process.wait(10) == 0
