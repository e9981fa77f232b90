"""Are's story and the night before it, against a real server through the public API."""

import asyncio
import os
import subprocess
import sys
from uuid import uuid4

from server.operate.players import Person
from server.operate.story import play
from tests.gateway.driver import SLACK_S
from tests.gateway.servers import ROOT, Server
from tests.support.served import once


def test_ares_story(served: Server) -> None:
    lines: list[str] = []
    checks = asyncio.run(play(served.url, lines.append))
    assert checks == sum("✓" in line for line in lines) >= 25
    assert sum(line.startswith("\n•") for line in lines) == 8


def test_it_can_be_played_again_by_the_command(served: Server) -> None:
    """The room is the same one, its sharing has ended and is asked for anew."""
    command = [sys.executable, "manage.py", "story", "--url", served.url]
    environment = {**os.environ, "MODE": "demo", "VAR_DIR": served.site.environment["VAR_DIR"]}
    told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90)
    assert told.returncode == 0, told.stderr
    assert "checks held." in told.stdout


@once
def test_without_a_server_it_says_so_in_one_line(served: Server) -> None:
    command = [sys.executable, "manage.py", "story", "--url", "http://127.0.0.1:9"]
    environment = {**os.environ, "MODE": "demo", "VAR_DIR": served.site.environment["VAR_DIR"]}
    told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert told.returncode == 1
    assert len(told.stderr.strip().splitlines()) == 1
    assert "make run" in told.stderr


class TheNightBefore:
    """Trine cannot sleep. Sara has asked her; nobody has been told anything; nothing she does is lost or overheard."""

    def __init__(self, base: str) -> None:
        self.trine, self.sara, self.kari = (Person(name, base) for name in ("trine", "sara", "kari"))

    async def play(self) -> None:
        people = (self.trine, self.sara, self.kari)
        try:
            for person in people:
                await person.sign_in()
            await self._asked()
            await self._says_no()
            await self._changes_her_mind()
            await self._stays_away_and_comes_back()
            await self._looks_who_looked()
        finally:
            await asyncio.gather(*(person.leave() for person in people), return_exceptions=True)

    async def _asked(self) -> None:
        patients = (await self.sara.call("GET", "patients", expect=200))["results"]
        patient = next(one["id"] for one in patients if one["user"] == self.trine.user)
        body = {"patient": patient, "purpose": "coordination", "propose": []}
        made = await self.sara.call("POST", "rooms", body, expect=201)
        self.room, self.consent = made["id"], made["consent"]["id"]
        await self.trine.device.open()
        asked = await self.trine.call("GET", f"consents/{self.consent}", expect=200)
        assert [one["user"] for one in asked["asked"]] == [self.sara.user]

    async def _says_no(self) -> None:
        declined = await self.trine.call(
            "POST", f"consents/{self.consent}/decline", {"remark": "Ikke i natt"}, expect=200
        )
        assert declined["state"] == "declined"
        alone = {"txn_id": "night", "body": "Er det noen våken?"}
        refused = await self.trine.call("POST", f"rooms/{self.room}/messages", alone, expect=409)
        assert refused["code"] == "nobody_here", "no false promise that somebody reads it"
        await self.sara.call("GET", f"rooms/{self.room}/events", expect=403)
        for path in (f"rooms/{self.room}", f"consents/{self.consent}"):
            await self.kari.call("GET", path, expect=404)

    async def _changes_her_mind(self) -> None:
        await self.sara.call("POST", "consents", {"room": self.room}, expect=201)
        asked = await self.trine.call("GET", f"consents/{self.consent}", expect=200)
        said = {"text_sha256": asked["text"]["sha256"], "grantees": [self.sara.user]}
        await self.sara.device.open()
        await self.trine.call("POST", f"consents/{self.consent}/give", said, expect=200)
        await self.sara.device.wait(lambda f: f["type"] == "room.opened" and f["room"] == self.room)
        await self.trine.device.drop()  # a cheap phone, on a bad net
        told = {"txn_id": "night-2", "body": "Jeg har det ikke bra"}
        first = await self.trine.call("POST", f"rooms/{self.room}/messages", told, expect=201)
        again = await self.trine.call("POST", f"rooms/{self.room}/messages", told, expect=200)
        assert again == first, "a retry is the same act"
        await self.sara.device.wait(lambda f: f["type"] == "event" and f["event"] == first)
        await self.trine.device.open()
        assert [one["seq"] for one in self.trine.device.events(self.room)].count(first["seq"]) == 1
        await self.sara.device.send(type="read", room=self.room, seq=first["seq"])
        await self.trine.device.wait(
            lambda f: f["type"] == "receipt" and f["user"] == self.sara.user and f["read"] >= first["seq"]
        )

    async def _stays_away_and_comes_back(self) -> None:
        members = (await self.trine.call("GET", f"rooms/{self.room}/members", expect=200))["results"]
        me = next(one["id"] for one in members if one["user"] == self.trine.user)
        await self.trine.call("PATCH", f"rooms/{self.room}/members/{me}", {"participation": "away"}, expect=200)
        words = uuid4().hex
        await self.sara.post(self.room, words)
        page = await self.trine.call("GET", f"rooms/{self.room}/events", expect=200)
        assert page["results"][-1]["content"]["body"] == words, "who stays away can still read"
        await self.trine.post(self.room, "Jeg er her igjen")
        card = await self.trine.call("GET", f"rooms/{self.room}", expect=200)
        assert card["participation"] == "active"
        await self.trine.call("POST", f"consents/{self.consent}/withdraw", {}, expect=200)
        await self.sara.device.wait(
            lambda f: f["type"] == "room.closed" and f["room"] == self.room, patience_s=1 + SLACK_S
        )
        await self.sara.call("GET", f"rooms/{self.room}/events", expect=404)

    async def _looks_who_looked(self) -> None:
        page = await self.trine.call("GET", "me/access-log?limit=200", expect=200)
        here = [line for line in page["results"] if line["room"] == self.room]
        assert {self.sara.user, self.kari.user} <= {line["who"]["user"] for line in here}
        assert any(line["outcome"] == "refused" and line["who"]["user"] == self.kari.user for line in here)


def test_the_night_before(served: Server) -> None:
    asyncio.run(TheNightBefore(served.url).play())
