"""A server as in production, with secrets planted in every setting and in whatever clients send; then all that can go
wrong goes wrong, and the secrets are looked for: in the log, in the answers, in /metrics, in the list of processes."""

import base64
import contextlib
import json
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.gateway.servers import Server, site
from tests.support.leaks import leaks
from tests.support.served import once

pytestmark = [once, pytest.mark.django_db]

TLS = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"}
WRONG = [None, b"", b"{", b"\xff\xfe", b"[]", b'{"a": 1e999}', b'"' + b"x" * 2000]


def planted(what: str) -> str:
    return f"planted-{what}-{secrets.token_urlsafe(16)}"


class Planted:
    """Secrets of an installation, each only here."""

    def __init__(self) -> None:
        self.key = base64.b64encode(secrets.token_bytes(32)).decode()
        self.signing = secrets.token_urlsafe(64)
        self.metrics, self.gateway, self.store, self.mail, self.redis, self.switch = (
            planted(one) for one in ("metrics", "gateway-secret-of-enough-length", "store", "mail", "redis", "switch")
        )
        self.token = secrets.token_hex(32)
        self.words = planted("words")

    @property
    def all(self) -> set[str]:
        return {str(one) for one in vars(self).values()}

    def settings(self) -> dict[str, str]:
        return {
            "MODE": "production",
            "PILOT": "1",
            "SECRET_KEY": self.signing,
            "MASTER_KEYS": f"1:{self.key}",
            "ALLOWED_HOSTS": "127.0.0.1",
            "BEHIND_TLS": "1",
            "TRUSTED_PROXIES": "127.0.0.1",
            "METRICS_TOKEN": self.metrics,
            "HEALTH_NETWORKS": "198.51.100.8/30",
            "GATEWAY_URL": "https://127.0.0.1:1",
            "GATEWAY_SECRET": self.gateway,
            "PUBLIC_URL": "https://samsnakk.example",
            "CALLER_ID": "Samsnakk",
            "AUDIT_STORE": f"postgresql://samsnakk:{self.store}@127.0.0.1:1/store",
            "EMAIL_URL": f"smtp://samsnakk:{self.mail}@127.0.0.1:1",
            "AUDIT_MAIL_TO": "officer@example.org",
            "REDIS_URL": f"redis://:{self.redis}@127.0.0.1:1/0",
            "DEAD_MAN_URL": f"http://127.0.0.1:1/{self.switch}",
            "WATCHDOG": "0",
            "THROTTLE": "1",
            "LOG_LEVEL": "DEBUG",
        }


@pytest.fixture(scope="module")
def secret() -> Planted:
    return Planted()


@pytest.fixture(scope="module")
def server(secret: Planted, django_db_setup: None) -> Iterator[Server]:
    with site(**secret.settings()) as here, here.server() as one:
        yield one


def everything_wrong(server: Server, secret: Planted) -> Iterator[httpx.Response]:
    bearer = {"Authorization": f"Bearer {secret.token}"}
    odd = [
        bearer,
        {"Authorization": f"Alert-Key {secret.token}"},
        {"Authorization": f"Basic {secret.words}"},
        {"Cookie": f"__Host-samsnakk_session={secret.token}; __Host-samsnakk_csrf={secret.words}"},
        {"Cookie": f"{secret.words}"},
        {**bearer, "Origin": f"https://{secret.words}.example"},
        {**bearer, "Host": f"{secret.words}.example"},
        {**bearer, "X-Forwarded-For": secret.words},
        {**bearer, "Accept-Language": secret.words, "Accept": secret.words, "Idempotency-Key": secret.words},
        {**bearer, "Content-Type": secret.words},
        {**bearer, "X-Samsnakk-Signature": secret.words, "X-Samsnakk-Timestamp": "1"},
    ]
    paths = [
        "/api/v1/me",
        f"/api/v1/me?token={secret.token}&{secret.words}",
        f"/api/v1/pages/{secret.token}/accept",
        f"/api/v1/rooms/{secret.words}",
        "/api/v1/notify/callback",
        f"/{secret.words}",
        "/metrics",
        "/health/ready",
    ]
    with httpx.Client(base_url=server.url, verify=False, timeout=30) as client:
        for path in paths:
            for headers in odd:
                yield client.get(path, headers={**TLS, **headers})
        for content in WRONG:
            for path in paths:
                body = None if content is None else content + secret.words.encode()
                yield client.post(path, headers={**TLS, **bearer}, content=body)
        yield client.put(f"/api/v1/alerts/{secret.words}", headers={**TLS, **bearer}, json={"note": secret.words})
        yield client.post("/api/v1/me", headers=TLS, content=secret.words.encode() * 60_000)
        yield client.get("/api/v1/me", headers={**TLS, "X-A": secret.words * 2000})


