"""Law 9: nothing that was written or told stands in any log, whatever fails, at debug level, in the database's own log.

Two engines serve the whole story and what goes wrong around it; inside the process every action is made to fail with
messages that quote content.
"""

import asyncio
import base64
import io
import json
import logging
import logging.config
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
import structlog
from django.conf import settings
from django.db import DataError, IntegrityError, OperationalError, connection
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import server.audit.actions as audit
import server.consent.actions as consents
import server.people.actions as people
import server.rooms.actions as rooms
from server.audit.entry import SYSTEM
from server.common.logs import frames_only, logging_config, quiet_hooks
from server.operate.story import AresStory
from server.people.demo import town
from server.people.models import Agreement, Controller, Engagement, Officer, Patient
from tests.base import Client, Opened, TownTransactionTestCase
from tests.support.served import Served, environment, once, serve
from tools.servers import PrivatePostgres

NUMBER = "13486040011"
UNKNOWN = "13486040283"
"""Synthetic national identity numbers that nobody in the demo town has."""


def told_of_patients() -> set[str]:
    """Everything the demo town tells of its patients."""
    found = set()
    for one in town()["patients"]:
        found |= {one["name"], one["name"].split()[-1], one["number"], one["phone"], one["phone"].removeprefix("+47")}
        found |= {relation["reason"] for relation in one["relations"] if len(relation["reason"]) > 10}
        found |= {one["safe_contact"]["others_may_answer"]} - {""}
    return found


def disguises(secret: str) -> set[bytes]:
    """The forms in which a log might show a text: as it is, escaped, quoted, in hexadecimal, in base64."""
    raw = secret.encode()
    escaped = {json.dumps(secret)[1:-1], repr(secret)[1:-1], ascii(secret)[1:-1], repr(raw)[2:-1], quote(secret)}
    whole = base64.b64encode(raw).rstrip(b"=")[:-1]  # the last character depends on what follows
    return {raw, raw.hex().encode(), whole, *(one.encode() for one in escaped)}


def leaks(log: bytes, secrets: set[str]) -> list[tuple[str, str]]:
    """Secrets that stand in the log, each with the line."""
    assert all(len(secret) >= 6 for secret in secrets), "too short to search for"
    found = []
    for secret in secrets:
        for form in disguises(secret):
            at = log.find(form)
            if at >= 0:
                found.append((secret, log[max(0, at - 200) : at + 200].decode(errors="replace")))
                break
    return found


class Writer:
    """Whatever it says is remembered as a secret."""

    def __init__(self) -> None:
        self.secrets: set[str] = set()

    def words(self, about: str) -> str:
        secret = f"hemmelig om {about} æøå {uuid4().hex}"
        self.secrets.add(secret)
        return secret


