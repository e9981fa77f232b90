"""A room with everything in it, the people in it and around it, and how each of them asks for what the table has."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from rest_framework.test import APIClient

from server.audit.entry import SYSTEM
from server.audit.models import AuditEvent
from server.audit.verify import WIDTH, tile_path
from server.common.clock import now
from server.common.ids import new_id
from server.common.sql import rfc3339
from server.duties import actions as duties
from server.duties.models import Kind
from server.people import actions as people
from server.people.actors import acting_for
from server.people.demo import personas, town
from server.people.models import Patient, User
from server.review import lines
from server.review.models import Finding
from server.rooms.models import Member
from tests.audit.sealing import Log
from tests.base import API, Client, Opened, Town
from tests.exposure.asks import MEMBERS, OFFICER, OUTSIDE, OWN_MESSAGE, PATIENT, RELATED, STAFF, Ask, Content, Plain
from tests.exposure.paths import ROUTES

INSIDE = ("kari", "frida", "vera")
"""Kari has opened the room and has a relation to the patient, Frida was proposed and has one, Vera was proposed and has
none."""
RELATED_STAFF = frozenset({"kari", "frida", "mona", "sara"})
"""All of them health personnel."""

Ids = dict[str, str]


@dataclass(frozen=True)
class Path:
    """One request of the table; `number` among those of its route."""

    route: str
    number: int
    ask: Ask = field(compare=False)

    @property
    def method(self) -> str:
        return self.route.split(" ")[0]

    def address(self, ids: Ids) -> str:
        found: str = fill(self.route.split(" ")[1], ids)
        return f"{found}?{fill(self.ask.query, ids)}" if self.ask.query else found


def paths_of(kind: type[Content] | type[Plain]) -> list[Path]:
    return [
        Path(route, number, ask)
        for route, one in ROUTES.items()
        if isinstance(one, kind)
        for number, ask in enumerate(one.asks)
    ]


def fits(ask: Ask, who: str) -> bool:
    """Whether this person is allowed the request: a member while they are in, the others as they are."""
    if who == "are":
        return ask.by in (MEMBERS, PATIENT)
    if who not in INSIDE:
        return ask.by == {"sara": OUTSIDE, "ola": OFFICER}.get(who)
    return ask.by in (MEMBERS, STAFF) or (ask.by == RELATED and who in RELATED_STAFF)


def fill(template: Any, ids: Ids) -> Any:
    """The template with each `{name}` put in; a number stays one."""
    if isinstance(template, str):
        if template in ("{head}", "{said_by_asker}"):
            return int(ids[template[1:-1]])
        return re.sub(r"\{(\w+)\}", lambda found: ids[found[1]], template)
    if isinstance(template, dict):
        return {key: fill(value, ids) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, ids) for value in template]
    return template


@dataclass(frozen=True)
class Answer:
    """What somebody got. `kind` is the code of a refusal, else what of the room is in it: `shown`, `waiting` (the card
    of a room as new) or `absent`."""

    kind: str
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def said(self) -> str:
        """Everything that could hold something."""
        return self.body.decode(errors="replace") + json.dumps(self.headers)

    @property
    def compared(self) -> tuple[Any, ...]:
        """All but the id of the request; the common 404 has none."""
        if self.status == 404:
            return self.status, self.body, self.headers
        headers = {name: value for name, value in self.headers.items() if name != "Content-Length"}
        return self.status, re.sub(rb',?"(?:request_id|instance)":"[^"]*"', b"", self.body), headers

    def __str__(self) -> str:
        return f"{self.status} {self.kind} {self.body[:300].decode(errors='replace')}"


@contextmanager
def undone() -> Iterator[None]:
    """What is done here has never been: requests of a walk do not disturb each other."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


