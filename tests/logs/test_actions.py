"""Law 9 inside the process: every action is made to fail with messages that quote content."""

from collections.abc import Callable
from typing import Any
from unittest import mock

import structlog
from django.db import DataError, IntegrityError, OperationalError, connection

import server.audit.actions as audit
import server.consent.actions as consents
import server.people.actions as people
import server.rooms.actions as rooms
from server.audit.entry import SYSTEM
from server.common.clock import now
from server.people.actors import acting_for
from server.people.models import Agreement, Controller, Engagement, Officer, Patient
from tests.base import Client, Opened, TownTransactionTestCase
from tests.support.leaks import UNKNOWN, Writer, captured, leaks, told_of_patients


class Failing:
    """The log cannot be written: every action fails inside its transaction, with a message that quotes content."""

    def __init__(self, kind: Callable[[str], BaseException], secret: str) -> None:
        self.kind, self.secret = kind, secret
        self.reached: set[str] = set()

    def __call__(self, table: str, columns: Any, rows: Any, **how: Any) -> Any:
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
        acting = _acting(kari)
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
            lambda: rooms.ask_for(
                acting=acting, room=rooms.Room.objects.get(id=self.room.id), engagements=[acting.engagement]
            ),
        ]

    def test_nothing_is_quoted(self) -> None:
        requests, verbs = self.requests(), self.verbs()
        reached: set[str] = set()
        with captured() as stream:
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
        with captured() as stream:
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


def _acting(engagement: Engagement) -> Any:
    return acting_for(engagement, sign_in="demo", at=now())
