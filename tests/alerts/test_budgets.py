"""How many statements a call for help costs, from the button to the page: fixed, whatever else there is.

SAVEPOINTs of the test's own transaction are not counted. PostgreSQL needs one or two more here and there: `make
bench-alerts` counts those.
"""

from collections.abc import Callable
from uuid import uuid4

from django.db import connection
from django.test.utils import CaptureQueriesContext

from server.alerts import router
from server.alerts.models import Alert
from server.common.clock import now
from server.people.crowd import bulk_patients
from server.people.models import Unit, User
from tests.alerts.base import HOUR, NightTestCase
from tests.base import Client
from tests.support.deliveries import deliver, means
from tests.support.push_service import PushService
from tests.support.served import sqlite_only

pytestmark = sqlite_only

BUDGET = {
    "press": 28,  # key; is there a call; programme, policy; the call (4); the look below; what is shown (4)
    "press again": 15,
    "look": 13,  # the alert, held; what was seen, who is called (5); state, event, pages, log
    "look in vain": 8,
    "tick": 5,  # nothing due: the clock, the heartbeat (3), the question
    "send": 19,  # leased (6), asked (4), recorded and told (9)
    "receipt": 9,
    "accept": 14,
}


class Budgets(NightTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.push = self.enterContext(PushService())
        self.enterContext(means(push_hosts_allowed=[self.push.host]))
        self.browser = self.push.subscribe(key=self.person("nils").ok("get", "push/key")["key"])
        self.person("nils").ok("post", "devices", {"subscription": self.browser})
        self.shift("nils")

    def cost(self, deed: Callable[[], object]) -> int:
        with CaptureQueriesContext(connection) as seen:
            deed()
        found = [one["sql"] for one in seen.captured_queries if "SAVEPOINT" not in one["sql"]]
        return len(found)

    def spent(self, phone: Client) -> dict[str, int]:
        """A whole call, answered."""
        call, spent = uuid4(), {}
        spent["press"] = self.cost(lambda: self.pressed(phone, call))
        spent["press again"] = self.cost(lambda: self.pressed(phone, call))
        Alert.objects.filter(id=call).update(state="received", step=-1)
        spent["look"] = self.cost(lambda: router.look(call))
        spent["look in vain"] = self.cost(lambda: router.look(call))
        spent["tick"] = self.cost(router.tick)
        spent["send"] = self.cost(lambda: deliver(rounds=1))
        token = self.push.received(self.browser)[-1]["token"]
        spent["receipt"] = self.cost(lambda: Client().ok("post", f"pages/{token}/receipt"))
        spent["accept"] = self.cost(lambda: Client().ok("post", f"pages/{token}/accept"))
        return spent

    def test_no_part_costs_more_than_its_budget(self) -> None:
        spent = self.spent(self.phone(self.trine_key()))
        assert {part: spent[part] for part, most in BUDGET.items() if spent[part] > most} == {}, spent

    def test_more_people_devices_and_alerts_cost_nothing(self) -> None:
        phone = self.phone(self.trine_key())
        before = self.spent(phone)
        Alert.objects.update(state="closed", due_at=None, duty="", closed_at=now(), responder=None)
        unit = Unit.objects.get(name="Ytre DPS")
        nils = User.objects.get(username="nils")
        for patient in bulk_patients([unit], 3, recorded_by=nils):
            Alert.objects.create(
                patient=patient,
                programme=self.programme,
                id=uuid4(),
                step_at=now(),
                raised_at=now(),
                due_at=now() + HOUR,
                raised_from="key",
            )
        for name in ("ida", "mona"):
            browser = self.push.subscribe(key=self.person(name).ok("get", "push/key")["key"])
            self.person(name).ok("post", "devices", {"subscription": browser})
        assert self.spent(phone) == before
