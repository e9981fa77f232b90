"""A socket's ordinary life: hello, posting, receipts, typing, rooms that open and close, the heartbeat."""

from typing import Any
from unittest import mock
from uuid import uuid4

from server.audit.models import AuditEvent
from server.gateway import jobs
from server.rooms.models import RoomEvent
from tests.gateway.driver import SLACK_S, GatewayTestCase, Phone, quiet


def post(phone: Phone, room: Any, body: str = "hei", txn_id: str | None = None, **more: Any) -> str:
    name = txn_id or str(uuid4())
    phone.say(type="post", room=str(room.id), txn_id=name, body=body, **more)
    return name


class Hello(GatewayTestCase):
    async def test_the_welcome_says_who_which_rooms_and_how_often_the_heart_beats(self) -> None:
        async with self.gateway() as gateway:
            phone = await self.connect(gateway)
            kari = await self.rest(self.person, "kari")
            welcome = await phone.hello(kari.token)
            head = await self.rest(self.head)
            assert welcome == {
                "type": "welcome",
                "user": str(kari.user_id),
                "protocol": 1,
                "heartbeat_s": self.heartbeat_s,
                "rooms": {str(self.room.id): head},
            }
            assert phone.events(self.room) == [], "a room absent from the cursors starts at its head"

    async def test_the_current_receipts_come_before_synced(self) -> None:
        async with self.gateway() as gateway:
            phone = await self.phone(gateway, "kari")
            kinds = [frame["type"] for frame in phone.frames]
            assert kinds[:1] + kinds[-1:] == ["welcome", "synced"]
            members = {str(await self.rest(self.user_id, one)) for one in ("are", "kari", "frida", "vera")}
            assert set(phone.last_receipts(self.room)) == members

    async def test_what_was_missed_comes_in_order_and_before_synced(self) -> None:
        head = await self.rest(self.head)
        for number in range(5):
            await self.rest(self.post, self.room, "frida", f"nr. {number}")
        async with self.gateway() as gateway:
            phone = await self.phone(gateway, "kari", {str(self.room.id): head + 1})
            assert phone.seqs(self.room) == [head + 2, head + 3, head + 4, head + 5]
            assert phone.frames[-1]["type"] == "synced"

    async def test_resuming_equals_the_history_over_rest(self) -> None:
        await self.rest(self.post, self.room, "frida", "ja", kind="agreed")
        async with self.gateway() as gateway:
            phone = await self.phone(gateway, "vera", {str(self.room.id): 0})
            assert phone.events(self.room) == await self.rest(self.events, self.room, "vera")
            await quiet(phone)
            assert len(phone.seqs(self.room)) == len(set(phone.seqs(self.room)))

    async def test_a_cursor_ahead_is_told_and_the_room_goes_on_from_its_head(self) -> None:
        head = await self.rest(self.head)
        async with self.gateway() as gateway:
            phone = await self.phone(gateway, "kari", {str(self.room.id): head + 40})
            assert phone.of("error") == [{"type": "error", "code": "cursor_ahead", "ref": str(self.room.id)}]
            event = await self.rest(self.post, self.room, "frida")
            await phone.has(self.room, event["seq"])

    async def test_foreign_and_unknown_rooms_in_the_cursors_are_answered_alike(self) -> None:
        other = await self.rest(self.open_shared_room, patient="trine", by="sara", propose=())
        nowhere = str(uuid4())
        async with self.gateway() as gateway:
            phone = await self.phone(gateway, "kari", {str(other.id): 0, nowhere: 0, str(self.room.id): 0})
            closed = {frame["room"]: frame["reason"] for frame in phone.of("room.closed")}
            assert closed == {str(other.id): "not_open", nowhere: "not_open"}
            assert phone.events(str(other.id)) == []
        refused = await self.rest(
            lambda: AuditEvent.objects.filter(type="room.followed", outcome="refused", room_id=other.id).count()
        )
        assert refused == 1

    async def test_a_gap_too_large_is_limited_and_paged_over_rest(self) -> None:
        head = await self.rest(self.head)
        for number in range(6):
            await self.rest(self.post, self.room, "frida", f"nr. {number}")
        with self._catch_up(events=5):
            async with self.gateway() as gateway:
                phone = await self.phone(gateway, "kari", {str(self.room.id): head})
                limited = {"type": "limited", "room": str(self.room.id), "from": head, "head": head + 6}
                assert phone.of("limited") == [limited]
                assert phone.events(self.room) == []
                event = await self.rest(self.post, self.room, "frida")
                await phone.has(self.room, event["seq"])

    async def test_a_gap_too_large_in_bytes_is_limited_too(self) -> None:
        head = await self.rest(self.head)
        await self.rest(self.post, self.room, "frida", "x" * 9000)
        with self._catch_up(size=5000):
            async with self.gateway() as gateway:
                phone = await self.phone(gateway, "kari", {str(self.room.id): head})
                assert [(one["from"], one["head"]) for one in phone.of("limited")] == [(head, head + 1)]

    def _catch_up(self, *, events: int = jobs.CATCH_UP_EVENTS, size: int = jobs.CATCH_UP_BYTES) -> Any:
        return mock.patch.multiple(jobs, CATCH_UP_EVENTS=events, CATCH_UP_BYTES=size)

    async def test_following_is_on_record_at_its_start_and_at_its_end(self) -> None:
        async with self.gateway() as gateway:
            phone = await self.phone(gateway, "kari")
            assert await self._followed("room.followed") == 1
            await phone.leave()
            self._phones.clear()
        assert await self._followed("room.unfollowed") == 1

    async def _followed(self, kind: str) -> int:
        kari = await self.rest(self.user_id, "kari")
        wanted = AuditEvent.objects.filter(type=kind, actor_id=kari, room_id=self.room.id)
        count: int = await self.rest(wanted.count)
        return count