# --- the whole product in a process of its own --------------------------------------------------------------


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
            said = httpx.post(f"{server.url}/api/v1/demo/sign-in", json={"persona": name}).json()
            self.tokens[name], self.users[name] = said["token"], said["user"]

    def call(
        self, who: str, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str
    ) -> Any:
        answer = httpx.request(
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


def test_leaks_are_found() -> None:
    """The search itself: every disguise is seen through."""
    secret = "hemmelig æøå 12345"
    for form in (secret, json.dumps(secret), repr(secret.encode()), secret.encode().hex(), quote(secret)):
        assert leaks(f"before {form} after".encode(), {secret}), form
    assert leaks(base64.b64encode(secret.encode()), {secret})
    assert leaks(b"nothing here", {secret}) == []


# --- an exception inside every action -------------------------------------------------------------------------


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything the product's own logging says, at debug level."""
    with _captured() as stream:
        yield stream


class _captured:  # noqa: N801 - reads as what it is where it is used
    """The product's configuration, writing into memory."""

    def __enter__(self) -> io.StringIO:
        self.stream = io.StringIO()
        config = logging_config(level="DEBUG", style="json")
        config["handlers"]["stderr"] |= {"class": "logging.StreamHandler", "stream": self.stream}
        logging.config.dictConfig(config)
        return self.stream

    def __exit__(self, *_: object) -> None:
        logging.config.dictConfig(settings.LOGGING)


class Failing:
    """The log cannot be written: every action fails inside its transaction, with a message that quotes content."""

    def __init__(self, kind: Callable[[str], BaseException], secret: str) -> None:
        self.kind, self.secret = kind, secret
        self.reached: set[str] = set()

    def __call__(self, table: str, columns: Any, rows: Any) -> Any:
        self.reached |= {row[columns.index("type")] for row in rows}
        local = self.secret  # would stand in a traceback with locals
        try:
            raise ValueError(f"inner {local}")
        except ValueError as inner:
            raise self.kind(f"outer {local}") from inner


KINDS: list[Callable[[str], BaseException]] = [
    RuntimeError,
    IntegrityError,
    DataError,
    OperationalError,
    lambda text: UnicodeEncodeError("ascii", text, 0, 1, text),
    KeyError,
    lambda text: ExceptionGroup(text, [ValueError(text)]),
]


class ExceptionInsideEveryAction(TownTransactionTestCase):
    """Through the API where there is a way, else as a worker would call it."""

    def setUp(self) -> None:
        super().setUp()
        self.writer = Writer()
        self.room: Opened = self.open_shared_room()
        self.asked: Opened = self.open_room(purpose="transition")
        self.seq = self.post(self.room, "kari", self.writer.words("første"))["seq"]
        self.propose(self.room, "kari", "sara")
        self.person("frida")
        for client in self._clients.values():
            client.expects_500 = True

    def words(self, about: str) -> str:
        return self.writer.words(about)

    def requests(self) -> list[tuple[str, str, str, Any]]:
        """Who, verb, path, body: one for each action that REST reaches."""
        room, seq = self.room.path, self.seq
        members = {name: one["id"] for name, one in self.members(self.room).items()}
        patient = {
            "name": self.words("navn"),
            "national_identity_number": UNKNOWN,
            "relation": {"kind": "follow_up", "reason": self.words("grunn")},
        }
        return [
            ("kari", "post", "rooms", {"patient": str(self.patient_id("trine")), "propose": []}),
            ("kari", "post", f"{room}/members", {"user": str(self.user_id("mona"))}),
            ("are", "delete", f"{room}/members/{members['vera']}", None),
            ("are", "patch", f"{room}/members/{members['are']}", {"participation": "away"}),
            ("are", "post", f"{room}/messages", {"txn_id": "a", "body": self.words("følger")}),
            ("kari", "post", f"{room}/messages", {"txn_id": "k", "body": self.words("melding")}),
            ("kari", "post", f"{room}/events/{seq}/edit", {"body": self.words("rettet")}),
            ("kari", "post", f"{room}/events/{seq}/retract", None),
            ("kari", "get", f"{room}/events", None),
            ("kari", "get", room, None),
            ("kari", "get", f"{room}/members", None),
            ("kari", "get", f"{room}/receipts", None),
            ("frida", "get", f"{self.asked.path}/events", None),  # a refusal that cannot be recorded
            ("are", "get", self.asked.asks, None),
            ("are", "get", f"{self.asked.asks}/history", None),
            ("are", "post", f"{self.asked.asks}/give", {"remark": self.words("ja")}),
            ("are", "post", f"{self.asked.asks}/decline", {"remark": self.words("nei")}),
            ("are", "post", f"{self.room.asks}/change", {"remark": self.words("endret")}),
            ("are", "post", f"{self.room.asks}/withdraw", {"remark": self.words("trukket")}),
            ("kari", "post", "patients", patient),
            ("kari", "get", "patients", None),
            ("kari", "get", f"patients/{self.patient_id('are')}", None),
            ("are", "patch", "me", {"language": "nn"}),
            ("are", "get", "me/access-log", None),
            ("kari", "post", "me/engagement", {"engagement": str(self.engagement_of("kari").id)}),
            ("kari", "post", "me/sign-out", None),
        ]

    def verbs(self) -> list[Callable[[], Any]]:
        """Actions that no address reaches: commands and workers call them."""
        kari = self.engagement_of("kari")
        user = kari.user
        controllers = list(Controller.objects.all()[:2])
        name = self.words("navn")
        agreement, officer = Agreement.objects.get(), Officer.objects.all()[0]
        relation = Patient.objects.get(user__username="are").relations.filter(unit=kari.unit)[0]
        acting = people_acting(kari)
        return [
            lambda: people.register_controller(name=name, org_number="313000109", actor=SYSTEM),
            lambda: people.register_agreement(title=name, controllers=controllers, actor=SYSTEM),
            lambda: people.end_agreement(agreement_id=agreement.id, actor=SYSTEM, reason="test"),
            lambda: people.engage(user=user, unit=kari.unit, role="x", health_personnel=False, actor=SYSTEM),
            lambda: people.end_engagement(engagement_id=kari.id, actor=SYSTEM, reason="test"),
            lambda: people.appoint_officer(user=user, controller=controllers[0], actor=SYSTEM),
            lambda: people.end_appointment(officer_id=officer.id, actor=SYSTEM, reason="test"),
            lambda: people.deactivate_user(user_id=user.id, actor=SYSTEM, reason="test"),
            lambda: people.end_relation(acting=acting, relation_id=relation.id, reason="test"),
            lambda: people.record_relation(
                acting=acting, patient=relation.patient, kind="social", reason=self.words("grunn")
            ),
            lambda: people.open_account(patient=Patient.objects.get(user__username="are"), user=user, actor=SYSTEM),
            lambda: consents.leave_out(acting=acting, room_id=self.room.id, person_id=self.user_id("sara")),
            lambda: rooms.ask_for(acting=acting, room=rooms.Room.objects.get(id=self.room.id)),
        ]

    def test_nothing_is_quoted(self) -> None:
        requests, verbs = self.requests(), self.verbs()
        reached: set[str] = set()
        with _captured() as stream:
            for kind in KINDS:
                failing = Failing(kind, self.words("unntak"))
                with mock.patch.object(audit, "insert", failing):
                    for who, verb, path, body in requests:
                        client: Client = self.person(who)
                        answer = getattr(client, verb)(path, body)
                        assert answer.status_code in (500, 503, 409), (verb, path, answer.status_code)
                        assert leaks(answer.content, self.writer.secrets) == []
                    for action in verbs:
                        self.as_a_worker(action)
                reached |= failing.reached
            said = stream.getvalue()
        assert said.count("request_failed") > len(requests), "it did log"
        assert len(reached) > 25, sorted(reached)
        assert leaks(said.encode(), self.writer.secrets | told_of_patients()) == []

    def as_a_worker(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - as the supervisor of the loops does
            structlog.get_logger("server.operate.loops").error("loop_failed", loop="test", exc_info=error)

    def test_real_faults_of_the_database(self) -> None:
        """Unique violations, values too long, broken constraints: a database's message quotes the row."""
        secret = self.words("rad")
        user = self.engagement_of("kari").user
        statements: list[tuple[str, list[Any]]] = [
            ("INSERT INTO people_user (id, username) SELECT id, %s FROM people_user", [secret]),
            ("UPDATE people_user SET username = %s", [secret]),
            ("UPDATE people_user SET name = NULL, username = %s", [secret]),
            ("SELECT * FROM nothing_of_this_name WHERE x = %s", [secret]),
            (f"SELECT '{secret}' FROM nowhere_at_all", []),
            ("UPDATE rooms_roomevent SET txn_id = %s", [secret]),
        ]
        with _captured() as stream:
            for sql, values in statements:

                def fail(*_: Any, sql: str = sql, values: list[Any] = values, **__: Any) -> None:
                    with connection.cursor() as cursor:
                        cursor.execute(sql, values)

                with mock.patch.object(audit, "insert", fail):
                    answer = self.person("kari").post(f"{self.room.path}/members", {"user": str(self.user_id("mona"))})
                assert answer.status_code in (500, 503), sql
                assert leaks(answer.content, {secret}) == []
            said = stream.getvalue()
        assert said.count("request_failed") >= 4
        assert leaks(said.encode(), self.writer.secrets) == []
        assert Engagement.objects.filter(user=user).exists()


def people_acting(engagement: Engagement) -> Any:
    from server.common.clock import now  # noqa: PLC0415
    from server.people.actors import acting_for  # noqa: PLC0415

    return acting_for(engagement, sign_in="demo", at=now())


# --- what other libraries, and Python itself, say ----------------------------------------------------------------

SECRET = "hemmelig fra et bibliotek æøå"


@pytest.mark.parametrize(
    "name", ["asyncio", "twisted", "django", "django.request", "websockets.server", "autobahn", "x.y"]
)
@pytest.mark.parametrize("level", [logging.DEBUG, logging.ERROR])
def test_a_library_that_says_too_much(log: io.StringIO, name: str, level: int) -> None:
    """A template stays; its arguments, an exception's message, and what stands behind the first line do not."""
    library = logging.getLogger(name)
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        library.log(level, "failed: %s", error, exc_info=True)
        library.log(level, "failed: %s", error)
        library.log(level, f"Task exception was never retrieved\nfuture: {error!r}", exc_info=error)
        library.log(level, error, exc_info=True)
        library.log(level, "%(body)s", {"body": SECRET})
    assert leaks(log.getvalue().encode(), {SECRET}) == []


def test_a_task_nobody_waits_for(log: io.StringIO) -> None:
    async def forgotten() -> None:
        async def fails() -> None:
            raise ValueError(SECRET)

        loop = asyncio.get_running_loop()
        loop.create_task(fails())  # noqa: RUF006 - forgotten is what it is about
        loop.call_soon(lambda: 1 / len(SECRET[:0]))
        await asyncio.sleep(0.01)
        loop.call_exception_handler({"message": "odd", "exception": ValueError(SECRET)})

    asyncio.run(forgotten())
    assert "message withheld" in log.getvalue()
    assert leaks(log.getvalue().encode(), {SECRET}) == []


def test_frames_stand_in_for_messages() -> None:
    try:
        raise ValueError(SECRET)
    except ValueError:
        event = frames_only(None, "error", {"event": "x", "exc_info": True})
    assert event["exception"] == "ValueError"
    assert len(event["frames"]) == 1
    assert SECRET not in json.dumps(event)


def test_python_itself(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that die, exceptions nobody can catch, and the last one of all are told without their messages."""
    import sys  # noqa: PLC0415

    for where, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(where, name, getattr(where, name))
    quiet_hooks()

    def dies() -> None:
        raise ValueError(SECRET)

    thread = threading.Thread(target=dies, name="loop-test")
    thread.start()
    thread.join()

    class Odd:
        def __del__(self) -> None:
            raise ValueError(SECRET)

    Odd()
    try:
        dies()
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    said = log.getvalue()
    assert said.count('"exception": "ValueError"') == 3
    assert leaks(said.encode(), {SECRET}) == []
