"""Law 4 (hints may be lost, doubled, late, in any order) and law 5 (nothing reaches somebody after their access ended),
each interleaving by name."""

import asyncio
import random
from collections.abc import Iterable
from typing import Any
from unittest import mock
from uuid import UUID

from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer

from server.audit.entry import SYSTEM
from server.audit.models import AuditEvent
from server.common.clock import now
from server.common.errors import Unavailable
from server.common.hints import GROUP, Hint
from server.gateway import frames, jobs, poster
from server.gateway.app import Gateway
from server.people.actions import end_engagement
from server.people.models import Engagement, User
from server.rooms import marks, posting, timeline
from server.rooms.models import Member, RoomEvent
from tests.gateway.driver import GatewayTestCase, Phone, paused, quiet
from tests.gateway.test_talk import post


class Weather:
    """Between the hub and all hints, its own and others': drops, doubles, delays and so reorders them."""

    def __init__(self, gateway: Gateway, seed: int, *, dropped: float, doubled: float, delay_s: float) -> None:
        hub = gateway.hub
        assert hub is not None
        self._heard, self._loop, self._draw = hub.heard, hub.loop, random.Random(seed)
        self._dropped, self._doubled, self._delay_s = dropped, doubled, delay_s
        hub.heard = self.heard  # type: ignore[method-assign]
        hub.layer._heard = self.heard

    def heard(self, hints: Iterable[Hint]) -> None:
        for one in hints:
            if self._draw.random() < self._dropped:
                continue
            for _ in range(2 if self._draw.random() < self._doubled else 1):
                self._loop.call_later(self._draw.random() * self._delay_s, self._heard, [one])


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
            await layer.group_send(
                GROUP, {"type": "hints", "hints": [["typing", str(self.room.id), 0, str(UUID(int=1))]]}
            )
            await kari.wait("typing", patience_s=3)
            gateway.hub._unlisten = lambda: None

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


