"""Every frame that shows something of a room: whoever is in gets each of them, whoever is out gets none, however their
access ended (law 5)."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from unittest import mock
from uuid import uuid4

from server.audit.entry import SYSTEM
from server.gateway import jobs
from server.gateway.app import TYPING_S, Gateway
from server.people import actions as people
from server.people.models import Agreement, Unit, User
from tests.base import Client
from tests.exposure.asks import Content
from tests.exposure.paths import HEARD, SAID
from tests.gateway.driver import SLACK_S, GatewayTestCase, Phone, quiet
from tests.gateway.test_talk import post
from tests.support.served import sqlite_only

pytestmark = sqlite_only

STAFF = ("kari", "frida", "vera", "sara", "mona", "nils", "ida")
STRANGERS = ("ola", "admin", "trine")
TRIES = 5
"""A sign of typing may be dropped while the room is being read; it is then said again."""
OF_ONES_OWN = ("error", "room.closed")
"""Of an id that the client named itself, and the same for one that is nobody's room."""


@dataclass
class Outside:
    """Somebody who is out, with a socket open; `since`: how many frames had come by then."""

    who: str
    case: str
    phone: Phone
    since: int = 0


class Sockets(GatewayTestCase):
    """All are let in with their sockets open, and lose the room one after the other; the patient stays."""

    shared = False

    def setUp(self) -> None:
        super().setUp()
        self.room = self.open_room(propose=STAFF[1:])
        for who in (*STAFF, *STRANGERS, "are"):
            self.person(who)
        self.inside: dict[str, Phone] = {}
        self.outside: list[Outside] = []
        self.words: list[str] = []
        self.faults: list[str] = []
        self.met: set[str] = set()
        self.said = {"hello"}

    async def test_what_reaches_whom(self) -> None:
        """Red when a follow outlives its permit, when a hello brings what may not be seen, or when a mark, a post or a
        sign of typing is taken from somebody who is out."""
        async with self.gateway() as gateway:
            self.inside = {who: await self.phone(gateway, who) for who in (*STAFF, "are")}
            self.outside = [Outside(who, "stranger", await self.phone(gateway, who)) for who in STRANGERS]
            await self.rest(self.give, self.room)
            for who in STAFF:
                await self.inside[who].wait("room.opened")
            await self.talk()
            await self.resume(gateway, "frida")
            await self.lose("excluded", lambda: self.exclude("ida"), "ida")
            await self.lose("unit excluded", lambda: self.exclude_unit_of("nils"), "nils")
            await self.lose("left", lambda: self.leave("sara"), "sara")
            await self.lose("narrowed", lambda: self.change(self.room, to=["kari", "frida", "vera"]), "mona")
            await self.lose("engagement ended", self.end_engagement, "vera")
            await self.talk()
            await self.lose("agreement ended", self.end_agreement, "frida")
            await self.talk()
            await self.ask_from_outside()
            await self.emergency("frida")
            await self.lose("withdrawn", lambda: self.withdraw(self.room), "kari")
            await self.rest(self.life_goes_on)
            await self.ask_from_outside()
            await quiet(self.inside["are"], 2)
            for one in self.outside:
                self.look_through(one)
            await self.resume(gateway, "are")
            for one in self.outside:
                await self.resume_outside(gateway, one)
        for phone in self.inside.values():
            self.meet(phone)
        assert not self.faults, f"{len(self.faults)} faults:\n" + "\n".join(self.faults)
        for met, table in ((self.met, HEARD), (self.said, SAID)):
            content = {name for name, one in table.items() if isinstance(one, Content)}
            assert met >= content, f"not met: {sorted(content - met)}"

    # --- what happens in the room ---
    async def talk(self) -> None:
        """Are writes, Kari reads and types: everybody who is in gets all of it."""
        are, kari = self.inside["are"], self.inside["kari"]
        before = {who: len(phone.frames) for who, phone in self.inside.items()}
        self.words.append(f"hemmelig {uuid4().hex}")
        post(are, self.room, self.words[-1])
        posted = await are.wait("posted", after=before["are"])
        for phone in self.inside.values():
            await phone.has(self.room, posted["seq"])
        for kind in ("delivered", "read"):
            kari.say(type=kind, room=str(self.room.id), seq=posted["seq"])
        for who, phone in self.inside.items():
            await phone.wait(lambda f: f["type"] == "receipt" and f["read"] == posted["seq"], after=before[who])
        for _ in range(TRIES):
            kari.say(type="typing", room=str(self.room.id))
            with suppress(AssertionError):
                await are.wait("typing", patience_s=TYPING_S + 0.1)
                return

    def life_goes_on(self) -> None:
        """What the patient can still do alone."""
        own = self.members(self.room)["are"]["id"]
        for way in ("away", "following"):
            self.person("are").ok("patch", f"{self.room.path}/members/{own}", {"participation": way})

    # --- losing it ---
    async def lose(self, case: str, end: Callable[[], object], *who: str) -> None:
        before = {one: len(self.inside[one].frames) for one in who}
        await self.rest(end)
        for one in who:
            phone = self.inside.pop(one)
            self.meet(phone)
            if case == "engagement ended":
                await phone.until_closed(1 + SLACK_S)
            else:
                await phone.wait("room.closed", after=before[one], patience_s=1 + SLACK_S)
            self.outside.append(Outside(one, case, phone, len(phone.frames)))

    def exclude(self, who: str) -> None:
        self.person("are").ok("post", "exclusions", {"user": str(self.user_id(who))})

    def exclude_unit_of(self, who: str) -> None:
        unit = str(self.engagement_of(who).unit_id)
        self.person("are").ok("post", f"{self.room.asks}/change", {"excluded_units": [unit]})

    def leave(self, who: str) -> None:
        self.person(who).ok("delete", f"{self.room.path}/members/{self.members(self.room)[who]['id']}")

    def end_engagement(self) -> None:
        people.end_engagement(engagement_id=self.engagement_of("vera").id, actor=SYSTEM, reason="left")

    def end_agreement(self) -> None:
        people.end_agreement(agreement_id=Agreement.objects.get().id, actor=SYSTEM, reason="expired")

    async def emergency(self, who: str) -> None:
        """Somebody who was out reads under emergency access, until the patient excludes them."""
        [before] = [one for one in self.outside if one.who == who]
        self.outside.remove(before)
        phone = before.phone
        self.look_through(before)
        said = {"ground": "life_danger", "reason": "funnet bevisstløs"}
        await self.rest(lambda: self.person(who).ok("post", f"{self.room.path}/emergency-access", said))
        await phone.wait("room.opened")
        assert self.words[0] in phone.bodies(self.room)
        self.inside[who] = phone
        await self.lose("excluded from emergency access", lambda: self.exclude(who), who)

    # --- asking from outside ---
    async def ask_from_outside(self) -> None:
        """Each frame about the room is answered as one about a room that does not exist."""
        for one in self.outside:
            if one.phone.closed is None:
                real, nothing = [await self._answers(one.phone, room) for room in (str(self.room.id), str(uuid4()))]
                if real != nothing or any(code != "not_found" for code in real):
                    self.faults.append(f"- {one.case}, {one.who}: answered {real}, of nothing {nothing}")

    async def _answers(self, phone: Phone, room: str) -> list[str]:
        since, name = len(phone.frames), uuid4().hex
        for frame in (
            {"type": "typing"},
            {"type": "delivered", "seq": 1},
            {"type": "read", "seq": 1},
            {"type": "post", "txn_id": name, "body": f"hemmelig {name}"},
        ):
            phone.say(room=room, **frame)
            self.said.add(str(frame["type"]))
        self.words.append(f"hemmelig {name}")
        await phone.wait(lambda frame: frame.get("ref") == name, after=since)
        await phone.wait(lambda frame: frame.get("ref") == room, after=since)
        return [frame["code"] for frame in phone.frames[since:] if frame["type"] == "error"]

    # --- looking ---
    def meet(self, phone: Phone) -> None:
        """What a socket of somebody who is in was sent of the room."""
        self.met |= {frame["type"] for frame in phone.frames if str(self.room.id) in json.dumps(frame)}

    def look_through(self, one: Outside) -> None:
        """Nothing of the room has come since they were out."""
        for frame in one.phone.frames[one.since :]:
            text = json.dumps(frame, ensure_ascii=False)
            words = [word for word in self.words if word in text]
            if words or (str(self.room.id) in text and frame["type"] not in OF_ONES_OWN):
                self.faults.append(f"- {one.case}, {one.who}: was sent {text}")

    async def resume(self, gateway: Gateway, who: str) -> None:
        """A fresh socket of somebody who is in catches up, or is told that the gap is too large."""
        cursors = {str(self.room.id): 0}
        phone = await self.phone(gateway, who, cursors)
        assert self.words[0] in phone.bodies(self.room)
        self.meet(phone)
        with mock.patch.object(jobs, "CATCH_UP_EVENTS", 1):
            phone = await self.phone(gateway, who, cursors)
        assert phone.of("limited")
        self.meet(phone)

    async def resume_outside(self, gateway: Gateway, one: Outside) -> None:
        """A fresh socket that asks for the room is answered as about one that does not exist."""
        person = await self.rest(self.anew if one.phone.closed else self.person, one.who)
        nothing = str(uuid4())
        for most in (jobs.CATCH_UP_EVENTS, 1):
            with mock.patch.object(jobs, "CATCH_UP_EVENTS", most):
                phone = await self.connect(gateway)
                await phone.hello(person.token, {str(self.room.id): 0, nothing: 0})
            closed = {frame["room"]: frame["reason"] for frame in phone.of("room.closed")}
            if closed != {str(self.room.id): "not_open", nothing: "not_open"}:
                self.faults.append(f"- {one.case}, {one.who}: a hello is told {closed}")
            self.look_through(Outside(one.who, f"{one.case}, a hello", phone))

    def anew(self, who: str) -> Client:
        """A new session of somebody whose engagement has ended, for one elsewhere."""
        unit = Unit.objects.get(name="Holmen psykisk helse")
        user = User.objects.get(username=who)
        people.engage(user=user, unit=unit, role="sykepleier", health_personnel=True, actor=SYSTEM)
        return self.sign_in(who)
