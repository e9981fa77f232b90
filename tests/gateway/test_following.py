"""What the log says of a socket (law 1, L2): each following has its start and its end, and each refusal its patient."""

import asyncio
from uuid import uuid4

from server.audit.entry import SYSTEM
from server.audit.models import AuditEvent
from server.gateway import frames
from server.people.actions import engage
from tests.gateway.driver import GatewayTestCase


class Following(GatewayTestCase):
    async def test_as_many_ends_as_starts_however_often_it_is_looked_at(self) -> None:
        """Red when two looks at once both enter a new room, or an entered room that is not kept has no end."""
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            assert gateway.hub is not None
            hub = gateway.hub
            await self.rest(self.withdraw, self.room)
            await kari.wait("room.closed")
            giving = asyncio.create_task(self.rest(self.give, self.room))
            for _ in range(20):
                hub.look_again(hub.sockets)
                await asyncio.sleep(0.01)
            await giving
            await kari.wait("room.opened")
            for _ in range(5):
                hub.look_again(hub.sockets)
            await asyncio.sleep(0.3)
            assert len(kari.of("room.opened")) == 1
            await kari.leave()
            kari_id = await self.rest(self.user_id, "kari")
            mine = AuditEvent.objects.filter(actor_id=kari_id, room_id=self.room.id, outcome="success")
            starts, ends = mine.filter(type="room.followed"), mine.filter(type="room.unfollowed")
            for _ in range(50):  # on a busy machine the socket's end is heard of later
                await asyncio.sleep(0.1)
                await hub.write_unfollowed()
                if await self.rest(starts.count) == await self.rest(ends.count):
                    break
        # A look that began before the answer and ended after it may enter, and leave again.
        assert 2 <= await self.rest(starts.count) <= 3
        assert await self.rest(starts.count) == await self.rest(ends.count)

    async def test_rooms_that_are_not_open_stand_in_their_patient_s_log(self) -> None:
        """Red when a refused follow has no subject, or each guess costs a row of its own."""
        async with self.gateway() as gateway:
            cursors = {str(self.room.id): 0} | {str(uuid4()): 0 for _ in range(50)}
            ida = await self.phone(gateway, "ida", cursors)
            assert {frame["reason"] for frame in ida.of("room.closed")} == {"not_open"}
        ida_id, are_id = await self.rest(self.user_id, "ida"), await self.rest(self.patient_id)
        refused = AuditEvent.objects.filter(actor_id=ida_id, type="room.followed", outcome="refused")
        rows = await self.rest(lambda: [(event.subject_id, event.reason, event.detail) for event in refused])
        assert sorted(rows, key=str) == sorted([(are_id, "no_access", {}), (None, "missing", {"rooms": 50})], key=str)

    async def test_a_socket_goes_with_the_place_of_work_that_is_chosen(self) -> None:
        """Red when the heartbeat asks only whether the session holds."""
        async with self.gateway() as gateway:
            frida = await self.phone(gateway, "frida")

            def choose_another() -> None:
                mine = self.engagement_of("frida")
                other = engage(user=mine.user, unit=mine.unit, role="vikar", health_personnel=True, actor=SYSTEM)
                self.person("frida").ok("post", "me/engagement", {"engagement": str(other.id)})

            await self.rest(choose_another)
            assert await frida.until_closed() == frames.RESTARTING
            again = await self.phone(gateway, "frida")
            assert again.of("welcome")[0]["rooms"] == {}

    async def test_a_socket_that_sends_faster_than_is_written_is_closed(self) -> None:
        """Red when posts wait without a bound."""
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            for number in range(600):
                kari.say(type="post", room=str(self.room.id), txn_id=f"{number}", body="x")
            assert await kari.until_closed() == frames.TOO_MANY