class Posting(GatewayTestCase):
    async def test_everybody_gets_it_the_sender_too_and_the_sender_is_told_its_seq(self) -> None:
        async with self.gateway() as gateway:
            kari, frida, are = await self.phones(gateway, "kari", "frida", "are")
            name = post(kari, self.room, "Hei alle 👋")
            posted = await kari.wait("posted")
            assert posted == {"type": "posted", "room": str(self.room.id), "txn_id": name, "seq": posted["seq"]}
            for phone in (kari, frida, are):
                await phone.has(self.room, posted["seq"])
            assert kari.events(self.room) == frida.events(self.room) == are.events(self.room)
            event = kari.events(self.room)[0]
            assert event["content"] == {"kind": "text", "body": "Hei alle 👋", "reply_to": None}

    async def test_a_retry_is_the_same_act_and_another_body_is_not(self) -> None:
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            name = post(kari, self.room, "en")
            first = await kari.wait("posted")
            seen = len(kari.frames)
            post(kari, self.room, "en", name)
            assert await kari.wait("posted", after=seen) == first
            post(kari, self.room, "to", name)
            assert (await kari.wait("error"))["code"] == "txn_id_reused"
            assert await self.rest(RoomEvent.objects.filter(room_id=self.room.id, txn_id=name).count) == 1
            assert await self.rest(self.head) == first["seq"], "the timeline has no holes"

    async def test_the_same_txn_id_many_times_at_once_is_one_message(self) -> None:
        async with self.gateway() as gateway:
            phones = [await self.phone(gateway, "kari") for _ in range(3)]
            for phone in phones * 4:
                post(phone, self.room, "en gang", "same")
            for phone in phones:
                await phone.wait(lambda _, p=phone: len(p.of("posted")) == 4)  # type: ignore[misc]
            assert len({frame["seq"] for phone in phones for frame in phone.of("posted")}) == 1
            assert await self.rest(RoomEvent.objects.filter(room_id=self.room.id, txn_id="same").count) == 1

    async def test_one_sender_s_messages_keep_their_order(self) -> None:
        async with self.gateway() as gateway:
            kari, frida = await self.phones(gateway, "kari", "frida")
            sent = [f"nr. {number}" for number in range(60)]
            for words in sent:
                post(kari, self.room, words)
            await kari.wait(lambda _: len(kari.of("posted")) == 60)
            await frida.wait(lambda _: len(frida.bodies(self.room)) == 60)
            assert frida.bodies(self.room) == sent

    async def test_a_follower_who_writes_takes_part(self) -> None:
        async with self.gateway() as gateway:
            are, kari = await self.phones(gateway, "are", "kari")
            post(are, self.room, "Jeg kan ikke 11. november")
            posted = await are.wait("posted")
            await kari.has(self.room, posted["seq"])
            changed = [event for event in kari.events(self.room) if event["type"] == "participation"]
            assert changed[0]["seq"] == posted["seq"] - 1
            post(are, self.room, "Kan jeg bytte?")
            await kari.wait(lambda _: len(kari.bodies(self.room)) == 2)

    async def test_replies_and_agreed_notes(self) -> None:
        async with self.gateway() as gateway:
            kari, frida = await self.phones(gateway, "kari", "frida")
            post(kari, self.room, "17. november?")
            first = (await kari.wait("posted"))["seq"]
            await frida.has(self.room, first)
            post(frida, self.room, "Avtalt: 17. november", kind="agreed", reply_to=first)
            await kari.has(self.room, first + 1)
            content = kari.events(self.room)[-1]["content"]
            assert content == {"kind": "agreed", "body": "Avtalt: 17. november", "reply_to": first}
            post(frida, self.room, "?", "bad", reply_to=first + 500)
            assert await frida.wait("error") == {"type": "error", "code": "invalid", "ref": "bad"}

    async def test_a_post_to_a_foreign_or_unknown_room_is_not_found_and_on_record(self) -> None:
        other = await self.rest(self.open_shared_room, patient="trine", by="sara", propose=())
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            for room in (str(other.id), str(uuid4())):
                seen = len(kari.frames)
                kari.say(type="post", room=room, txn_id=room[:30], body="hei")
                answer = await kari.wait("error", after=seen)
                assert answer == {"type": "error", "code": "not_found", "ref": room[:30]}
        refused = AuditEvent.objects.filter(type="message.posted", outcome="refused", room_id=other.id)
        assert await self.rest(refused.count) == 1

    async def test_refused_posts_say_why(self) -> None:
        asked = await self.rest(self.open_room, patient="trine", by="sara", propose=())
        async with self.gateway() as gateway:
            sara, trine = await self.phones(gateway, "sara", "trine")
            post(sara, asked, "hei", "early")
            assert await sara.wait("error") == {"type": "error", "code": "consent_missing", "ref": "early"}
            post(trine, asked, "er det noen?", "alone")
            assert await trine.wait("error") == {"type": "error", "code": "nobody_here", "ref": "alone"}


