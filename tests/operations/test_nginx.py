"""deploy/nginx/nginx.conf in the real nginx, before two server processes."""

import asyncio
import contextlib
import json
import re
import secrets
import socket
import ssl
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.faults.stage import Somebody
from tests.operations.site import HOST, Site, access_log, error_log, trusting
from tests.support import plain
from tests.support.served import once

pytestmark = once

SECURITY = (
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "Referrer-Policy",
    "Content-Security-Policy",
    "Cache-Control",
    "X-Request-ID",
)


def shake_hands(site: Site, name: str | None, version: ssl.TLSVersion | None = None) -> str:
    context = trusting(site)
    if version is not None:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore"):  # old ones, which is the point
            context.minimum_version = context.maximum_version = version
    if name is None:
        context.check_hostname = False
    with (
        socket.create_connection(("127.0.0.1", site.https), timeout=5) as raw,
        context.wrap_socket(raw, server_hostname=name) as wrapped,
    ):
        return str(wrapped.version())


def test_tls(site: Site) -> None:
    assert shake_hands(site, HOST) == "TLSv1.3"
    assert shake_hands(site, HOST, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    for name, version in ((HOST, ssl.TLSVersion.TLSv1_1), (None, None), ("other.example", None)):
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            shake_hands(site, name, version)
    with site.client() as client:
        elsewhere = client.get("/api/v1/me", headers={"Host": "other.example"})
        assert elsewhere.status_code == 421


def test_without_tls_one_is_sent_there_and_nothing_is_taken(site: Site) -> None:
    address = f"http://127.0.0.1:{site.http}/api/v1/me?x=1"
    answer = plain.get(address)
    assert (answer.status_code, answer.headers["Location"]) == (301, f"{site.base}/api/v1/me?x=1")
    assert plain.post(address, json={}).status_code == 403


def test_headers_are_there_once_whoever_answers(site: Site) -> None:
    """Red when nginx adds what the server has said already, or forgets it where it answers itself."""
    with site.client(site.rooms[0].patient) as client:
        ours, theirs = client.get("/api/v1/me"), client.get("/metrics")
        assert (ours.status_code, theirs.status_code) == (200, 404)
        for answer in (ours, theirs):
            for name in SECURITY:
                assert len(answer.headers.get_list(name)) == 1, (name, answer.url)
            assert "/" not in answer.headers["Server"], "no version"
        assert theirs.headers["Content-Type"] == "application/problem+json"
        assert theirs.json()["code"] == "not_found"


def test_metrics_are_closed_whatever_is_said(site: Site) -> None:
    token = {"Authorization": "Bearer a-token-for-this-test-alone"}
    assert b"samsnakk_" in site.direct(0, "/metrics", **token).content
    with site.client() as client:
        for path in ("/metrics", "//metrics", "/%6detrics", "/health/../metrics", "/metrics?x=1"):
            answer = client.get(path, headers={**token, "X-Forwarded-For": "127.0.0.1"})
            assert answer.status_code == 404, path
            assert b"samsnakk_" not in answer.content, path


async def talk(site: Site, who: Somebody, room: str, body: str) -> dict[str, Any]:
    async with connect(site.socket_url, ssl=trusting(site), compression=None) as phone:
        await phone.send(json.dumps({"type": "hello", "protocol": 1, "token": who.token, "cursors": {}}))
        said = {"type": "post", "room": room, "txn_id": secrets.token_hex(8), "body": body}
        async with asyncio.timeout(30):
            while True:
                frame: dict[str, Any] = json.loads(await phone.recv())
                if frame["type"] == "synced":
                    await phone.send(json.dumps(said))
                if frame["type"] == "event" and frame["event"]["type"] == "message":
                    return frame["event"]


def test_messages_over_the_socket(site: Site) -> None:
    room = site.rooms[0]
    heard = asyncio.run(talk(site, room.staff[0], room.id, "Hei gjennom nginx"))
    assert heard["content"]["body"] == "Hei gjennom nginx"
    with site.client(room.patient) as client:
        newest = client.get(f"/api/v1/rooms/{room.id}/events?after={heard['seq'] - 1}").json()["results"]
        assert newest[0]["content"]["body"] == "Hei gjennom nginx"


def test_no_other_address_is_upgraded(site: Site) -> None:
    async def refused(path: str) -> int:
        with pytest.raises(InvalidStatus) as refusal:
            await connect(site.base.replace("https", "wss") + path, ssl=trusting(site))
        return int(refusal.value.response.status_code)

    for path in ("/api/v1/me", "/ws/v2"):
        assert asyncio.run(refused(path)) in (401, 403, 404), path


def test_what_is_too_large(site: Site) -> None:
    room = site.rooms[1]
    with site.client(room.patient) as client:
        path = f"/api/v1/rooms/{room.id}/messages"
        large = client.post(path, content=b"x" * (1024 * 1024 + 1), headers={"Content-Type": "application/json"})
        assert (large.status_code, large.json()["code"]) == (413, "too_large")
        headers = client.get("/api/v1/me", headers={"X-Large": "x" * 9000})
        assert (headers.status_code, headers.json()["code"]) == (431, "too_large")
        # Just below the limit it gets there, and stands in no file of nginx's.
        below = client.post(path, content=b"x" * (1024 * 1024 - 10), headers={"Content-Type": "application/json"})
        assert below.json()["code"] != "too_large" or "request_id" in below.json(), "the server's own answer"
    assert [path for path in (site.nginx.folder / "lib").rglob("*") if path.is_file()] == []


def burst(
    site: Site, count: int, method: str, path: str, source: str = "127.0.0.1", **headers: str
) -> list[httpx.Response]:
    """So many requests as fast as they go, each with an address of its own if `{}` is in it."""
    transport = httpx.HTTPTransport(verify=trusting(site), local_address=source)
    with httpx.Client(base_url=site.base, transport=transport, headers=headers, timeout=30) as client:

        def ask(_: int) -> httpx.Response:
            return client.request(method, path.replace("{}", str(uuid4())), json={} if method != "GET" else None)

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(ask, range(count)))


