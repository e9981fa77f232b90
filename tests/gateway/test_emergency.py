"""Emergency access on the socket (L3): the room opens, is read, and closes; nothing shows who reads but the mark. What
is hidden from the patient changes no frame of theirs but numbers."""

import asyncio
from typing import Any

from server.rooms import permits, worker
from server.rooms.models import RoomEvent
from tests.gateway.driver import SLACK_S, GatewayTestCase, Phone, Weather, paused, quiet
from tests.gateway.test_talk import post
from tests.rooms.night import DELAY, Night, time_to_tell

LASTS_S = 5.0
SOON_S = 1.0 + SLACK_S


class NightTestCase(Night, GatewayTestCase):
    shared = False

    def setUp(self) -> None:
        super().setUp()
        self.open_the_room()

    async def night(self, **more: Any) -> int:
        """Nils begins; the `seq` of the mark."""
        await self.rest(self.begun, **more)
        return await self.mark("begun")

    async def mark(self, act: str) -> int:
        found = RoomEvent.objects.filter(room_id=self.room.id, type="emergency_access", facts__act=act)
        seq: int = await self.rest(found.order_by("-seq").values_list("seq", flat=True).first)
        return seq

    async def is_shut_out(
        self, nils: Phone, act: str, *, within_s: float = SOON_S, reason: str = "access_ended"
    ) -> None:
        """Law 5: told in time, and nothing of the end or after it came."""
        closed = await nils.wait("room.closed", patience_s=within_s)
        assert closed == {"type": "room.closed", "room": str(self.room.id), "reason": reason}
        later = await self.rest(self.post, self.room, "kari", "etterpå")
        await asyncio.sleep(0.5)
        seqs = nils.seqs(self.room)
        assert later["seq"] not in seqs
        if act:
            assert await self.mark(act) not in seqs
        nils.say(type="read", room=str(self.room.id), seq=1)
        assert await nils.wait("error") == {"type": "error", "code": "not_found", "ref": str(self.room.id)}


class Reads(NightTestCase):
    async def test_the_room_opens_is_read_and_closes(self) -> None:
        """By hints alone. Red when `standing` or `my_rooms` know members' rooms only, or no hint is sent."""
        self.heartbeat_s = 60.0
        async with self.gateway() as gateway:
            nils, kari, trine = await self.phones(gateway, "nils", "kari", "trine")
            assert str(self.room.id) not in nils.of("welcome")[0]["rooms"]
            mark = await self.night()
            assert (await nils.wait("room.opened", patience_s=SOON_S))["room"] == str(self.room.id)
            await nils.has(self.room, mark)
            assert nils.seqs(self.room) == list(range(1, mark + 1))
            assert "planen for dårlige dager" in nils.bodies(self.room)
            for phone in (kari, trine):
                await phone.has(self.room, mark)
            after = await self.rest(self.post, self.room, "trine", "hører noen?")
            await nils.has(self.room, after["seq"])
            await self.rest(self.end)
            await self.is_shut_out(nils, "ended")
            for phone in (kari, trine):
                await phone.has(self.room, await self.mark("ended"))

    async def test_a_phone_that_comes_after_it(self) -> None:
        """Its cursors are resumed like anybody's. Red when `my_rooms` knows members' rooms only."""
        mark = await self.night()
        async with self.gateway() as gateway:
            nils = await self.phone(gateway, "nils", {str(self.room.id): 0})
            assert nils.of("welcome")[0]["rooms"] == {str(self.room.id): mark}
            assert nils.seqs(self.room) == list(range(1, mark + 1))
            assert nils.of("room.closed") == []
            other = await self.phone(gateway, "nils")
            await quiet(other)
            assert other.seqs(self.room) == []
            beat = other.of("heartbeat")[-1]
            assert beat["heads"] == {str(self.room.id): mark}

    async def test_nothing_shows_that_he_is_there(self) -> None:
        """Red when a mark or typing of a reader without membership is passed on."""
        mark = await self.night()
        async with self.gateway() as gateway:
            nils, kari, trine = await self.phones(gateway, "nils", "kari", "trine")
            await quiet(trine, 4)
            before = [len(phone.frames) for phone in (kari, trine)]
            for seq in range(1, mark + 1):
                nils.say(type="delivered", room=str(self.room.id), seq=seq)
                nils.say(type="read", room=str(self.room.id), seq=seq)
            nils.say(type="typing", room=str(self.room.id))
            post(nils, self.room, "jeg er her", "no")
            assert await nils.wait("error") == {"type": "error", "code": "read_only", "ref": "no"}
            await asyncio.sleep(1.2)
            await quiet(trine, 2)
            for phone, count in zip((kari, trine), before, strict=True):
                assert {frame["type"] for frame in phone.frames[count:]} == {"heartbeat"}
            user = str((await self.rest(self.person, "nils")).user_id)
            assert user not in nils.last_receipts(self.room)
            kari.say(type="typing", room=str(self.room.id))
            assert (await nils.wait("typing"))["room"] == str(self.room.id)

    async def test_hints_are_lost(self) -> None:
        """The heartbeat heals both. Red when `standing` knows members' rooms only."""
        async with self.gateway() as gateway:
            nils = await self.phone(gateway, "nils")
            Weather(gateway, 0, dropped=1.0, doubled=0, delay_s=0)
            mark = await self.night()
            await nils.wait("room.opened", patience_s=self.heartbeat_s + SOON_S)
            await nils.has(self.room, mark)
            await self.rest(self.end)
            await self.is_shut_out(nils, "ended", within_s=self.heartbeat_s + SOON_S)


