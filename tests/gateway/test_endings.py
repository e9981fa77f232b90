"""Law 5: nothing reaches somebody after their access ended, each interleaving by name."""

import asyncio

from server.audit.entry import SYSTEM
from server.audit.models import AuditEvent
from server.common.clock import now
from server.gateway import frames, jobs, poster
from server.people.actions import end_engagement
from server.people.models import Engagement, User
from server.rooms import marks, posting, timeline
from server.rooms.models import Member, RoomEvent
from tests.gateway.driver import SLACK_S, GatewayTestCase, Phone, Weather, paused, quiet
from tests.gateway.test_talk import post


class Withdrawal(GatewayTestCase):
    """`ending` is the seq of the event that ends access; nothing with it or a higher one reaches the staff."""

    async def withdraw_now(self) -> int:
        await self.rest(self.withdraw, self.room)
        return await self.ending()

    async def ending(self) -> int:
        found = RoomEvent.objects.filter(room_id=self.room.id, type="consent", facts__act="withdrawn")
        seq: int = await self.rest(found.order_by("-seq").values_list("seq", flat=True).first)
        return seq

    async def check_excluded(self, phone: Phone, ending: int, *, within_s: float = 1.0 + SLACK_S) -> None:
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

    async def test_a_hint_alone_does_it_without_any_heartbeat(self) -> None:
        self.heartbeat_s = 60.0
        async with self.gateway() as gateway:
            phones = await self.phones(gateway, "kari", "frida", "vera")
            ending = await self.withdraw_now()
            for phone in phones:
                await phone.wait("room.closed", patience_s=1 + SLACK_S)
                assert all(seq < ending for seq in phone.seqs(self.room))

    async def test_with_all_hints_lost_by_the_next_heartbeat(self) -> None:
        async with self.gateway() as gateway:
            kari, frida = await self.phones(gateway, "kari", "frida")
            Weather(gateway, 0, dropped=1.0, doubled=0, delay_s=0)
            ending = await self.withdraw_now()
            for phone in (kari, frida):
                await self.check_excluded(phone, ending, within_s=self.heartbeat_s + 1 + SLACK_S)

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
                await frida.wait("room.closed", patience_s=1 + SLACK_S)
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
        self.heartbeat_s = 60.0  # the hint alone does it
        async with self.gateway() as gateway:
            other = await self.rest(self.sign_in, "kari")
            first, second = await self.phone(gateway, "kari"), await self.connect(gateway)
            await second.hello(other.token)
            await self.rest(other.ok, "post", "me/sign-out")
            assert await second.until_closed(1 + SLACK_S) == frames.SESSION_ENDED
            first.say(type="ping")
            await first.wait("pong")
            assert first.closed is None

    async def test_an_ended_session_is_found_at_the_heartbeat_when_the_hint_is_lost(self) -> None:
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            Weather(gateway, 0, dropped=1.0, doubled=0, delay_s=0)
            await self.rest((await self.rest(self.person, "kari")).ok, "post", "me/sign-out")
            assert await kari.until_closed(self.heartbeat_s + 1 + SLACK_S) == frames.SESSION_ENDED

    async def test_an_ended_engagement_closes_its_rooms_and_its_sockets(self) -> None:
        self.heartbeat_s = 60.0  # the hint alone does it
        async with self.gateway() as gateway:
            vera, kari = await self.phones(gateway, "vera", "kari")
            await self.rest(self._end_engagement)
            assert await vera.until_closed(1 + SLACK_S) == frames.SESSION_ENDED
            await kari.wait(
                lambda f: f["type"] == "event" and f["event"]["type"] == "member_left", patience_s=1 + SLACK_S
            )
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
            assert await kari.until_closed(self.heartbeat_s + 1 + SLACK_S) == frames.DEACTIVATED
            again = await self.connect(gateway)
            again.say(type="hello", protocol=1, token=token)
            assert await again.until_closed() == frames.DEACTIVATED