class Withdrawal(GatewayTestCase):
    """`ending` is the seq of the event that ends access; nothing with it or a higher one reaches the staff."""

    async def withdraw_now(self) -> int:
        await self.rest(self.withdraw, self.room)
        return await self.ending()

    async def ending(self) -> int:
        found = RoomEvent.objects.filter(room_id=self.room.id, type="consent", facts__act="withdrawn")
        seq: int = await self.rest(found.order_by("-seq").values_list("seq", flat=True).first)
        return seq

    async def check_excluded(self, phone: Phone, ending: int, *, within_s: float = 1.0) -> None:
        closed = await phone.wait("room.closed", patience_s=within_s)
        assert closed["room"] == str(self.room.id)
        at = phone.frames.index(closed)
        await quiet(phone)
        after = [frame for frame in phone.frames[at + 1 :] if str(self.room.id) in str(frame)]
        own = ("error", "posted")  # answers to what this socket sent itself
        assert [f for f in after if f["type"] not in own] == [], "nothing of the room after room.closed"
        assert all(seq < ending for seq in phone.seqs(self.room))

    async def test_everybody_s_socket_is_told_within_a_second_and_the_patient_stays(self) -> None:
        async with self.gateway() as gateway:
            kari, frida, vera, are = await self.phones(gateway, "kari", "frida", "vera", "are")
            ending = await self.withdraw_now()
            for phone in (kari, frida, vera):
                await self.check_excluded(phone, ending)
            await are.has(self.room, ending)
            assert are.of("room.closed") == []

    async def test_with_all_hints_lost_by_the_next_heartbeat(self) -> None:
        async with self.gateway() as gateway:
            kari, frida = await self.phones(gateway, "kari", "frida")
            Weather(gateway, 0, dropped=1.0, doubled=0, delay_s=0)
            ending = await self.withdraw_now()
            for phone in (kari, frida):
                await self.check_excluded(phone, ending, within_s=self.heartbeat_s + 1)

    async def test_a_post_decided_before_and_written_after_is_refused(self) -> None:
        async with self.gateway() as gateway:
            kari, are = await self.phones(gateway, "kari", "are")
            with paused(posting, "write", after=False) as writing:
                post(kari, self.room, "for sent", "late")
                await writing.reached()
                ending = await self.withdraw_now()
            assert await kari.wait("error") == {"type": "error", "code": "not_found", "ref": "late"}
            await self.check_excluded(kari, ending)
            assert await self.rest(RoomEvent.objects.filter(txn_id="late").count) == 0
            refused = AuditEvent.objects.filter(type="message.posted", outcome="refused", room_id=self.room.id)
            assert await self.rest(refused.count) == 1
            await are.has(self.room, ending)
            assert are.bodies(self.room) == []

    async def test_a_post_committed_before_stands_and_is_acknowledged(self) -> None:
        async with self.gateway() as gateway:
            kari, are = await self.phones(gateway, "kari", "are")
            with paused(posting, "write", after=True) as writing:
                post(kari, self.room, "rakk det", "early")
                await writing.reached()
                ending = await self.withdraw_now()
            posted = await kari.wait("posted")
            assert posted["seq"] < ending
            await self.check_excluded(kari, ending)
            await are.has(self.room, posted["seq"])

    async def test_a_retry_after_it_of_what_was_received_before(self) -> None:
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            post(kari, self.room, "mottatt", "kept")
            await kari.wait("posted")
            ending = await self.withdraw_now()
            await self.check_excluded(kari, ending)
            post(kari, self.room, "mottatt", "kept")
            assert await kari.wait("error") == {"type": "error", "code": "ended", "ref": "kept"}

    async def test_a_reading_begun_before_brings_nothing_that_is_later(self) -> None:
        async with self.gateway() as gateway:
            kari, frida = await self.phones(gateway, "kari", "frida")
            with paused(jobs, "read_rooms", after=True) as reading:
                before = await self.rest(self.post, self.room, "vera", "før")
                await reading.reached()
                ending = await self.withdraw_now()
            assert before["seq"] < ending
            for phone in (kari, frida):
                await self.check_excluded(phone, ending)

    async def test_a_reading_begun_after_brings_nothing_at_all(self) -> None:
        async with self.gateway() as gateway:
            kari, are = await self.phones(gateway, "kari", "are")
            with paused(jobs, "read_rooms", after=False) as reading:
                before = await self.rest(self.post, self.room, "vera", "før")
                await reading.reached()
                ending = await self.withdraw_now()
            await self.check_excluded(kari, ending)
            await are.has(self.room, ending)
            assert before["seq"] in are.seqs(self.room)

    async def test_between_the_reading_and_its_permits(self) -> None:
        """Access ended, and was given anew to some, after the events were read and before the permits were."""
        async with self.gateway() as gateway:
            kari, frida, are = await self.phones(gateway, "kari", "frida", "are")
            member = (await self.rest(self.members, self.room))["vera"]
            person = await self.rest(self.person, "are")
            with paused(timeline, "read", after=True) as reading:
                await self.rest(person.delete, f"{self.room.path}/members/{member['id']}")
                await reading.reached()
                ending = await self.withdraw_now()
            for phone in (kari, frida):
                await self.check_excluded(phone, ending)
            await are.has(self.room, ending)

    async def test_a_socket_that_resumes_while_it_happens(self) -> None:
        await self.rest(self.post, self.room, "vera", "før")
        token = (await self.rest(self.person, "kari")).token
        for after in (False, True):
            async with self.gateway() as gateway:
                kari = await self.connect(gateway)
                with paused(timeline, "read", after=after) as reading:
                    kari.say(type="hello", protocol=1, token=token, cursors={str(self.room.id): 0})
                    await reading.reached()
                    ending = await self.withdraw_now()
                await kari.wait("synced")
                if kari.events(self.room):  # its statement began before: then it is told that it is over
                    assert after
                    await self.check_excluded(kari, ending)
                else:
                    assert [f["reason"] for f in kari.of("room.closed")] == ["not_open"]
                    assert str(self.room.id) not in kari.of("welcome")[0]["rooms"]
                    await quiet(kari)
                    assert kari.events(self.room) == []
            await self.rest(self.ask_again)

    def ask_again(self) -> None:
        self.open_room()
        self.give(self.room)

    async def test_a_welcome_on_its_way_while_it_happens(self) -> None:
        async with self.gateway() as gateway:
            kari = await self.connect(gateway)
            with paused(jobs, "begin", after=True) as beginning:
                token = (await self.rest(self.person, "kari")).token
                kari.say(type="hello", protocol=1, token=token, cursors={str(self.room.id): 0})
                await beginning.reached()
                ending = await self.withdraw_now()
            await kari.wait("synced")
            await self.check_excluded(kari, ending)

    async def test_marks_on_their_way_while_it_happens(self) -> None:
        async with self.gateway() as gateway:
            kari, frida, are = await self.phones(gateway, "kari", "frida", "are")
            head = await self.rest(self.head)
            with paused(marks, "save", after=False) as saving:
                kari.say(type="read", room=str(self.room.id), seq=head)
                await saving.reached()
                ending = await self.withdraw_now()
            for phone in (kari, frida):
                await self.check_excluded(phone, ending)
            kari.say(type="read", room=str(self.room.id), seq=head)
            assert await kari.wait("error") == {"type": "error", "code": "not_found", "ref": str(self.room.id)}
            kari.say(type="typing", room=str(self.room.id))
            await quiet(kari)
            assert are.of("typing") == []

    async def test_receipts_read_before_are_not_told_after(self) -> None:
        async with self.gateway() as gateway:
            kari, frida = await self.phones(gateway, "kari", "frida")
            head = await self.rest(self.head)
            kari.say(type="read", room=str(self.room.id), seq=head)
            with paused(marks, "receipts", after=True) as found:
                await found.reached()
                ending = await self.withdraw_now()
                await frida.wait("room.closed", patience_s=1)
            await self.check_excluded(frida, ending)
            await self.check_excluded(kari, ending)

    async def test_what_waits_in_the_socket_is_purged(self) -> None:
        async with self.gateway() as gateway:
            frida = await self.phone(gateway, "frida", takes=True)
            are = await self.phone(gateway, "are")
            before = len(frida.frames)
            frida.reads.clear()
            for number in range(5):
                await self.rest(self.post, self.room, "vera", f"nr. {number}")
            await asyncio.sleep(0.2)
            ending = await self.withdraw_now()
            await are.has(self.room, ending)
            await asyncio.sleep(0.2)
            frida.reads.set()
            await self.check_excluded(frida, ending)
            assert [f for f in frida.frames[before:] if f["type"] == "event"] == []

    async def test_one_who_is_taken_out_loses_it_and_the_others_go_on(self) -> None:
        async with self.gateway() as gateway:
            kari, vera = await self.phones(gateway, "kari", "vera")
            member = (await self.rest(self.members, self.room))["vera"]
            person = await self.rest(self.person, "are")
            await self.rest(person.delete, f"{self.room.path}/members/{member['id']}")
            after = await self.rest(self.post, self.room, "kari", "videre")
            await kari.has(self.room, after["seq"])
            left = next(e["seq"] for e in kari.events(self.room) if e["type"] == "member_left")
            await self.check_excluded(vera, left)

    async def test_a_member_taken_out_while_their_post_is_written(self) -> None:
        async with self.gateway() as gateway:
            kari, vera = await self.phones(gateway, "kari", "vera")
            member = (await self.rest(self.members, self.room))["vera"]
            person = await self.rest(self.person, "are")
            with paused(poster.posting, "write", after=False) as writing:
                post(vera, self.room, "for sent", "mid-post")
                await writing.reached()
                await self.rest(person.delete, f"{self.room.path}/members/{member['id']}")
            assert (await vera.wait("error"))["code"] == "not_found"
            assert "for sent" not in kari.bodies(self.room)

    async def test_an_engagement_that_runs_out_by_itself(self) -> None:
        async with self.gateway() as gateway:
            vera, kari = await self.phones(gateway, "vera", "kari")
            await self.rest(self._her_time_is_up)
            closed = await vera.until_closed(5)
            assert closed == frames.SESSION_ENDED
            event = await self.rest(self.post, self.room, "kari")
            await kari.has(self.room, event["seq"])
            assert event["seq"] not in vera.seqs(self.room)

    def _her_time_is_up(self) -> None:
        Engagement.objects.filter(user__username="vera").update(valid_to=now())