class Receipts(GatewayTestCase):
    async def test_delivered_and_read_are_told_to_the_room(self) -> None:
        async with self.gateway() as gateway:
            kari, vera = await self.phones(gateway, "kari", "vera")
            post(kari, self.room)
            seq = (await kari.wait("posted"))["seq"]
            await vera.has(self.room, seq)
            vera.say(type="delivered", room=str(self.room.id), seq=seq)
            her = str(await self.rest(self.user_id, "vera"))
            await kari.wait(lambda f: f["type"] == "receipt" and f["user"] == her and f["delivered"] == seq)
            vera.say(type="read", room=str(self.room.id), seq=seq)
            await kari.wait(lambda f: f["type"] == "receipt" and f["user"] == her and f["read"] == seq)
            found = {one["user"]: one for one in (await self._receipts())}
            assert found[her] == {"user": her, "delivered": seq, "read": seq}

    async def _receipts(self) -> list[dict[str, Any]]:
        kari = await self.rest(self.person, "kari")
        page: dict[str, Any] = await self.rest(kari.ok, "get", f"{self.room.path}/receipts")
        return list(page["results"])

    async def test_marks_never_go_back(self) -> None:
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            head = await self.rest(self.head)
            me = str(await self.rest(self.user_id, "kari"))
            kari.say(type="read", room=str(self.room.id), seq=head)
            await kari.wait(lambda f: f["type"] == "receipt" and f["user"] == me and f["read"] == head)
            kari.say(type="read", room=str(self.room.id), seq=1)
            kari.say(type="delivered", room=str(self.room.id), seq=2)
            await quiet(kari, 4)
            assert kari.last_receipts(self.room)[me] == (head, head)

    async def test_a_mark_ahead_is_refused(self) -> None:
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            head = await self.rest(self.head)
            kari.say(type="delivered", room=str(self.room.id), seq=head + 1)
            assert await kari.wait("error") == {"type": "error", "code": "cursor_ahead", "ref": str(self.room.id)}

    async def test_a_mark_in_a_foreign_room_is_not_found(self) -> None:
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            room = str(uuid4())
            kari.say(type="read", room=room, seq=1)
            assert await kari.wait("error") == {"type": "error", "code": "not_found", "ref": room}

    async def test_at_most_one_receipt_a_second_per_member_and_room(self) -> None:
        async with self.gateway() as gateway:
            kari, vera = await self.phones(gateway, "kari", "vera")
            her, before = str(await self.rest(self.user_id, "vera")), len(kari.frames)
            for number in range(20):
                post(kari, self.room, f"nr. {number}")
                await vera.wait(lambda _, n=number: len(vera.bodies(self.room)) > n)  # type: ignore[misc]
                vera.say(type="delivered", room=str(self.room.id), seq=vera.seqs(self.room)[-1])
            last = vera.seqs(self.room)[-1]
            await kari.wait(lambda f: f["type"] == "receipt" and f["user"] == her and f["delivered"] == last)
            told = [f for f in kari.frames[before:] if f["type"] == "receipt" and f["user"] == her]
            assert len(told) <= 4


