"""How many statements each hot endpoint costs: fixed, whatever the number of rooms, members and messages.

Each answer includes one statement for the session. SAVEPOINTs of the test's own transaction are counted with.
"""

from collections.abc import Sequence

from django.db import connection
from django.test.utils import CaptureQueriesContext

from server.audit.entry import SYSTEM
from server.people import actions as people
from server.people.models import Unit, User
from tests.base import Opened, TownTestCase

BUDGET = {
    "post": 9,  # session; permit (5); numbers, event, log; the event as everybody gets it, less what a permit may spare
    "events": 7,  # session, permit, one read, log
    "list": 13,
    "room": 13,
    "members": 9,
    "receipts": 7,
    "read": 7,
}
PURPOSES = ("coordination", "transition", "crisis_plan")


class Budgets(TownTestCase):
    def cost(self, name: str, method: str, path: str, data: object = None) -> int:
        """Statements without savepoints, the second time it is done (keys and content types are warm)."""
        client = self.person(name)
        client.ok(method, path, data)
        with CaptureQueriesContext(connection) as seen:
            client.ok(method, path, self.fresh(data))
        return len(self.statements(seen))

    def fresh(self, data: object) -> object:
        return {**data, "txn_id": f"s{next(self._numbers)}"} if isinstance(data, dict) and "txn_id" in data else data

    @staticmethod
    def statements(seen: CaptureQueriesContext) -> Sequence[str]:
        found = [one["sql"] for one in seen.captured_queries if "SAVEPOINT" not in one["sql"]]
        # The list is recorded once for each room on the page: rows of one batch count as one.
        batch = [sql for sql in found if sql.startswith('INSERT INTO "audit_auditevent"')]
        return [sql for sql in found if sql not in batch[1:]]

    def budget(self, room: Opened) -> dict[str, int]:
        return {
            "post": self.cost(
                "kari", "post", f"{room.path}/messages", {"txn_id": f"f{next(self._numbers)}", "body": "hei"}
            ),
            "events": self.cost("kari", "get", f"{room.path}/events?after=0"),
            "list": self.cost("kari", "get", "rooms"),
            "room": self.cost("kari", "get", room.path),
            "members": self.cost("kari", "get", f"{room.path}/members"),
            "receipts": self.cost("kari", "get", f"{room.path}/receipts"),
            "read": self.cost("kari", "put", f"{room.path}/read", {"seq": 1}),
        }

    def test_no_endpoint_costs_more_than_its_budget(self) -> None:
        room = self.open_shared_room()
        spent = self.budget(room)
        assert {label: spent[label] for label, most in BUDGET.items() if spent[label] > most} == {}, spent

    def test_who_is_refused_costs_little(self) -> None:
        room = self.open_shared_room()
        sara = self.person("sara")
        sara.get(f"{room.path}/events")
        with CaptureQueriesContext(connection) as seen:
            assert sara.get(f"{room.path}/events").status_code == 404
        assert len(self.statements(seen)) <= 8

    def test_more_rooms_members_and_messages_cost_nothing(self) -> None:
        room = self.open_shared_room()
        before = self.budget(room)
        for purpose in PURPOSES[1:]:
            self.open_shared_room(purpose=purpose)
        self.open_shared_room(patient="trine")
        unit = Unit.objects.get(name="Ytre DPS")
        more = [User.objects.create(username=f"mange{number}", name=f"Mange {number}") for number in range(8)]
        for one in more:
            people.engage(user=one, unit=unit, role="psykolog", health_personnel=True, actor=SYSTEM)
            self.propose(room, "kari", one.username)
        self.change(room)
        for number in range(20):
            self.post(room, "frida", f"nr. {number}")
        assert self.budget(room) == before