class Closes(NightTestCase):
    async def test_time_by_the_next_heartbeat_though_no_worker_came(self) -> None:
        """Red when the permit has no `valid_until`."""
        async with self.gateway(emergency_hours=LASTS_S / 3600) as gateway:
            nils = await self.phone(gateway, "nils")
            await self.night()
            await nils.wait("room.opened")
            await self.is_shut_out(nils, "", within_s=LASTS_S + self.heartbeat_s + SOON_S, reason=await self._how(nils))

    async def _how(self, nils: Phone) -> str:
        """Found by the reading's own time, or by the permits that it asked for anew."""
        closed = await nils.wait("room.closed", patience_s=LASTS_S + self.heartbeat_s + SOON_S)
        assert closed["reason"] in ("expired", "access_ended")
        reason: str = closed["reason"]
        return reason

    async def test_time_by_the_worker_though_no_heartbeat_came(self) -> None:
        """Red when `end` sends no hint or leaves the epoch."""
        self.heartbeat_s = 60.0
        async with self.gateway(emergency_hours=LASTS_S / 3600) as gateway:
            nils, trine = await self.phones(gateway, "nils", "trine")
            await self.night()
            await nils.wait("room.opened")
            while not await self.rest(worker.tick):  # noqa: ASYNC110 - a clock has no event
                await asyncio.sleep(0.2)
            await self.is_shut_out(nils, "ended", reason=await self._how(nils))
            await trine.has(self.room, await self.mark("ended"))

    async def test_an_exclusion_at_once(self) -> None:
        """Red when `excluded` passes over who is no member."""
        self.heartbeat_s = 60.0
        async with self.gateway() as gateway:
            nils = await self.phone(gateway, "nils")
            await self.night()
            await nils.wait("room.opened", patience_s=SOON_S)
            await self.rest(self.exclude, "nils")
            await self.is_shut_out(nils, "ended")

    async def test_an_end_between_the_reading_and_its_permits(self) -> None:
        """A post is read for him, and before his permit is asked for he is out."""
        self.heartbeat_s = 60.0
        async with self.gateway() as gateway:
            nils = await self.phone(gateway, "nils")
            await self.night()
            await nils.wait("room.opened", patience_s=SOON_S)
            with paused(permits, "load", after=False) as loading:
                ending = asyncio.ensure_future(self.rest(self.exclude, "nils"))
                await loading.reached()
            await ending
            await self.is_shut_out(nils, "ended")


class Hidden(NightTestCase):
    """The patient's phones, before and after."""

    async def resumed(self, gateway: Any) -> list[str]:
        """All that a phone gets that was away from the beginning, up to the second heartbeat after."""
        trine = await self.phone(gateway, "trine", {str(self.room.id): 0})
        await quiet(trine, 2)
        got = [str(one) for one in trine.frames]
        await trine.leave()
        self._phones.remove(trine)
        return [text for text in got if "'heartbeat'" not in text]

    async def test_no_frame_of_hers_differs(self) -> None:
        """Resumed and live: begun, read, ended. Red when `hide` is left out, an interval is not looked at, or the head
        of a welcome or a heartbeat, or the end that a mark is compared with, is the room's own."""
        async with self.gateway() as gateway:
            before = await self.resumed(gateway)
            trine, nils, kari = await self.phones(gateway, "trine", "nils", "kari")
            await quiet(trine, 2)
            count = len(trine.frames)
            mark = await self.night(hide=DELAY)
            await nils.has(self.room, mark)
            await kari.has(self.room, mark)
            nils.say(type="read", room=str(self.room.id), seq=mark)
            nils.say(type="typing", room=str(self.room.id))
            assert await self.resumed(gateway) == before
            await self.rest(self.end)
            await nils.wait("room.closed")
            await quiet(trine, 3)
            assert {frame["type"] for frame in trine.frames[count:]} == {"heartbeat"}
            assert {frame["heads"][str(self.room.id)] for frame in trine.of("heartbeat")} == {mark - 1}
            for seq in (mark, mark + 1, mark + 2):
                trine.say(type="read", room=str(self.room.id), seq=seq)
            await trine.wait(lambda _: len(trine.of("error")) == 3, after=0)
            assert {frame["code"] for frame in trine.of("error")} == {"cursor_ahead"}
            assert await self.resumed(gateway) == before
            after = await self.rest(self.post, self.room, "kari", "god morgen")
            await trine.has(self.room, after["seq"])
            assert trine.seqs(self.room)[-1] == after["seq"]
            post(trine, self.room, "god morgen", "hers")
            await trine.wait("posted")

    async def test_then_she_is_told_on_the_phone_in_her_hand(self) -> None:
        """The event that says so comes, and what was hidden can be read. Red when telling takes no number, or sends no
        hint."""
        self.heartbeat_s = 60.0
        async with self.gateway() as gateway:
            trine = await self.phone(gateway, "trine")
            mark = await self.night(hide=DELAY)
            await self.rest(time_to_tell)
            assert await self.rest(worker.tick) == 1
            told = await self.mark("told")
            await trine.has(self.room, told, SOON_S)
            assert mark not in trine.seqs(self.room), "numbers only go up"
            page = await self.rest(self.events, self.room, "trine", mark - 1)
            assert [one["seq"] for one in page] == [mark, told]
            fresh = await self.phone(gateway, "trine", {str(self.room.id): 0})
            assert fresh.seqs(self.room) == list(range(1, told + 1))
