"""Which content a consent is about, by when it was written: what lies before and after it is not read, and where the
range is over nothing is written either."""

import time
from datetime import datetime, timedelta

from server.common.clock import now
from tests.base import JSON, TownTestCase
from tests.consent.base import Consenting
from tests.gateway.driver import SLACK_S, GatewayTestCase, quiet
from tests.gateway.test_talk import post
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class Ranges(Consenting):
    def pause(self) -> datetime:
        """A moment that lies between what was written before and what is written after."""
        time.sleep(0.01)
        at = now()
        time.sleep(0.01)
        return at

    def ranged(self, start: datetime | None = None, end: datetime | None = None, **more: object) -> JSON:
        said = {"start": start.isoformat() if start else None, "end": end.isoformat() if end else None}
        return self.says(self.room, "change", content=said, **more)

    def bodies(self, name: str) -> list[str]:
        return [one["content"]["body"] for one in self.events(self.room, name) if one["type"] == "message"]


class ContentRange(Ranges, TownTestCase):
    def given(self) -> None:
        self.room = self.open_shared_room(propose=["frida"])
        self.begun = self.pause()
        self.post(self.room, "kari", "en")
        self.between = self.pause()
        self.post(self.room, "frida", "to")

    def test_without_one_everybody_reads_from_their_joining_on(self) -> None:
        self.propose(self.room, "kari", "sara")
        self.says(self.room, "change")
        self.post(self.room, "kari", "tre")
        assert self.bodies("sara") == ["tre"]
        assert self.bodies("kari") == ["en", "to", "tre"]

    def test_an_earlier_start_gives_somebody_new_the_history(self) -> None:
        """Red when `ranged` only cuts, or opens what lies before the start."""
        self.propose(self.room, "kari", "sara")
        everybody = [str(self.user_id(name)) for name in ("kari", "frida", "sara")]
        self.ranged(self.between, grantees=everybody)
        assert self.bodies("sara") == ["to"]
        self.ranged(self.begun)
        assert self.bodies("sara") == ["en", "to"]
        first = self.events(self.room, "sara")[0]
        assert datetime.fromisoformat(first["created_at"]) >= self.begun
        self.ranged()
        assert self.bodies("sara") == []

    def test_a_later_start_hides_what_they_had_read(self) -> None:
        """Red when a closed or an open interval is left as it was."""
        self.ranged(self.between)
        for name in ("kari", "frida"):
            assert self.bodies(name) == ["to"]
        self.refuses(
            self.person("kari").post(f"{self.room.path}/events/{self.seq('en')}/edit", {"body": "x"}), 404, "not_found"
        )
        said = {"txn_id": "r", "body": "svar", "reply_to": self.seq("en")}
        self.field(self.person("kari").post(f"{self.room.path}/messages", said), "reply_to", "not_found")
        self.ranged(self.pause())
        assert self.bodies("kari") == []
        assert self.bodies("are") == ["en", "to"], "the patient's own room"
        self.post(self.room, "kari", "tre")
        assert self.bodies("frida") == ["tre"]

    def seq(self, body: str) -> int:
        return next(int(one["seq"]) for one in self.events(self.room) if one["content"].get("body") == body)

    def test_an_end_that_has_been(self) -> None:
        """They read what was written before it, nothing newer, and write nothing. Red when `read_only` is not asked, or
        the open interval stays open."""
        self.ranged(None, self.between)
        for name in ("kari", "frida"):
            assert self.bodies(name) == ["en"]
            before = len(self.events(self.room, name))
            answer = self.person(name).post(f"{self.room.path}/messages", {"txn_id": "a", "body": "hei"})
            self.refuses(answer, 403, "read_only")
            assert len(self.events(self.room, name)) == before
        answer = self.person("kari").post(f"{self.room.path}/events/{self.seq('en')}/edit", {"body": "rettet"})
        self.refuses(answer, 403, "read_only")
        answer = self.person("are").post(f"{self.room.path}/messages", {"txn_id": "b", "body": "er noen der?"})
        self.refuses(answer, 409, "nobody_here")
        assert {one["type"] for one in self.events(self.room, "kari")} <= {"member_joined", "message"}

    def test_start_and_end(self) -> None:
        self.post(self.room, "kari", "tre")
        self.ranged(self.between, self.pause())
        assert self.bodies("kari") == ["to", "tre"]
        self.ranged(self.begun, self.between)
        assert self.bodies("frida") == ["en"]

    def test_an_end_that_comes(self) -> None:
        """Nobody needs to look. Red when a permit outlives its range."""
        end = now() + timedelta(seconds=1.5)
        self.ranged(None, end)
        self.post(self.room, "kari", "tre")
        while now() < end:
            time.sleep(0.05)
        answer = self.person("kari").post(f"{self.room.path}/messages", {"txn_id": "a", "body": "hei"})
        self.refuses(answer, 403, "read_only")
        assert self.bodies("frida") == ["en", "to", "tre"]

    def test_it_stays_until_it_is_changed_and_ends_with_the_consent(self) -> None:
        """Red when an answer that does not speak of content drops it, or a new yes inherits it unread."""
        self.ranged(self.between)
        self.says(self.room, "renew")
        self.says(self.room, "change", grantees=[str(self.user_id("kari"))])
        assert self.bodies("kari") == ["to"]
        told = self.shown(self.room)["content"]
        assert datetime.fromisoformat(told["start"]) == self.between
        self.withdraw(self.room)
        assert self.shown(self.room)["content"] == {"start": None, "end": None}
        self.give(self.room)
        assert self.bodies("kari") == ["en", "to"]

    def test_with_the_first_yes(self) -> None:
        room = self.open_room(purpose="transition")
        said = {"start": None, "end": (now() + timedelta(days=30)).isoformat()}
        told = self.says(room, "give", content=said)
        assert datetime.fromisoformat(told["content"]["end"]) == datetime.fromisoformat(said["end"])

    def test_words_that_are_none(self) -> None:
        at = self.between.isoformat()
        for content in (
            {"start": at, "end": at},
            {"start": at, "end": self.begun.isoformat()},
            {"start": "x"},
            {"end": 7},
            {"start": []},
            {"start": "0001-01-01T00:00:00Z"},
            {"end": "9999-12-31T23:59:59Z"},
            {"start": "1899-12-31T23:59:59Z"},
            [],
            "alt",
            None,
        ):
            answer = self.person("are").post(f"{self.room.asks}/change", {"content": content})
            self.refuses(answer, 400, "invalid")
        assert self.bodies("kari") == ["en", "to"]


