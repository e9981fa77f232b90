"""Are's story, played against a running server through the public API with real sockets (`make story`).

Each step says what happens, each check what must be true; the first that is not stops the story.
"""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from server.operate.players import Frame, Person, Story, Tell

CLOSED_WITHIN_S = 1.0
"""From the withdrawal's answer until the last staff socket has `room.closed` (law 5)."""


class AresStory(Story):
    """Kari, Are, Frida, Vera and Sara; a fresh room each time it is played."""

    def __init__(self, base: str, tell: Tell) -> None:
        super().__init__(tell)
        self.people = {name: Person(name, base) for name in ("are", "kari", "frida", "vera", "sara")}
        self.are, self.kari, self.frida, self.vera, self.sara = self.people.values()
        self.room = ""
        self.consent = ""
        self._log_before = ""

    async def play(self) -> None:
        """The whole story. Raises StoryFailed, or the network's errors."""
        try:
            await asyncio.gather(*(person.sign_in() for person in self.people.values()))
            await self._tidy_up()
            self._log_before = await self._newest_in_log()
            await self._opening()
            await self._consent()
            await self._talk()
            await self._lost_net()
            await self._are_writes()
            await self._sara_joins()
            await self._read()
            await self._withdrawal()
        finally:
            await asyncio.gather(*(person.leave() for person in self.people.values()), return_exceptions=True)

    async def _tidy_up(self) -> None:
        """The story may have been played before: the room is the same one, its sharing has ended."""
        rooms = (await self.are.call("GET", "rooms", expect=200))["results"]
        for room in rooms:
            if room["purpose"] == "coordination" and room["consent"]["state"] in ("active", "requested"):
                await self.are.call("POST", f"consents/{room['consent']['id']}/withdraw", {}, expect=200)
            if room["purpose"] == "coordination":
                await self._all_out(room["id"])

    async def _all_out(self, room: str) -> None:
        members = (await self.are.call("GET", f"rooms/{room}/members", expect=200))["results"]
        for member in members:
            if member["kind"] == "staff":
                await self.are.call("DELETE", f"rooms/{room}/members/{member['id']}", expect=204)
            elif member["participation"] != "following":
                body = {"participation": "following"}
                await self.are.call("PATCH", f"rooms/{room}/members/{member['id']}", body, expect=200)

    async def _opening(self) -> None:
        self.step("Kari opens a room for Are and proposes Frida and Vera")
        for person in self.people.values():
            await person.device.open()
        patients = (await self.kari.call("GET", "patients", expect=200))["results"]
        are = next(one for one in patients if one["user"] == self.are.user)
        body = {"patient": are["id"], "purpose": "coordination", "propose": [self.frida.user, self.vera.user]}
        made = await self.kari.call("POST", "rooms", body, expect=201)
        self.room, self.consent = made["id"], made["consent"]["id"]
        self.check("the room is there, and Are has been asked", made["consent"]["state"] == "requested")
        for person in (self.frida, self.vera):
            rooms = (await person.call("GET", "rooms", expect=200))["results"]
            self.check(f"{person.name} gets nothing", self.room not in {one["id"] for one in rooms})
            await person.call("GET", f"rooms/{self.room}/events", expect=404)
            heard = [frame for frame in person.device.frames if self.room in json.dumps(frame)]
            self.check(f"{person.name}'s socket is silent, and history answers 404", not heard)
        refusal = await self.kari.call(
            "POST", f"rooms/{self.room}/messages", {"txn_id": "early", "body": "Hei"}, expect=403
        )
        self.check("no staff can write: 403 consent_missing", refusal["code"] == "consent_missing")

    async def _consent(self) -> None:
        self.step("Are is asked, reads, and gives consent")
        await self.are.device.wait(lambda f: f["type"] == "room.opened" or self._is(f, "consent"))
        asked = await self.are.call("GET", f"consents/{self.consent}", expect=200)
        words = asked["text"]["first"].split()
        self.check(f"the first screen names everybody, in {len(words)} words", len(asked["asked"]) == 3)
        alone = await self.are.call(
            "POST", f"rooms/{self.room}/messages", {"txn_id": str(uuid4()), "body": "?"}, expect=409
        )
        self.check("until then nobody else could read him: nobody_here", alone["code"] == "nobody_here")
        body = {"text_sha256": asked["text"]["sha256"]}
        given = await self.are.call("POST", f"consents/{self.consent}/give", body, expect=200)
        self.check("the consent is in force", given["state"] == "active")
        for person in (self.kari, self.frida, self.vera):
            await person.device.wait(lambda f: f["type"] == "room.opened" and f["room"] == self.room)
            self.check(f"{person.name} is told", True)
        card = await self.are.call("GET", f"rooms/{self.room}", expect=200)
        self.check("Are follows without taking part", card["participation"] == "following")

    def _is(self, frame: Frame, kind: str) -> bool:
        return frame["type"] == "event" and frame["event"]["room"] == self.room and frame["event"]["type"] == kind

    def _says(self, body: str) -> Callable[[Frame], bool]:
        return lambda frame: self._is(frame, "message") and frame["event"]["content"]["body"] == body

    async def _talk(self) -> None:
        self.step("Kari writes over her socket")
        words = f"Hei alle. Møte 11. november? ({uuid4().hex[:6]})"
        await self.kari.device.send(type="post", room=self.room, txn_id=str(uuid4()), body=words)
        await self.kari.device.wait(lambda f: f["type"] == "posted" and f["room"] == self.room)
        for person in (self.frida, self.vera, self.are):
            await person.device.wait(self._says(words))
            self.check(f"{person.name} has it live", True)

    async def _lost_net(self) -> None:
        self.step("Vera's phone loses the net; three messages pass; she comes back")
        await self.vera.device.drop()
        before = len(self.vera.device.events(self.room))
        sent = [f"nr. {number} {uuid4().hex[:6]}" for number in (1, 2, 3)]
        for person, words in zip((self.kari, self.frida, self.kari), sent, strict=True):
            await person.post(self.room, words)
        await self.vera.device.open()
        missed = [one["content"].get("body") for one in self.vera.device.events(self.room)[before:]]
        self.check("she has exactly those three, in order", missed == sent)

    async def _are_writes(self) -> None:
        self.step("Are writes: «Jeg kan ikke 11. november, kan jeg bytte?»")
        words = f"Jeg kan ikke 11. november, kan jeg bytte? ({uuid4().hex[:6]})"
        await self.are.post(self.room, words)
        await self.kari.device.wait(self._says(words))
        card = await self.are.call("GET", f"rooms/{self.room}", expect=200)
        self.check("he takes part now, by the same act", card["participation"] == "active")

    async def _sara_joins(self) -> None:
        self.step("Sara is proposed; Are extends the consent; she joins")
        await self.kari.call("POST", f"rooms/{self.room}/members", {"user": self.sara.user}, expect=201)
        await self.sara.call("GET", f"rooms/{self.room}/events", expect=404)
        listed = (await self.sara.call("GET", "rooms?limit=200", expect=200))["results"]
        self.check("before that, the room is not among Sara's", self.room not in {one["id"] for one in listed})
        named = [frame for frame in self.sara.device.frames if self.room in json.dumps(frame)]
        self.check("and no frame to her names it", not named)
        await self.are.call("POST", f"consents/{self.consent}/change", {}, expect=200)
        await self.sara.device.wait(lambda f: f["type"] == "room.opened" and f["room"] == self.room)
        page = await self.sara.call("GET", f"rooms/{self.room}/events?after=0", expect=200)
        first = page["results"][0]
        own = first["type"] == "member_joined" and first["content"]["user"] == self.sara.user
        self.check("she sees events from her joining on", own)

    async def _read(self) -> None:
        self.step("Vera reads; Kari sees delivered and read")
        last = (await self.kari.call("GET", f"rooms/{self.room}/events?limit=1", expect=200))["results"][-1]["seq"]
        seen = len(self.kari.device.frames)
        await self.vera.device.send(type="read", room=self.room, seq=last)

        def has_read(frame: Frame) -> bool:
            mine = frame["type"] == "receipt" and frame["room"] == self.room and frame["user"] == self.vera.user
            return mine and frame["read"] >= last

        await self.kari.device.wait(has_read, after=seen)
        found = (await self.kari.call("GET", f"rooms/{self.room}/receipts", expect=200))["results"]
        hers = next(one for one in found if one["user"] == self.vera.user)
        self.check(f"delivered up to {hers['delivered']}, read up to {hers['read']}", hers["delivered"] >= last)

    async def _withdrawal(self) -> None:
        self.step("Are withdraws while Kari is writing")
        staff = (self.kari, self.frida, self.vera, self.sara)
        marks = {person.name: len(person.device.frames) for person in staff}
        racing = str(uuid4())
        withdrawal = self.are.call("POST", f"consents/{self.consent}/withdraw", {}, expect=200)
        post = self.kari.device.send(type="post", room=self.room, txn_id=racing, body="Rekker denne?")

        async def answered() -> float:
            await withdrawal
            return time.monotonic()

        answer, _ = await asyncio.gather(answered(), post)
        closed = (self._closed(person, marks[person.name], answer) for person in staff)
        took, slowest = max(await asyncio.gather(*closed))
        self.check(f"every staff socket got room.closed, {slowest} as the last after {max(took, 0):.2f} s", True)
        await self._race(racing, marks["kari"])
        before_refusals = await self._newest_in_log()
        for person in staff:
            await person.call("GET", f"rooms/{self.room}/events", expect=404)
        self.check("history answers 404 to all of them", True)
        own = await self.are.call("GET", f"rooms/{self.room}/events?limit=500", expect=200)
        self.check(f"Are still reads his own room ({own['head']} events)", len(own["results"]) > 0)
        await self._access_log(before_refusals)

    async def _closed(self, person: Person, after: int, answer: float) -> tuple[float, str]:
        """Seconds from the withdrawal's answer until this device had `room.closed`, and whose it is. Raises
        StoryFailed beyond `CLOSED_WITHIN_S`."""
        await person.device.wait(
            lambda f: f["type"] == "room.closed" and f["room"] == self.room,
            after=after,
            patience_s=answer + CLOSED_WITHIN_S - time.monotonic(),
        )
        return time.monotonic() - answer, person.name

    async def _race(self, txn_id: str, after: int) -> None:
        def outcome(frame: Frame) -> bool:
            return txn_id in (frame.get("txn_id"), frame.get("ref"))

        verdict = await self.kari.device.wait(outcome, after=after)
        events = (await self.are.call("GET", f"rooms/{self.room}/events?limit=20", expect=200))["results"]
        ends = [e["seq"] for e in events if e["type"] == "consent" and e["content"]["act"] == "withdrawn"]
        if verdict["type"] == "posted":
            self.check("the racing post has the lower seq", verdict["seq"] < ends[-1])
        else:
            self.check(f"the racing post got {verdict.get('code')}", verdict.get("code") in ("not_found", "ended"))
            words = [e["content"].get("body") for e in events]
            self.check("the racing post was refused: nobody has received it", "Rekker denne?" not in words[-3:])

    async def _newest_in_log(self) -> str:
        """The newest row of Are's access log; ids rise with time."""
        rows = (await self.are.call("GET", "me/access-log?limit=1", expect=200))["results"]
        return str(rows[0]["id"]) if rows else ""

    async def _since(self, before: str) -> list[dict[str, Any]]:
        """What his log says of this room after the row `before`."""
        log: list[dict[str, Any]] = []
        path: str | None = "me/access-log?limit=200"
        while path:
            page = await self.are.call("GET", path, expect=200)
            new = [line for line in page["results"] if line["id"] > before]
            log += new
            more = page["next"] and len(new) == len(page["results"])
            path = page["next"].split("/api/v1/", 1)[1] if more else None
        return [line for line in log if line["room"] == self.room]

    async def _access_log(self, before_refusals: str) -> None:
        staff = {person.user for person in (self.kari, self.frida, self.vera, self.sara)}
        looks = [
            line
            for line in await self._since(self._log_before)
            if line["outcome"] == "success" and (line["type"].endswith(".viewed") or line["type"] == "room.followed")
        ]
        who = {line["who"]["user"] for line in looks}
        self.check(f"in his access log stands everybody who has looked this time ({len(looks)} looks)", staff <= who)
        refused = [line for line in await self._since(before_refusals) if line["outcome"] == "refused"]
        turned_away = {line["who"]["user"] for line in refused if line["type"] == "events.viewed"}
        self.check(f"and everybody who was turned away after it ({len(refused)} refusals)", staff <= turned_away)


async def play(base: str, tell: Tell) -> int:
    """Play it against `base` (`http://host:port`). Returns how many checks held; raises StoryFailed."""
    story = AresStory(base, tell)
    await story.play()
    return story.checks
