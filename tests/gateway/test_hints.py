"""Law 4: hints may be lost, doubled, late, in any order; what goes wrong in one look is made good at the next."""

import asyncio
import random
from typing import Any
from unittest import mock
from uuid import UUID

from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer

from server.common.errors import Unavailable
from server.common.hints import GROUP
from server.gateway import frames, jobs
from server.gateway.app import Gateway
from server.rooms import marks, posting, timeline
from tests.gateway.driver import SLACK_S, GatewayTestCase, Phone, Weather, paused, quiet
from tests.gateway.test_talk import post


def answered(phone: Phone) -> int:
    return len(phone.of("posted", "error"))


class Hints(GatewayTestCase):
    async def _storm(self, seed: int, *, dropped: float, doubled: float, delay_s: float) -> None:
        who = ("are", "kari", "frida", "vera")
        async with self.gateway() as one, self.gateway() as two:
            phones = [await self.phone(gateway, name) for gateway in (one, two) for name in who]
            heads = [phone.of("welcome")[0]["rooms"][str(self.room.id)] for phone in phones]
            for gateway in (one, two):
                Weather(gateway, seed, dropped=dropped, doubled=doubled, delay_s=delay_s)
            draw, sent = random.Random(seed), []
            for number in range(40):
                phone = draw.choice(phones)
                sent.append(phone)
                post(phone, self.room, f"nr. {number}", f"{seed}-{number}")
                if draw.random() < 0.3:
                    seen = phone.seqs(self.room) or [heads[phones.index(phone)]]
                    phone.say(type=draw.choice(["read", "delivered"]), room=str(self.room.id), seq=seen[-1])
                if number == 20:  # one comes late, into the middle of it
                    late = await self.phone(one, "kari", {str(self.room.id): heads[0]})
                    phones.append(late)
                    heads.append(heads[0])
                if draw.random() < 0.2:
                    await asyncio.sleep(draw.random() * 0.05)
            for phone in phones:
                await phone.wait("heartbeat")
            answers = [phone.wait(lambda _, p=phone: answered(p) == sent.count(p)) for phone in set(sent)]  # type: ignore[misc]
            await asyncio.gather(*answers)
            await asyncio.sleep(1.2 + delay_s)  # marks are written within a second, and then it is quiet
            for phone in phones:
                await quiet(phone)
            await asyncio.sleep(1.2)  # receipts are told once a second
            head = await self.rest(self.head)
            for phone, first in zip(phones, heads, strict=True):
                assert phone.seqs(self.room) == list(range(first + 1, head + 1))
                assert phone.closed is None
            stored = await sync_to_async(marks.receipts)([self.room.id])
            known = {str(mark.user_id): (mark.delivered, mark.read) for mark in stored[self.room.id].receipts}
            for phone in phones:
                assert phone.last_receipts(self.room) == known

    async def test_dropped_doubled_reordered_and_delayed(self) -> None:
        await self._storm(1, dropped=0.5, doubled=0.3, delay_s=0.2)

    async def test_all_of_them_dropped(self) -> None:
        await self._storm(2, dropped=1.0, doubled=0.0, delay_s=0.0)

    async def test_all_of_them_doubled_and_late(self) -> None:
        await self._storm(3, dropped=0.0, doubled=1.0, delay_s=0.4)

    async def test_hints_of_nonsense_do_no_harm(self) -> None:
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            layer = get_channel_layer()
            assert layer is not None
            rubbish: list[Any] = [
                {"type": "hints"},
                {"type": "hints", "hints": 7},
                {"type": "hints", "hints": [None, [], ["room"], ["room", "x", 1, ""], ["typing", "x", 0, "y"]]},
                {"type": "hints", "hints": [["unknown", "x", 1, ""], ["room", str(self.room.id), 10**9, ""]]},
            ]
            for message in rubbish:
                await layer.group_send(GROUP, message)
            event = await self.rest(self.post, self.room, "frida")
            await kari.has(self.room, event["seq"])
            # Hints still come through the layer after that.
            assert gateway.hub is not None
            gateway.hub._unlisten()
            gateway.hub._unlisten = lambda: None
            typing = ["typing", str(self.room.id), 0, str(UUID(int=1))]
            for _ in range(10):  # typing is dropped while the room is about to be read
                await layer.group_send(GROUP, {"type": "hints", "hints": [typing]})
                await asyncio.sleep(0.1)
            await kari.wait("typing", patience_s=SLACK_S)

    async def test_members_of_the_layer_that_died_without_saying_so(self) -> None:
        async with self.gateway() as one, self.gateway() as two:
            kari, frida = await self.phone(one, "kari"), await self.phone(two, "frida")
            layer = get_channel_layer()
            assert layer is not None
            for _ in range(20):
                await layer.group_add(GROUP, await layer.new_channel())
            for number in range(50):
                post(kari, self.room, f"nr. {number}")
            await frida.wait(lambda _: len(frida.bodies(self.room)) == 50)

    async def test_without_a_layer_at_all_the_heartbeat_heals(self) -> None:
        with mock.patch("server.gateway.layer.get_channel_layer", return_value=None):
            async with self.gateway() as gateway:
                kari, frida = await self.phones(gateway, "kari", "frida")
                post(kari, self.room)
                await frida.wait("event")

    async def test_a_layer_that_fails_loses_hints_and_nothing_else(self) -> None:
        async with self.gateway() as gateway:
            kari, frida = await self.phones(gateway, "kari", "frida")
            assert gateway.hub is not None
            with mock.patch.object(gateway.hub.layer, "_layer") as layer:
                layer.group_send.side_effect = ConnectionError
                post(kari, self.room)
                await frida.wait("event")


