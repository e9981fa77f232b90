"""The two bases of tests that meet the demo town, and the people in it.

`TownTestCase` rolls back and is for REST alone. `TownTransactionTestCase` commits for real: for threads, sockets,
workers and everything that happens after a commit; its tests may be `async def` (then call the helpers in `setUp`, or
through `asgiref.sync.sync_to_async`).
"""

import itertools
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import hypothesis.extra.django
from django.test import TestCase, TransactionTestCase
from rest_framework.test import APIClient

from server.audit.models import AuditEvent
from server.people.demo import build_town
from server.people.models import Engagement, Patient, User
from server.vault import actions as vault
from tests.support import database

API = "/api/v1/"
JSON = dict[str, Any]


class Client(APIClient):
    """Somebody's session. Paths are given from `/api/v1/` on.

    Every answer is looked at: a failure is problem+json with a code, never a 500 (unless the test `expects_500`).
    """

    username = ""
    token = ""
    user_id: UUID
    expects_500 = False

    def __init__(self, **defaults: Any) -> None:
        super().__init__(raise_request_exception=False, **defaults)

    def request(self, **kwargs: Any) -> Any:
        response = super().request(**kwargs)
        assert response.headers["X-Request-ID"], "every answer carries its id"
        if response.status_code >= 400:
            assert response.headers["Content-Type"] == "application/problem+json", response.headers["Content-Type"]
            document = response.json()
            assert document["code"], document
            assert document["status"] == response.status_code, document
            assert self.expects_500 or response.status_code != 500, document
        return response

    def generic(self, method: str, path: Any, *args: Any, **kwargs: Any) -> Any:
        full = path if path.startswith("/") or "://" in path else API + path
        return super().generic(method, full, *args, **kwargs)

    def __deepcopy__(self, memo: JSON) -> "Client":
        """The same session, on another phone."""
        other = Client()
        other.username, other.token, other.user_id = self.username, self.token, self.user_id
        other.expects_500, other._credentials = self.expects_500, dict(self._credentials)
        memo[id(self)] = other
        return other

    def ok(self, method: str, path: str, data: Any = None, **kwargs: Any) -> Any:
        """Do it, expect success, and return what was answered."""
        response = getattr(self, method)(path, data, **kwargs)
        assert response.status_code < 300, (method, path, response.status_code, response.content)
        return response.json() if response.content else None


@dataclass(frozen=True)
class Opened:
    """A room as its opener got it."""

    id: UUID
    consent: UUID

    @property
    def path(self) -> str:
        return f"rooms/{self.id}"

    @property
    def asks(self) -> str:
        return f"consents/{self.consent}"