class Rooms(GatewayTestCase):
    shared = False

    async def test_a_room_opens_on_a_socket_that_is_there(self) -> None:
        async with self.gateway() as gateway:
            kari, frida, are = await self.phones(gateway, "kari", "frida", "are")
            room = await self.rest(self.open_room)
            await are.wait(lambda f: f["type"] == "room.opened" and f["room"] == str(room.id))
            await quiet(frida)
            assert frida.of("room.opened") == [], "who is proposed is told nothing (S3)"
            assert kari.of("room.opened") == []
            await self.rest(self.give, room)
            for phone in (kari, frida):
                await phone.wait(
                    lambda f: f["type"] == "room.opened" and f["room"] == str(room.id), patience_s=1 + SLACK_S
                )
            await quiet(frida)
            assert len(frida.of("room.opened")) == 1
            assert frida.events(room) == await self.rest(self.events, room, "frida")

    async def test_a_room_closes_and_opens_again_with_an_interval_of_its_own(self) -> None:
        room = await self.rest(self.open_shared_room)
        async with self.gateway() as gateway:
            vera, are = await self.phones(gateway, "vera", "are")
            member = (await self.rest(self.members, room))["vera"]
            person = await self.rest(self.person, "are")
            await self.rest(person.delete, f"{room.path}/members/{member['id']}")
            closed = await vera.wait("room.closed", patience_s=1 + SLACK_S)
            assert closed["room"] == str(room.id)
            hidden = await self.rest(self.post, room, "kari", "uten Vera")
            await self.rest(self.propose, room, "kari", "vera")
            await self.rest(self.change, room)
            await vera.wait("room.opened")
            after = await self.rest(self.post, room, "kari", "med Vera")
            await vera.has(room, after["seq"])
            assert hidden["seq"] not in vera.seqs(room)
            assert vera.seqs(room) == sorted(set(vera.seqs(room)))
            await are.has(room, hidden["seq"])


class Ephemeral(GatewayTestCase):
    async def test_typing_is_told_to_the_others_now_and_then(self) -> None:
        async with self.gateway() as gateway:
            kari, frida = await self.phones(gateway, "kari", "frida")
            for _ in range(20):
                kari.say(type="typing", room=str(self.room.id))
            her = str(await self.rest(self.user_id, "kari"))
            assert await frida.wait("typing") == {"type": "typing", "room": str(self.room.id), "user": her}
            await quiet(frida)
            assert len(frida.of("typing")) == 1
            assert kari.of("typing") == []

    async def test_typing_elsewhere_is_nobody_s_business(self) -> None:
        other = await self.rest(self.open_shared_room, patient="trine", by="sara", propose=())
        async with self.gateway() as gateway:
            kari, sara = await self.phones(gateway, "kari", "sara")
            kari.say(type="typing", room=str(other.id))
            await quiet(kari)
            assert sara.of("typing") == kari.of("error") == []

    async def test_ping_is_answered_and_the_heart_beats_with_heads(self) -> None:
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            kari.say(type="ping")
            assert await kari.wait("pong") == {"type": "pong"}
            beat = await kari.wait("heartbeat")
            assert beat == {"type": "heartbeat", "heads": {str(self.room.id): await self.rest(self.head)}}