class Stage(Town):
    """Are's room: Kari, Frida and Vera are in; Nils is proposed and the patient has not answered; Mona's unit has a
    relation, and she has asked for the room herself and waits; Sara is her colleague."""

    def __init__(self) -> None:
        self._arrive()
        self.keys: dict[tuple[str, Path], tuple[Ids, str]] = {}
        self.room: Opened = self.open_shared_room()
        self.words = {name: f"hemmelig, sagt av {name} {new_id().hex}" for name in (*INSIDE, "are")}
        self.more = {name: f"hemmelig, mer av {name} {new_id().hex}" for name in personas()}
        self.said = {name: str(self.post(self.room, name, words)["seq"]) for name, words in self.words.items()}
        self.propose(self.room, "kari", "nils")
        self._relate("mona")
        self.person("mona").ok("post", "rooms", {"patient": str(self.patient_id()), "propose": []})
        self._owe()
        self.log = Log()
        self.sealed = self.log.seal().size
        while lines.follow():
            pass
        self.ids = self._ids()
        ours = {
            "room_id",
            "consent_id",
            "duty_id",
            "event_id",
            *(name for name in self.ids if name.startswith("member_of_")),
        }
        self.missing = {
            name: str(new_id()) if name in ours | {"patient_id"} else value for name, value in self.ids.items()
        }
        hidden = {self.ids[name] for name in (ours - {"event_id"}) | {"remark", "patient_name"}}
        self.codes = frozenset(self.ids[name] for name in ours)
        """Ids of what is there: officers know them, and nothing of what was written."""
        self.secrets = hidden | set(self.words.values()) | {self.more[who] for who in (*INSIDE, "are")}

    def __deepcopy__(self, memo: object) -> "Stage":
        return self  # Django copies what a class has prepared before each test; this one remembers nothing of a test

    def _relate(self, who: str) -> None:
        """Their unit gets a relation to the patient."""
        people.record_relation(
            acting=acting_for(self.engagement_of(who), sign_in="demo", at=now()),
            patient=Patient.objects.get(id=self.patient_id()),
            kind="treatment",
            reason="henvist",
        )

    def _owe(self) -> None:
        """The patient is told of something in the room."""
        patient = Patient.objects.get(id=self.patient_id())
        self.duty = duties.owe(
            kind=Kind.CONSENT_ENDING,
            user_id=self.user_id("are"),
            patient=patient,
            room_id=self.room.id,
            object_id=self.room.consent,
            actor=SYSTEM,
        )

    def _found(self) -> UUID:
        """The log is asked about what Mona did."""
        mona, at = self.engagement_of("mona"), now()
        made = Finding.objects.create(
            controller_id=mona.unit.controller_id,
            kind="self_granted",
            case=f"self_granted/{mona.user_id}",
            key=f"self_granted/{mona.user_id}",
            actor_id=mona.user_id,
            subject_id=self.patient_id(),
            events=[str(self._event_of("mona"))],
            first_at=at,
            last_at=at,
            due_at=at,
            parameters={"hours": 24},
        )
        return made.id

    def _ids(self) -> Ids:
        patient = next(one for one in town()["patients"] if one["username"] == "are")
        members = Member.objects.filter(room_id=self.room.id).values_list("user__username", "id")
        return {
            "room_id": str(self.room.id),
            "consent_id": str(self.room.consent),
            "patient_id": str(self.patient_id()),
            "patient_name": patient["name"],
            "number": patient["number"],
            "duty_id": str(self.duty.id),
            "event_id": str(self._event_of("mona")),
            "bundle": tile_path("entries", 0, min(WIDTH, self.sealed)).removeprefix("entries/"),
            "ground_id": str(new_id()),
            "access_id": str(new_id()),
            "finding_id": str(self._found()),
            "export_id": str(new_id()),
            "shield_id": str(new_id()),
            "head": str(self.head()),
            "past": rfc3339(now() - timedelta(minutes=1)),
            "soon": rfc3339(now() + timedelta(days=1)),
            "digest": hashlib.sha256(b"scan").hexdigest(),
            "remark": f"hemmelig merknad {new_id().hex}",
            **{f"member_of_{name}": str(id_) for name, id_ in members},
            **{f"user_of_{name}": str(id_) for name, id_ in User.objects.values_list("username", "id")},
            **{f"words_of_{name}": words for name, words in self.words.items()},
        }

    def _event_of(self, who: str) -> UUID:
        """What the log says of something they did about the room."""
        found = AuditEvent.objects.filter(actor_id=self.user_id(who), room_id=self.room.id)
        return found.order_by("id").values_list("id", flat=True)[0]

    def head(self) -> int:
        head: int = self.person("are").ok("get", self.room.path)["head"]
        return head

    def ids_for(self, who: str, ids: Ids) -> Ids:
        """The names as this person uses them; whoever has no message or membership here tries another's."""
        engagement = User.objects.get(username=who).engagements.order_by("valid_from").first()
        return {
            **ids,
            "user_of_asker": ids[f"user_of_{who}"],
            "member_of_asker": ids.get(f"member_of_{who}", ids["member_of_vera"]),
            "engagement_of_asker": str(engagement.id if engagement else new_id()),
            "words_of_asker": self.words.get(who, self.words["kari"]),
            "more_words": self.more[who],
            "said_by_asker": self.said.get(who, self.said["kari"]),
            "fresh": new_id().hex,
        }

    # --- asking ---
    def ask(self, client: Client, path: Path, ids: Ids, *, key: str = "") -> Answer:
        """The request, as it would be made; `key` is an `Idempotency-Key`."""
        ids = self._with(path, ids)
        body, method = fill(path.ask.body, ids), "get" if path.method == "ANY" else path.method.lower()
        data = {} if body is None and method != "get" else body
        headers = {"Idempotency-Key": key} if key else {}
        client.expects_500 = True  # told as a fault, with the others
        return self._read(getattr(client, method)(path.address(ids), data, headers=headers))

    def prepare(self, client: Client, path: Path, ids: Ids) -> Ids:
        """Do, by `client`, what has to be done first; the names, with what came of it."""
        first = path.ask.first
        if first is None:
            return ids
        path = Path(first.route, 0, Ask(body=first.body, use=first.use, first=first.first))
        ids = self.prepare(client, path, ids)
        before = self.ask(client, path, ids)
        made = before.status < 300 and first.into
        return {**ids, first.into: json.loads(before.body)["id"]} if made else ids

    def ask_bare(self, client: Client, method: str, path: Path, ids: Ids) -> Answer:
        """HEAD or OPTIONS of the same address; `Client` expects a body with every refusal."""
        address = path.address(self._with(path, ids))
        plain = APIClient(raise_request_exception=False)
        plain.credentials(HTTP_AUTHORIZATION=f"Bearer {client.token}")
        return self._read(plain.generic(method, f"/{API}{address}"))

    def _with(self, path: Path, ids: Ids) -> Ids:
        return {**ids, **{name: str(fill(value, ids)) for name, value in path.ask.use.items()}}

    def _read(self, response: Any) -> Answer:
        body = b"".join(response) if response.streaming else response.content
        headers = {name: value for name, value in response.headers.items() if name != "X-Request-ID"}
        return Answer(self._kind(response.status_code, body), response.status_code, body, headers)

    def _kind(self, status: int, body: bytes) -> str:
        if status == 401:
            return "unauthenticated"
        if status >= 400:
            return str(json.loads(body)["code"]) if body else str(status)
        if b'"waiting":true' in body:
            return "waiting"
        return "shown" if status == 204 or str(self.room.id).encode() in body else "absent"

    def remember(self, who: str) -> None:
        """Make every POST with an `Idempotency-Key`, for good; none that lets somebody in for a reason of its own."""
        for path in paths_of(Content):
            if path.method == "POST" and fits(path.ask, who) and not path.ask.by_relation:
                ids, key = self.ids_for(who, self.ids), new_id().hex
                if path.ask.use is OWN_MESSAGE:  # another for each: one that was taken back cannot be corrected
                    ids["said_by_asker"] = str(self.post(self.room, who, f"{self.words[who]} igjen")["seq"])
                self.prepare(self.person(who), path, ids)
                answer = self.ask(self.person(who), path, ids, key=key)
                assert answer.status < 300, (path, str(answer))
                self.keys[who, path] = ids, key