class Town:
    """Helpers in the words of the story; mixed into both bases."""

    _clients: dict[str, Client]
    _numbers: "itertools.count[int]"

    def _arrive(self) -> None:
        self._clients, self._numbers = {}, itertools.count(1)
        vault.forget_keys()

    # --- people ---
    def sign_in(self, username: str) -> Client:
        """A new session of a persona."""
        client = Client()
        answer = client.post("demo/sign-in", {"persona": username})
        assert answer.status_code == 200, answer.content
        said = answer.json()
        client.username, client.token, client.user_id = username, said["token"], UUID(said["user"])
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {client.token}")
        return client

    def person(self, username: str) -> Client:
        """The persona's session of this test: signed in the first time they are named."""
        if username not in self._clients:
            self._clients[username] = self.sign_in(username)
        return self._clients[username]

    def user_id(self, username: str) -> UUID:
        return User.objects.values_list("id", flat=True).get(username=username)

    def patient_id(self, username: str = "are") -> UUID:
        return Patient.objects.values_list("id", flat=True).get(user__username=username)

    def engagement_of(self, username: str) -> Engagement:
        return Engagement.objects.select_related("unit__controller", "user").get(user__username=username, ended_at=None)

    # --- rooms ---
    def open_room(
        self,
        by: str = "kari",
        *,
        patient: str = "are",
        propose: Sequence[str] = ("frida", "vera"),
        purpose: str = "coordination",
    ) -> Opened:
        """`by` opens a room for `patient` and proposes people; nobody has answered yet."""
        said = self.person(by).ok(
            "post",
            "rooms",
            {
                "patient": str(self.patient_id(patient)),
                "purpose": purpose,
                "propose": [str(self.user_id(one)) for one in propose],
            },
        )
        return Opened(UUID(said["id"]), UUID(said["consent"]["id"]))

    def give(self, room: Opened, by: str = "are", *, to: Sequence[str] | None = None) -> JSON:
        """The patient says yes: to everybody asked for, or to `to`."""
        return self.answer(room, "give", by, to=to)

    def change(self, room: Opened, by: str = "are", *, to: Sequence[str] | None = None) -> JSON:
        """The patient lets in whoever waits as well, or `to` and nobody else."""
        return self.answer(room, "change", by, to=to)

    def withdraw(self, room: Opened, by: str = "are") -> JSON:
        return self.answer(room, "withdraw", by)

    def answer(self, room: Opened, verb: str, by: str = "are", *, to: Sequence[str] | None = None) -> JSON:
        said = {"grantees": [str(self.user_id(one)) for one in to]} if to is not None else {}
        told: JSON = self.person(by).ok("post", f"{room.asks}/{verb}", said)
        return told

    def open_shared_room(self, by: str = "kari", **more: Any) -> Opened:
        """A room with consent given."""
        room = self.open_room(by, **more)
        self.give(room, more.get("patient", "are"))
        return room

    def post(self, room: Opened, by: str, body: str = "hei", **more: Any) -> JSON:
        """Write a message; the event."""
        said = {"txn_id": f"t{next(self._numbers)}", "body": body, **more}
        event: JSON = self.person(by).ok("post", f"{room.path}/messages", said)
        return event

    def propose(self, room: Opened, by: str, whom: str) -> JSON:
        member: JSON = self.person(by).ok("post", f"{room.path}/members", {"user": str(self.user_id(whom))})
        return member

    def members(self, room: Opened, by: str = "are") -> dict[str, JSON]:
        """Members by username."""
        names = {str(id_): name for id_, name in User.objects.values_list("id", "username")}
        return {names[one["user"]]: one for one in self.person(by).ok("get", f"{room.path}/members")["results"]}

    def events(self, room: Opened, by: str = "are", after: int = 0) -> list[JSON]:
        """Everything they may see after a cursor, all pages."""
        found: list[JSON] = []
        address: str | None = f"{room.path}/events?after={after}&limit=100"
        while address:
            page = self.person(by).ok("get", address)
            found, address = found + page["results"], page["next"]
        return found

    def audit(self, **conditions: Any) -> list[AuditEvent]:
        return list(AuditEvent.objects.filter(**conditions).order_by("id"))


class TownTestCase(Town, TestCase):
    """Rolls back after each test; the town is loaded once per class. For REST: nothing is committed, so what happens
    after a commit is seen with `captureOnCommitCallbacks` only, and other threads see nothing."""

    _found: JSON

    def given(self) -> None:
        """What each test of the class finds done, in the database and on itself: acts through the API, and attributes
        that can be copied. It is done once for all of them, by another instance, so it starts nothing that ends with a
        test (patches, settings): that is for `setUp`."""

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        database.load_town(build_town)
        first = cls()
        nothing = set(vars(first))
        first._arrive()
        first._numbers = itertools.count(10_001)  # no test's own
        first.given()
        vault.forget_keys()
        cls._found = {name: value for name, value in vars(first).items() if name not in nothing | {"_numbers"}}

    def setUp(self) -> None:
        super().setUp()
        self._arrive()
        vars(self).update(deepcopy(self._found))

    def tearDown(self) -> None:
        vault.forget_keys()
        super().tearDown()


class TownPropertyTestCase(Town, hypothesis.extra.django.TestCase):
    """As `TownTestCase`, for tests with `@given`: each example starts from the town. Call `_arrive()` first."""

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        database.load_town(build_town)

    def teardown_example(self, example: Any) -> None:
        vault.forget_keys()
        super().teardown_example(example)


class TownTransactionTestCase(Town, TransactionTestCase):
    """Commits for real, on both engines; the town is loaded before each test and everything is emptied after it."""

    def setUp(self) -> None:
        super().setUp()
        database.load_town(build_town)
        self._arrive()
