"""The bases themselves: each test starts from the same town, whatever the one before it did."""

import asyncio

from asgiref.sync import sync_to_async
from django.db import connection

from server.audit.models import AuditEvent
from server.common.db import in_db
from server.people.demo import build_town
from server.people.models import Engagement, User
from server.rooms.models import Room, RoomEvent
from tests.base import TownTestCase, TownTransactionTestCase
from tests.support import database


class Town(TownTestCase):
    def test_a_room_is_opened_and_shared(self) -> None:
        room = self.open_shared_room()
        self.post(room, "kari", "hei")
        assert self.events(room, "frida")[-1]["content"]["body"] == "hei"

    def test_nothing_is_left_of_it(self) -> None:
        assert Room.objects.count() == 0


def everything() -> dict[str, list[str]]:
    """Every row of every table, in an order of their own: PostgreSQL gives none. But for what triggers make again."""
    found = {}
    for table in set(database.filled_tables()) - database.MADE_BY_TRIGGERS:
        rows = database.dump(table)
        found[table] = sorted(map(repr, rows.splitlines() if isinstance(rows, bytes) else rows))
    return found


class Copies(TownTransactionTestCase):
    def test_the_town_is_copied_as_it_was_built(self) -> None:
        database.restore()
        database._town.clear()
        database.load_town(build_town)  # built, this time
        first = everything()
        database.restore()
        database.load_town(build_town)
        assert everything() == first
        assert Engagement.objects.current().count() == 7


class Committed(TownTransactionTestCase):
    """Run twice, each test finds the same; threads see what was committed."""

    def test_once(self) -> None:
        self._use()

    def test_twice(self) -> None:
        self._use()

    def _use(self) -> None:
        assert Room.objects.count() == 0
        assert set(AuditEvent.objects.values_list("outcome", flat=True)) == {"success"}
        before = AuditEvent.objects.count()
        room = self.open_shared_room()
        self.post(room, "kari")
        assert AuditEvent.objects.count() > before
        assert connection.get_autocommit()

    async def test_database_threads_see_what_was_committed(self) -> None:
        room = await sync_to_async(self.open_shared_room)()
        counts = await asyncio.gather(*(in_db(RoomEvent.objects.filter(room_id=room.id).count) for _ in range(20)))
        assert counts[0] > 3
        assert len(set(counts)) == 1

    async def test_database_threads_after_the_database_was_replaced(self) -> None:
        assert await in_db(Room.objects.count) == 0
        assert await in_db(User.objects.filter(username="kari").count) == 1

    def test_restoring_empties_every_table(self) -> None:
        self.open_shared_room()
        database.restore()
        assert database.filled_tables() == []
