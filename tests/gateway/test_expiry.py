"""Law 5 and the clock: a consent that runs out while sockets are open. No worker runs here: what ends access is the
permit's own end, compared with the database's time."""

import asyncio
from datetime import datetime, timedelta
from unittest import mock

from server.common.clock import now
from server.consent.models import Consent
from server.gateway.app import Gateway
from server.rooms import posting
from server.rooms.models import RoomEvent
from tests.gateway.driver import SLACK_S, GatewayTestCase, Phone, paused, quiet
from tests.gateway.test_talk import post

LASTS_S = 6.0


class Expiry(GatewayTestCase):
    shared = False

    def give_briefly(self) -> None:
        """A shared room; its consent ends `LASTS_S` from now."""
        with mock.patch("server.consent.actions.end_of", lambda at, *_: at + timedelta(seconds=LASTS_S)):
            self.room = self.open_shared_room()

    async def has_run_out(self, phone: Phone, *, within_s: float) -> None:
        closed = await phone.wait("room.closed", patience_s=within_s)
        assert closed == {"type": "room.closed", "room": str(self.room.id), "reason": "expired"}

    async def _settled(self, gateway: Gateway) -> None:
        """Until the reads that the hellos began are done."""
        assert gateway.hub is not None
        for _ in range(3):
            while gateway.hub._dirty:  # noqa: ASYNC110 - nothing else tells it
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.15)

    async def test_staff_are_told_by_the_next_heartbeat_and_the_patient_stays(self) -> None:
        await self.rest(self.give_briefly)
        async with self.gateway() as gateway:
            kari, frida, are = await self.phones(gateway, "kari", "frida", "are")
            for phone in (kari, frida):
                await self.has_run_out(phone, within_s=LASTS_S + self.heartbeat_s + SLACK_S)
            assert await self.rest(self._in_force), "nothing was put on record: no worker, no hint"
            await quiet(are, 2)
            assert are.of("room.closed") == []

    async def test_what_is_read_after_it_reaches_nobody_though_no_heartbeat_has_come(self) -> None:
        """Written in time, under the same epoch, and read too late: the reading's own time ends the follow instead."""
        await self.rest(self.give_briefly)
        self.heartbeat_s = 60.0
        async with self.gateway() as gateway:
            kari, frida, are = await self.phones(gateway, "kari", "frida", "are")
            await self._settled(gateway)  # or a read that was under way anyhow would bring it in time
            with paused(posting, "write", after=True) as writing:
                post(kari, self.room, "rakk det")
                await writing.reached()
                await self._until_the_end()
                assert [phone.of("room.closed") for phone in (kari, frida)] == [[], []], "nobody has looked"
            seq = (await kari.wait("posted"))["seq"]
            for phone in (kari, frida):
                await self.has_run_out(phone, within_s=SLACK_S)
                assert seq not in phone.seqs(self.room)
            await are.has(self.room, seq)
            assert await self.rest(self._in_force), "nothing was put on record: no worker, no hint"

    async def test_no_event_of_after_it_reaches_them(self) -> None:
        await self.rest(self.give_briefly)
        self.heartbeat_s = 60.0
        async with self.gateway() as gateway:
            kari, frida, are = await self.phones(gateway, "kari", "frida", "are")
            await self._until_the_end()
            head = await self.rest(self.head)
            person, me = await self.rest(self.person, "are"), await self.rest(self._myself)
            await self.rest(person.ok, "patch", me, {"participation": "away"})
            await are.has(self.room, head + 1)
            for phone in (kari, frida):
                await phone.wait("room.closed", patience_s=SLACK_S)
                assert [seq for seq in phone.seqs(self.room) if seq > head] == []

    async def test_nothing_is_written_under_a_permit_that_has_ended(self) -> None:
        await self.rest(self.give_briefly)
        self.heartbeat_s = 60.0
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            await self._until_the_end()
            post(kari, self.room, "for sent", "late")
            error = await kari.wait("error")
            assert error["ref"] == "late"
            assert await self.rest(RoomEvent.objects.filter(txn_id="late").count) == 0

    async def _until_the_end(self) -> None:
        end = await self.rest(self._end)
        while await self.rest(now) <= end:  # noqa: ASYNC110 - a clock has no event
            await asyncio.sleep(0.1)

    def _consent(self) -> Consent:
        return Consent.objects.get(id=self.room.consent)

    def _end(self) -> datetime:
        end = self._consent().ends_at
        assert end is not None
        return end

    def _in_force(self) -> bool:
        return self._consent().state == "active"

    def _myself(self) -> str:
        return f"{self.room.path}/members/{self.members(self.room)['are']['id']}"