def test_requests_are_limited_and_calls_for_help_are_not(site: Site) -> None:
    """Red when a limit holds up a press, an answer to a page, or what a gateway calls back."""
    limited = [one for one in burst(site, 160, "GET", "/api/v1/me", "127.0.0.2") if one.status_code == 429]
    assert limited
    for one in limited:
        assert one.json()["code"] == "too_many"
        assert one.headers["Retry-After"] == "1"
    for method, path in (
        ("PUT", "/api/v1/alerts/{}"),
        ("POST", f"/api/v1/pages/{secrets.token_urlsafe(24)}/accept"),
        ("POST", "/api/v1/notify/callback"),
    ):
        answers = burst(site, 100, method, path, "127.0.0.3")
        # What is not signed by the gateway the server itself counts; its own answers have more in them.
        assert all(one.status_code in (400, 401, 403, 404) or "request_id" in one.json() for one in answers), path


def test_refreshing_does_not_wait_for_those_who_sign_in(site: Site) -> None:
    """Red when a hospital's telephones are signed out by whoever knocks from its address."""
    knocked = [one.status_code for one in burst(site, 25, "GET", "/api/v1/sign-in/providers", "127.0.0.10")]
    assert set(knocked) == {200, 429}
    went_on = [one.status_code for one in burst(site, 25, "POST", "/api/v1/sign-in/refresh", "127.0.0.10")]
    assert set(went_on) == {401}


def left(answer: httpx.Response) -> int:
    """How much of a limit of its address the server says that somebody has left."""
    assert answer.status_code in (200, 404), answer.text
    [found] = re.findall(r"r=(\d+)", answer.headers["RateLimit"])
    return int(found)


