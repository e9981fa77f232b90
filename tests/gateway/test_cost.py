"""What the gateway costs the database, and that it never waits for it on the event loop."""

import asyncio
import threading
from collections import Counter
from itertools import groupby
from typing import Any
from unittest import mock
from uuid import uuid4

from django.conf import settings
from django.db import connection

from server.common import db
from server.common.clock import now
from server.consent import actions as consents
from server.consent.models import Consent
from server.gateway import poster
from server.people.actors import acting_for, acting_in
from server.people.authentication import authenticate_token
from server.people.crowd import bulk_patients, bulk_sessions
from server.rooms import actions, posting
from tests.gateway.driver import SLACK_S, GatewayTestCase, Statements, paused, quiet
from tests.gateway.test_talk import post


class Cost(GatewayTestCase):
    heartbeat_s = 30.0
    shared = False

    def rooms_of_kari(self, count: int) -> None:
        """Shared rooms, each around somebody new."""
        kari = self.engagement_of("kari")
        opener = acting_for(kari, sign_in="demo", at=now())
        for patient in bulk_patients([kari.unit], count, recorded_by=kari.user):
            room = actions.open_new_room(acting=opener, patient_id=patient.id, purpose="coordination", people=[])
            assert patient.user is not None
            _, token = bulk_sessions([(patient.user, None)])[0]
            consent = Consent.objects.get(room_id=room.id)
            consents.give(acting=acting_in(authenticate_token(token)), consent=consent)

    async def _hello_cost(self, rooms: int) -> int:
        """Statements of one hello; the least of two, since marks are written once a second, which may fall into one."""
        return min([await self._one_hello(rooms) for _ in range(2)])

    async def _one_hello(self, rooms: int) -> int:
        token = (await self.rest(self.person, "kari")).token
        cursors = dict.fromkeys(await self.rest(self.known), 0)
        async with self.gateway() as gateway:
            await self.phone(gateway, "kari")  # keys are in the cache, connections open
            await asyncio.sleep(0.3)
            with Statements().recorded() as seen:
                phone = await self.connect(gateway)
                welcome = await phone.hello(token, cursors)
                await asyncio.sleep(0.3)
        assert len(welcome["rooms"]) == rooms
        # Embedded, rows go in one by one: no round trips, and counted as one statement.
        return len([sql for sql, _ in groupby(sql for _, sql in sorted(seen.all, key=lambda one: one[0]))])

    def known(self) -> list[str]:
        return [one["id"] for one in self.person("kari").ok("get", "rooms?limit=200")["results"]]

    async def test_a_hello_costs_the_same_however_many_rooms(self) -> None:
        await self.rest(self.rooms_of_kari, 1)
        one = await self._hello_cost(1)
        await self.rest(self.rooms_of_kari, 7)
        many = await self._hello_cost(8)
        assert many <= one, (one, many)
        assert one <= 14

    async def test_a_post_is_three_statements_at_most(self) -> None:
        room = await self.rest(self.open_shared_room)
        async with self.gateway() as gateway:
            kari, frida = await self.phones(gateway, "kari", "frida")
            post(kari, room)
            await kari.wait("posted")
            await frida.wait("event")
            await asyncio.sleep(0.2)
            with Statements().recorded() as seen:
                post(kari, room, "to")
                await kari.wait(lambda _: len(kari.of("posted")) == 2)
                await frida.wait(lambda _: len(frida.bodies(room)) == 2)
            writing = [sql for _, sql in seen.all if not sql.lstrip().upper().startswith("SELECT")]
            assert 1 <= len(writing) <= 3, writing
            assert len(seen.all) <= 4, "and the one read of it for everybody"

    async def test_one_read_of_an_event_however_many_sockets(self) -> None:
        room = await self.rest(self.open_shared_room)
        reads = []
        for count in (1, 6):
            async with self.gateway() as gateway:
                kari = await self.phone(gateway, "kari")
                phones = [await self.phone(gateway, who) for who in ("frida", "vera", "are") for _ in range(count)]
                await asyncio.sleep(0.3)
                with Statements().recorded() as seen:
                    event = await self.rest(self.post, room, "kari", "hei")
                    for phone in (kari, *phones):
                        await phone.has(room, event["seq"])
                    await asyncio.sleep(0.1)
                reads.append(sum(thread.startswith("db") for thread, _ in seen.all))
        assert max(reads) <= 2, "one read by the hub (and its catching up with a second hint), no more"

    async def test_a_heartbeat_costs_the_same_however_many_sockets(self) -> None:
        await self.rest(self.open_shared_room)
        self.heartbeat_s = 0.5
        costs = []
        for count in (1, 8):
            async with self.gateway() as gateway:
                phones = [await self.phone(gateway, who) for who in ("kari", "frida") for _ in range(count)]
                await asyncio.sleep(1.2)
                windows = []
                for _ in range(3):  # the least of three: marks are written once a second
                    with Statements().recorded() as seen:
                        await quiet(phones[0], 2)
                    windows.append(len(seen.all) / 2)
                costs.append(min(windows))
        assert costs[1] <= costs[0] + 1

    async def test_no_statement_on_the_thread_of_the_loop(self) -> None:
        room = await self.rest(self.open_shared_room)
        self.heartbeat_s = 0.3
        async with self.gateway() as gateway:
            with Statements().recorded() as seen:
                kari, frida = await self.phones(gateway, "kari", "frida")
                post(kari, room)
                await frida.wait("event")
                frida.say(type="read", room=str(room.id), seq=frida.seqs(room)[-1])
                kari.say(type="typing", room=str(room.id))
                post(frida, room, "x", reply_to=10**6)
                post(frida, room, "x", txn_id=str(uuid4()))
                await quiet(kari, 3)
                await asyncio.sleep(1.1)
                await kari.leave()
                self._phones.remove(kari)
                await asyncio.sleep(1.1)
            loop = threading.current_thread().name
        threads = Counter(thread for thread, _ in seen.all)
        assert loop not in threads
        assert sum(count for thread, count in threads.items() if thread.startswith("db")) > 10

    async def test_the_loop_answers_while_the_database_sleeps(self) -> None:
        room = await self.rest(self.open_shared_room)
        async with self.gateway() as gateway:
            kari, frida = await self.phones(gateway, "kari", "frida")
            release = threading.Event()
            real = posting.write

            def stuck(*args: object) -> object:
                release.wait(10)
                return real(*args)  # type: ignore[arg-type]

            posting.write = stuck  # type: ignore[assignment]
            try:
                post(kari, room)
                await asyncio.sleep(0.1)
                for phone in (kari, frida):
                    phone.say(type="ping")
                    await phone.wait("pong", patience_s=SLACK_S)
            finally:
                posting.write = real
                release.set()
            await frida.wait("event")

    async def test_connections_stay_under_the_ceiling(self) -> None:
        await self.rest(self.open_shared_room)
        async with self.gateway() as gateway:
            for _ in range(5):
                phones = await asyncio.gather(*(self.phone(gateway, "kari") for _ in range(10)))
                for phone in phones:
                    await phone.leave()
                    self._phones.remove(phone)
            assert not gateway.hub or not gateway.hub.sockets
            assert gateway.hub is not None
            assert gateway.hub.rooms == {}
            assert len(db.executor()._threads) <= settings.ENV.db_threads
            if connection.vendor == "postgresql":
                held = await self.rest(self._held)
                assert held <= settings.ENV.db_threads + settings.ENV.db_pool

    def _held(self) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            found: int = cursor.fetchone()[0]
            return found

    async def test_posts_that_wait_share_their_round_trips(self) -> None:
        room = await self.rest(self.open_shared_room)
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            assert gateway.hub is not None
            waiting, batches = gateway.hub.poster._waiting, []
            with paused(posting, "write", after=False) as write:
                held = posting.write

                def counted(posts: list[Any]) -> Any:
                    batches.append(len(posts))
                    return held(posts)

                with mock.patch.object(posting, "write", counted):
                    for number in range(100):
                        post(kari, room, f"nr. {number}")
                    await write.reached()
                    while batches[0] + len(waiting) < 100:  # noqa: ASYNC110 - until all have come; the test's own limit ends it
                        await asyncio.sleep(0.01)
                    write.go()
                    await kari.wait(lambda _: len(kari.of("posted")) == 100)
            assert sum(batches) == 100
            assert len(batches) <= 1 + -(-99 // poster.BATCH), "what has gathered goes in as few as can be"