class Sessions(GatewayTestCase):
    async def test_signing_out_closes_that_socket_and_no_other(self) -> None:
        async with self.gateway() as gateway:
            other = await self.rest(self.sign_in, "kari")
            first, second = await self.phone(gateway, "kari"), await self.connect(gateway)
            await second.hello(other.token)
            await self.rest(other.ok, "post", "me/sign-out")
            assert await second.until_closed(1) == frames.SESSION_ENDED
            await quiet(first)
            assert first.closed is None

    async def test_an_ended_session_is_found_at_the_heartbeat_when_the_hint_is_lost(self) -> None:
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            Weather(gateway, 0, dropped=1.0, doubled=0, delay_s=0)
            await self.rest((await self.rest(self.person, "kari")).ok, "post", "me/sign-out")
            assert await kari.until_closed(self.heartbeat_s + 1) == frames.SESSION_ENDED

    async def test_an_ended_engagement_closes_its_rooms_and_its_sockets(self) -> None:
        async with self.gateway() as gateway:
            vera, kari = await self.phones(gateway, "vera", "kari")
            await self.rest(self._end_engagement)
            assert await vera.until_closed(1) == frames.SESSION_ENDED
            await kari.wait(lambda f: f["type"] == "event" and f["event"]["type"] == "member_left", patience_s=1)
            left = kari.events(self.room)[-1]
            assert left["content"]["reason"] == "engagement"
            assert all(seq < left["seq"] for seq in vera.seqs(self.room))
            assert await self.rest(Member.objects.filter(user__username="vera", state="joined").count) == 0

    def _end_engagement(self) -> None:
        end_engagement(actor=SYSTEM, engagement_id=self.engagement_of("vera").id, reason="left")

    async def test_a_deactivated_account(self) -> None:
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            token = (await self.rest(self.person, "kari")).token
            await self.rest(User.objects.filter(username="kari").update, is_active=False)
            assert await kari.until_closed(self.heartbeat_s + 1) == frames.DEACTIVATED
            again = await self.connect(gateway)
            again.say(type="hello", protocol=1, token=token)
            assert await again.until_closed(2) == frames.DEACTIVATED
