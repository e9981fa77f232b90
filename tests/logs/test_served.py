"""Law 9 with the whole product in a process of its own: two engines serve the whole story and what goes wrong around
it, at debug level; the database's own log is searched too."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from server.operate.story import AresStory
from tests.support import plain
from tests.support.leaks import NUMBER, Writer, leaks, told_of_patients
from tests.support.served import Served, environment, once, serve
from tools.servers import PrivatePostgres


def play_story(server: Served) -> set[str]:
    """Are's story; the bodies that anybody wrote in it."""
    story = AresStory(server.url, lambda line: None)
    asyncio.run(story.play())
    assert story.checks > 20
    bodies = set()
    for person in story.people.values():
        events = [frame["event"] for frame in person.device.frames if frame["type"] == "event"]
        bodies |= {event["content"]["body"] for event in events if event["content"].get("body")}
    assert len(bodies) >= 5
    return {body for body in bodies if len(body) >= 6} | {person.token for person in story.people.values()}


class Around(Writer):
    """What the story leaves out: every other field that holds content, and everything a client can get wrong."""

    def __init__(self, server: Served) -> None:
        super().__init__()
        self.server = server
        self.tokens: dict[str, str] = {}
        self.users: dict[str, str] = {}
        for name in ("kari", "sara", "trine"):
            said = plain.post(f"{server.url}/api/v1/demo/sign-in", json={"persona": name}).json()
            self.tokens[name], self.users[name] = said["token"], said["user"]

    def call(
        self, who: str, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str
    ) -> Any:
        answer = plain.request(
            method,
            f"{self.server.url}/api/v1/{path}",
            content=raw if raw is not None else None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.tokens[who]}",
                "Content-Type": "application/json",
                **headers,
            },
        )
        assert answer.status_code != 500, answer.text
        self.status = answer.status_code
        return answer.json() if answer.content else None

    def play(self) -> set[str]:
        self._register()
        room, consent = self._room()
        self._messages(room)
        self._bad_requests(room, consent)
        self._bad_frames(room)
        self.call("trine", "POST", f"consents/{consent}/withdraw", {"remark": self.words("angreren")})
        self.call("kari", "POST", f"rooms/{room}/messages", {"txn_id": uuid4().hex, "body": self.words("for sent")})
        assert self.status == 404
        return self.secrets | set(self.tokens.values())

    def _register(self) -> None:
        patient = {
            "name": self.words("navn"),
            "national_identity_number": "02497910180",  # Trine's: an old acquaintance
            "phone": "+4740000009",
            "safe_contact": {"may_call": True, "others_may_answer": self.words("andre")},
            "relation": {"kind": "follow_up", "reason": self.words("grunn")},
        }
        self.secrets |= {"+4740000009", "40000009", NUMBER}
        self.call("kari", "POST", "patients", patient)
        assert self.status in (200, 201)
        for number in (NUMBER, "14438810197", "1" * 11, self.words("nummer")):
            self.call("sara", "POST", "patients", {**patient, "national_identity_number": number})
        self.call("sara", "POST", "patients", {**patient, "phone": self.words("telefon")})
        assert self.status == 400

    def _room(self) -> tuple[str, str]:
        known = self.call("kari", "GET", "patients")["results"]
        trine = next(one for one in known if one["user"] == self.users["trine"])
        made = self.call(
            "kari",
            "POST",
            "rooms",
            {"patient": trine["id"], "purpose": "crisis_plan", "propose": [self.users["sara"]]},
        )
        consent = made["consent"]["id"]
        self.call("trine", "POST", f"consents/{consent}/give", {"remark": self.words("samtykke")})
        assert self.status == 200
        self.call("trine", "GET", f"consents/{consent}/history")
        return made["id"], consent

    def _messages(self, room: str) -> None:
        messages = f"rooms/{room}/messages"
        first = {"txn_id": uuid4().hex, "body": self.words("avtale"), "kind": "agreed"}
        event = self.call("kari", "POST", messages, first)
        self.call("kari", "POST", messages, first)
        self.call("kari", "POST", messages, {**first, "body": self.words("gjenbruk")})
        assert self.status == 409
        self.call("kari", "POST", f"rooms/{room}/events/{event['seq']}/edit", {"body": self.words("rettet")})
        self.call("kari", "POST", f"rooms/{room}/events/{event['seq']}/retract")
        self.call("kari", "POST", f"rooms/{room}/events/{event['seq']}/edit", {"body": self.words("trukket")})
        assert self.status == 409
        once = {"txn_id": uuid4().hex, "body": self.words("nøkkel")}
        for body in (once, once, {**once, "body": self.words("annen nøkkel")}):
            self.call(
                "kari", "POST", messages, body, **{"Idempotency-Key": "en-nøkkel".encode("ascii", "ignore").decode()}
            )
        self.call("sara", "GET", f"rooms/{room}/events?after=0")

    def _bad_requests(self, room: str, consent: str) -> None:
        messages, words = f"rooms/{room}/messages", self.words("feil")
        for body in (
            words,
            [words],
            {"txn_id": words, "body": {"x": words}},
            {"txn_id": [words], "body": words},
            {"txn_id": "1", "body": words * 200},
            {"txn_id": "1", "body": f"{words}\x00"},
            {"txn_id": "1", "body": words, "kind": words},
            {"txn_id": "1", "body": words, "reply_to": words},
            {"txn_id": "1", "body": words, "reply_to": 10**30},
            {words: words},
        ):
            self.call("kari", "POST", messages, body)
            assert self.status == 400, body
        for raw in (
            words.encode(),
            b'{"body": "' + words.encode(),
            b'"\\ud800' + words.encode() + b'"',
            words.encode("utf-16"),
        ):
            self.call("kari", "POST", messages, raw=raw)
            assert self.status == 400
        self.call("kari", "POST", messages, raw=json.dumps({"body": words * 30_000}).encode())
        assert self.status in (400, 413)
        self.call("kari", "POST", messages, raw=words.encode(), **{"Content-Type": "text/plain"})
        self.call("kari", "POST", messages, {"txn_id": "1", "body": words}, **{"Idempotency-Key": "x" * 300})
        self.call("kari", "GET", f"rooms/{room}/events?after={quote(words)}")
        self.call("kari", "GET", f"rooms/{quote(words)}")
        self.call("kari", "GET", f"patients?cursor={quote(words)}")
        self.call("trine", "POST", f"consents/{consent}/change", {"grantees": [words], "remark": words * 100})
        assert self.status == 400
        self.call("trine", "PATCH", "me", {"language": words})

    def _bad_frames(self, room: str) -> None:
        words, token = self.words("ramme"), self.tokens["kari"]
        hello = json.dumps({"type": "hello", "protocol": 1, "token": token})
        secret_frames: list[str | bytes] = [
            json.dumps({"type": "post", "room": room, "txn_id": uuid4().hex, "body": self.words("fra socket")}),
            json.dumps({"type": "post", "room": room, "txn_id": words, "body": {"x": words}}),
            json.dumps({"type": "post", "room": words, "txn_id": "1", "body": words}),
            json.dumps({"type": words, "body": words}),
            json.dumps({"type": "post", "room": room, "txn_id": "1", "body": words, "kind": words}),
            json.dumps({"type": "post", "room": str(uuid4()), "txn_id": "1", "body": words}),
            words,
            json.dumps([words]),
            words.encode(),
            json.dumps({"type": "post", "body": words * 20_000}),
        ]
        for first in (hello, words, json.dumps({"type": "hello", "protocol": 1, "token": words})):
            for frame in secret_frames:
                # Most are answered with a close code, which is what they deserve.
                with suppress(ConnectionClosed, TimeoutError), connect(self.server.ws, max_size=None) as socket:
                    for text in (first, frame, json.dumps({"type": "ping"})):
                        socket.send(text)
                    while json.loads(socket.recv(5))["type"] != "pong":
                        pass