class Healing(GatewayTestCase):
    """What goes wrong in one look is made good at the next."""

    async def test_a_database_that_fails_in_the_middle_of_a_heartbeat_does_not_stop_the_heart(self) -> None:
        async with self.gateway() as gateway:
            sara = await self.phone(gateway, "sara")
            with mock.patch.object(jobs, "enter", side_effect=Unavailable):
                self._deafen(gateway)
                await self.rest(self.propose, self.room, "kari", "sara")
                await self.rest(self.change, self.room)
                await asyncio.sleep(self.heartbeat_s * 2.5)
            await sara.wait("room.opened")
            await quiet(sara, 2)

    async def test_a_database_that_fails_everywhere_for_a_while(self) -> None:
        async with self.gateway() as gateway:
            kari, frida = await self.phones(gateway, "kari", "frida")
            with (
                mock.patch.object(jobs, "read_rooms", side_effect=Unavailable),
                mock.patch.object(jobs, "standing", side_effect=Unavailable),
                mock.patch.object(marks, "save", side_effect=Unavailable),
                mock.patch.object(marks, "receipts", side_effect=Unavailable),
            ):
                post(kari, self.room)
                seq = (await kari.wait("posted"))["seq"]
                kari.say(type="read", room=str(self.room.id), seq=seq - 1)
                await asyncio.sleep(1.3)
            await frida.has(self.room, seq)
            me = str(await self.rest(self.user_id, "kari"))
            await frida.wait(lambda f: f["type"] == "receipt" and f["user"] == me and f["read"] == seq - 1)

    async def test_a_hello_that_meets_a_silent_database_is_asked_to_come_back(self) -> None:
        async with self.gateway() as gateway:
            phone = await self.connect(gateway)
            with mock.patch.object(jobs, "begin", side_effect=Unavailable):
                phone.say(type="hello", protocol=1, token=(await self.rest(self.person, "kari")).token)
                assert await phone.until_closed() == frames.RESTARTING

    async def test_a_post_that_meets_a_silent_database_is_said_to_be_unavailable(self) -> None:
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            with mock.patch.object(posting, "write", side_effect=Unavailable):
                post(kari, self.room, txn_id="one")
                assert await kari.wait("error") == {"type": "error", "code": "unavailable", "ref": "one"}
            with mock.patch.object(posting, "write", side_effect=RuntimeError), self.assertLogs(level="ERROR"):
                post(kari, self.room, txn_id="two")
                assert (await kari.wait(lambda f: f.get("ref") == "two"))["code"] == "internal"
            post(kari, self.room, txn_id="one")
            await kari.wait("posted")

    async def test_a_socket_that_enters_while_others_are_read_for_misses_nothing(self) -> None:
        """Its view of the room is older than the reading that is under way: the reading does not cover the gap."""
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            head = await self.rest(self.head)
            frida = await self.connect(gateway)
            token = (await self.rest(self.person, "frida")).token
            with paused(jobs, "begin", after=True) as beginning:
                frida.say(type="hello", protocol=1, token=token, cursors={str(self.room.id): head})
                await beginning.reached()  # Frida's view: nothing after `head`
                await self.rest(self.post, self.room, "vera", "en")
                await kari.has(self.room, head + 1)
                with paused(jobs, "read_rooms", after=True) as reading:
                    await self.rest(self.post, self.room, "vera", "to")
                    await reading.reached()  # for Kari: after `head + 1`
                    beginning.go()
                    await frida.wait("synced")
                    reading.go()
                    await frida.has(self.room, head + 2)
            await quiet(frida, 2)
            assert frida.seqs(self.room) == [head + 1, head + 2]

    async def test_receipts_that_move_while_a_socket_begins_reach_it_too(self) -> None:
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            head = await self.rest(self.head)
            me = str(await self.rest(self.user_id, "kari"))
            frida = await self.connect(gateway)
            with paused(jobs, "begin", after=True) as beginning:
                frida.say(type="hello", protocol=1, token=(await self.rest(self.person, "frida")).token)
                await beginning.reached()
                kari.say(type="read", room=str(self.room.id), seq=head)
                await kari.wait(lambda f: f["type"] == "receipt" and f["user"] == me and f["read"] == head)
            await quiet(frida, 4)
            assert frida.last_receipts(self.room)[me] == (head, head)

    async def test_a_room_absent_from_the_cursors_starts_at_the_head_that_the_welcome_tells(self) -> None:
        """A client that takes the welcome's head for its cursor must not be sent what lies before it."""
        async with self.gateway() as gateway:
            kari = await self.connect(gateway)
            with paused(timeline, "read", after=False) as reading:
                kari.say(type="hello", protocol=1, token=(await self.rest(self.person, "kari")).token)
                await reading.reached()  # the permit has been read, the timeline has not
                await self.rest(self.post, self.room, "vera", "en")
                reading.go()
                await kari.wait("synced")
            await self.rest(self.post, self.room, "vera", "to")
            await kari.wait(lambda _: "to" in kari.bodies(self.room))
            told = kari.of("welcome")[0]["rooms"][str(self.room.id)]
            assert kari.seqs(self.room) == list(range(told + 1, told + len(kari.seqs(self.room)) + 1))

    def _deafen(self, gateway: Gateway) -> None:
        Weather(gateway, 0, dropped=1.0, doubled=0, delay_s=0)