class OnTheSocket(Ranges, GatewayTestCase):
    """The same over the socket: what is beyond the range is neither resumed nor sent, and nothing is written."""

    def setUp(self) -> None:
        super().setUp()
        self.post(self.room, "kari", "en")
        self.between = self.pause()
        self.post(self.room, "kari", "to")

    async def test_a_range_that_is_over(self) -> None:
        """Red when the gateway reads past a permit's intervals, or writes under one that only reads."""
        await self.rest(self.ranged, None, self.between)
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari", {str(self.room.id): 0})
            assert kari.bodies(self.room) == ["en"]
            me = (await self.rest(self.members, self.room))["are"]["id"]
            for way in ("away", "active"):  # something newer happens
                person = await self.rest(self.person, "are")
                await self.rest(person.ok, "patch", f"{self.room.path}/members/{me}", {"participation": way})
            post(kari, self.room, "for sent", "late")
            assert (await kari.wait("error"))["code"] == "read_only"
            await quiet(kari, 2)
            assert kari.bodies(self.room) == ["en"]
            assert "participation" not in {event["type"] for event in kari.events(self.room)}

    async def test_a_range_that_ends_while_the_socket_is_open(self) -> None:
        """Law 5: by the next heartbeat. Red when `valid_until` of a permit forgets its range."""
        end = await self.rest(now) + timedelta(seconds=2)
        await self.rest(self.ranged, None, end)
        async with self.gateway() as gateway:
            kari, are = await self.phones(gateway, "kari", "are")
            post(kari, self.room, "rakk det", "in-time")
            await kari.wait("posted")
            closed = await kari.wait("room.closed", patience_s=2 + self.heartbeat_s + SLACK_S)
            assert closed["reason"] == "expired"
            opened = await kari.wait("room.opened", patience_s=self.heartbeat_s + SLACK_S)
            assert opened["room"] == str(self.room.id), "to read what was written before"
            post(kari, self.room, "for sent", "late")
            error = await kari.wait(lambda frame: frame["type"] == "error")
            assert error == {"type": "error", "code": "read_only", "ref": "late"}
            assert are.of("room.closed") == []

    async def test_an_earlier_start_and_a_later_one(self) -> None:
        async with self.gateway() as gateway:
            for start, bodies in ((self.between, ["to"]), (None, ["en", "to"])):
                await self.rest(self.ranged, start)
                phone = await self.phone(gateway, "frida", {str(self.room.id): 0})
                assert phone.bodies(self.room) == bodies