def play_everything(server: Served) -> set[str]:
    return told_of_patients() | play_story(server) | Around(server).play()


@once
@pytest.mark.prove
def test_served_on_sqlite(tmp_path: Path) -> None:
    env = environment(tmp_path, MODE="demo", LOG_LEVEL="DEBUG", THROTTLE="0")
    with serve(tmp_path, env) as server:
        secrets = play_everything(server)
    said = server.log.read_bytes()
    assert said.count(b'"event": "request"') > 50, "it did log"
    assert leaks(said, secrets) == []


@once
def test_served_on_postgresql_with_everything_in_its_log(tmp_path: Path) -> None:
    """`log_statement=all`: statements and bound parameters of every length, those of failing statements too."""
    settings_ = {
        "log_parameter_max_length": "-1",
        "log_parameter_max_length_on_error": "-1",
        "log_error_verbosity": "verbose",
    }
    with PrivatePostgres(settings=settings_) as postgres:
        env = environment(tmp_path, MODE="demo", LOG_LEVEL="DEBUG", THROTTLE="0", DATABASE_URL=postgres.url)
        with serve(tmp_path, env) as server:
            secrets = play_everything(server)
        database, said = postgres.log_path.read_bytes(), server.log.read_bytes()
    for sign in (b"INSERT INTO", b"ERROR", b"arameters: $1 = '"):
        assert sign in database, "it did log"
    assert leaks(said, secrets) == []
    assert leaks(database, secrets) == []
