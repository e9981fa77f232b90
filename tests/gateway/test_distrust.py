"""A consent record that cannot be believed, while sockets are open (law 5): no hint comes with what made it so."""

from server.consent import worker
from server.consent.models import Consent, Version
from tests.gateway.driver import SLACK_S, GatewayTestCase, quiet
from tests.gateway.test_talk import post
from tests.support.database import unguarded


class Distrust(GatewayTestCase):
    heartbeat_s = 0.5

    def setUp(self) -> None:
        super().setUp()
        self.person("are").ok("post", "exclusions", {"user": str(self.user_id("sara"))})
        self.sound = dict(Version.objects.values_list("id", "signature"))

    def break_it(self, form: str = "room") -> None:
        with unguarded():
            Version.objects.filter(consent__form=form).update(signature=bytes(64))

    def put_right(self) -> None:
        with unguarded():
            for id_, signature in self.sound.items():
                Version.objects.filter(id=id_).update(signature=signature)

    def look(self) -> None:
        Consent.objects.update(verified_at=None)
        worker.tick()

    async def test_a_socket_that_comes_is_not_let_in(self) -> None:
        await self.rest(self.break_it)
        async with self.gateway() as gateway:
            kari, are = await self.phones(gateway, "kari", "are")
            assert str(self.room.id) not in kari.of("welcome")[0]["rooms"]
            assert str(self.room.id) in are.of("welcome")[0]["rooms"]

    async def shut_out_by(self, form: str) -> None:
        self.heartbeat_s = 60.0  # the hint alone does it
        async with self.gateway() as gateway:
            kari, are = await self.phones(gateway, "kari", "are")
            head = await self.rest(self.head)
            await self.rest(self.break_it, form)
            await self.rest(self.look)
            closed = await kari.wait("room.closed", patience_s=1 + SLACK_S)
            assert closed == {"type": "room.closed", "room": str(self.room.id), "reason": "access_ended"}
            post(kari, self.room, "for sent", "late")
            assert (await kari.wait("error"))["code"] == "not_found"
            assert [seq for seq in kari.seqs(self.room) if seq > head] == []
            assert are.of("room.closed") == []

    async def test_a_socket_that_is_there_is_shut_out_when_the_worker_finds_it(self) -> None:
        """Red when `alarm` leaves the rooms' epochs as they are."""
        await self.shut_out_by("room")

    async def test_the_same_for_the_patients_exclusions(self) -> None:
        """Red when `distrusted` looks at the consent's own room alone."""
        await self.shut_out_by("exclusions")

    async def test_put_right_again_it_opens_by_itself(self) -> None:
        """Red when a record that cannot be believed ends memberships."""
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            await self.rest(self.break_it)
            await self.rest(self.look)
            await kari.wait("room.closed")
            await self.rest(self.put_right)
            opened = await kari.wait("room.opened", patience_s=self.heartbeat_s + SLACK_S)
            assert opened["room"] == str(self.room.id)
            await quiet(kari)
            event = await self.rest(self.post, self.room, "frida", "videre")
            await kari.has(self.room, event["seq"])