def test_the_server_knows_its_clients_by_nginx_alone(site: Site) -> None:
    """Red when nginx passes on what clients say of themselves, and when the server believes anybody but nginx."""
    path, liar = "/api/v1/audit/checkpoint", {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
    [first, second] = (left(burst(site, 1, "GET", path, "127.0.0.5", **said)[0]) for said in ({}, liar))
    assert second == first - 1, "whatever it says, it is counted as who it is"
    other = left(burst(site, 1, "GET", path, "127.0.0.6")[0])
    assert other > second
    port = site.servers[0].instance

    def directly(source: str, said: str) -> int:
        with httpx.Client(transport=httpx.HTTPTransport(local_address=source)) as client:
            address = f"http://127.0.0.1:{port}{path}"
            named = {"Host": HOST, "X-Forwarded-For": said, "X-Forwarded-Proto": "https"}
            answer = client.get(address, headers=named)
        return left(answer) if answer.status_code != 301 else -1

    assert directly("127.0.0.1", "127.0.0.5") == second - 1, "the named proxy is believed"
    assert directly("127.0.0.8", "127.0.0.5") == -1, "anybody else is not: nor that it came over TLS"


def test_connections_are_limited(site: Site) -> None:
    async def crowd() -> list[int]:
        async with contextlib.AsyncExitStack() as keep:
            found = []
            for _ in range(26):
                opening = connect(site.socket_url, ssl=trusting(site), local_addr=("127.0.0.4", 0))
                try:
                    await keep.enter_async_context(opening)
                    found.append(101)
                except InvalidStatus as refusal:
                    found.append(refusal.response.status_code)
            return found

    assert asyncio.run(crowd()) == [101] * 20 + [429] * 6


def test_nothing_secret_is_logged(site: Site) -> None:
    """No query, no token, no identifier, no whole address: in the access log, nor in that of errors."""
    secret = secrets.token_hex(16)
    with site.client() as client:
        for path in (
            f"/api/v1/pages/{secret}/receipt",
            f"/api/v1/on-call/feeds/{secret}/shifts.ics",
            f"/api/v1/me?token={secret}",
            f"/{secret}",
            f"/api/v1/{secret}",
        ):
            client.get(path, headers={"Authorization": f"Bearer {secret}", "Referer": f"https://x.example/{secret}"})
    lines = access_log(site)
    assert {"/api/v1/pages", "/api/v1/on-call", "/api/v1/me", "/ws/v1", "-"} <= {line["asked"] for line in lines}
    assert all(str(line["network"]).endswith(".0") for line in lines)
    assert any(line["id"] for line in lines)
    logged = (site.nginx.folder / "log" / "access.log").read_text() + error_log(site)
    assert secret not in logged
    assert all(room.id not in logged and room.patient.token not in logged for room in site.rooms)


def test_a_process_that_is_gone_is_nobodys_trouble(site: Site) -> None:
    """It answers what it has been asked before it ends; then requests go to the other one (passive health)."""
    gone, room = site.servers[0], site.rooms[2]
    with ThreadPoolExecutor(1) as pool, site.database.connect("samsnakk") as superuser:
        with superuser.transaction():
            superuser.execute("SELECT 1 FROM rooms_room WHERE id = %s FOR UPDATE", [room.id])
            body = {"txn_id": secrets.token_hex(8), "body": "under arbeid"}
            address = f"http://127.0.0.1:{gone.instance}/api/v1/rooms/{room.id}/messages"
            said = {**room.patient.headers, "Host": HOST, "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https"}
            asked = pool.submit(plain.post, address, json=body, headers=said, timeout=30)
            waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            while superuser.execute(waits).fetchone() == (0,) and not asked.done():
                time.sleep(0.02)
            assert gone.process is not None
            gone.process.terminate()
            time.sleep(1.0)  # it drains: it has no sockets, and this one request
        assert asked.result().status_code == 201, "committed, and told so"
    assert gone.process.wait(30) == 0
    try:
        with site.client(site.rooms[2].patient) as client:
            assert [client.get("/api/v1/me").status_code for _ in range(12)] == [200] * 12
            for _ in range(4):
                posted = client.post(
                    f"/api/v1/rooms/{room.id}/messages", json={"txn_id": secrets.token_hex(8), "body": "hei"}
                )
                assert posted.status_code == 201, "not asked yet, so it is passed on"
    finally:
        gone.start()
        site.wait_ready(0)