def bad_sockets(server: Server, secret: Planted) -> None:
    hellos: list[Any] = [
        {"type": "hello", "protocol": 1, "token": secret.token},
        {"type": "hello", "protocol": 1, "alert_key": secret.token},
        {"type": secret.words},
        secret.words,
    ]
    for hello in hellos:
        with contextlib.suppress(ConnectionClosed, InvalidStatus), connect(server.socket_url) as phone:
            phone.send(json.dumps(hello))
            phone.recv(timeout=10)
    with contextlib.suppress(ConnectionClosed, InvalidStatus):
        connect(f"{server.socket_url}?token={secret.token}", origin=f"https://{secret.words}.example")  # type: ignore[arg-type]


def spoil(server: Server) -> None:
    """A fault that is nobody's foreseen one: the database is no database any more."""
    file = Path(server.site.environment["VAR_DIR"]) / "samsnakk.sqlite3"
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with file.open("r+b") as out:
        out.write(b"\x00" * file.stat().st_size)


def test_a_stranger_learns_that_it_is_ready_and_no_more(server: Server, secret: Planted) -> None:
    """Here, with the token, and from a network that is named: the warnings too."""

    def ready(**headers: str) -> set[str]:
        answer = httpx.get(f"{server.url}/health/ready", headers=headers, verify=False)
        assert answer.status_code == 200
        return set(answer.json())

    assert ready() == {"status", "warnings"}, "from this machine"
    assert ready(**{"X-Forwarded-For": "203.0.113.5"}) == {"status"}
    assert ready(**{"X-Forwarded-For": "127.0.0.1"}) == {"status"}, "through a proxy nobody is here"
    assert ready(**{"X-Forwarded-For": "198.51.100.9"}) == {"status", "warnings"}
    token = {"Authorization": f"Bearer {secret.metrics}"}
    assert ready(**{"X-Forwarded-For": "203.0.113.5"}, **token) == {"status", "warnings"}
    assert ready(Via="1.1 somebody") == {"status"}


def test_no_secret_comes_out(server: Server, secret: Planted) -> None:
    said = bytearray()
    statuses = set()
    for round_ in ("as it should be", "with a database that is broken"):
        for answer in everything_wrong(server, secret):
            statuses.add(answer.status_code)
            said += str(answer.headers.multi_items()).encode() + answer.content + b"\n"
            if answer.status_code >= 400 and answer.url.path != "/health/ready":
                assert answer.headers["Content-Type"] == "application/problem+json", answer.content
                assert set(answer.json()) <= {
                    "type",
                    "title",
                    "status",
                    "code",
                    "detail",
                    "errors",
                    "request_id",
                    "numbers",
                }
        bad_sockets(server, secret)
        if round_ == "as it should be":
            assert {200, 400, 401, 404, 405, 413, 431} <= statuses, statuses
            numbers = httpx.get(f"{server.url}/metrics", headers={"Authorization": f"Bearer {secret.metrics}"})
            assert numbers.status_code == 200
            said += numbers.content
            for process in (psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(True)):
                said += " ".join(process.cmdline()).encode() + process.name().encode() + b"\n"
            spoil(server)
    assert statuses & {500, 503}, "something did break"
    log = server.log.read_bytes()
    assert b"request_failed" in log or b"DatabaseError" in log
    for where, text in (("answers", bytes(said)), ("log", log)):
        found = leaks(text, secret.all)
        assert found == [], (where, found)
    for told in (b"Traceback", b"site-packages", b"sqlite3", b"Django", b"daphne", b'File "'):
        assert told.lower() not in bytes(said).lower(), told
