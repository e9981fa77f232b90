"""Calls for help over the socket: what the tests of them share."""

from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from server.alerts import store
from server.alerts.demo import build_programme
from server.alerts.facts import Note
from server.audit.models import AuditEvent
from server.common.clock import now
from server.gateway.app import Gateway
from tests.alerts.base import Night
from tests.base import JSON, Client
from tests.gateway.driver import Frame, GatewayTestCase, Phone
from tests.gateway.test_documents import fits

FINISHED = {"outcome": "helped_by_phone", "children": "none", "done": "Snakket i 20 minutter."}


def told(phone: Phone, alert: JSON | None = None) -> list[JSON]:
    """What it was sent of an alert, oldest first; or of all."""
    found = [frame["alert"] for frame in phone.of("alert")]
    return [one for one in found if alert is None or one["id"] == alert["id"]]


def is_told(**wanted: Any) -> Any:
    return lambda frame: frame["type"] == "alert" and all(frame["alert"][name] == one for name, one in wanted.items())


class LiveTestCase(GatewayTestCase, Night):
    """Trine presses; her session, her key, the team and strangers have sockets."""

    shared = False

    def setUp(self) -> None:
        super().setUp()
        self.programme = build_programme()

    async def key_phone(self, gateway: Gateway, key: str | None = None, cursors: Any = None, **more: Any) -> Phone:
        """A socket of Trine's phone that has a key and no session."""
        phone = await self.connect(gateway, **more)
        await phone.hello(None, cursors, alert_key=key or await self.rest(self.trine_key))
        return phone

    async def does(self, who: str, alert: JSON, verb: str, **said: Any) -> JSON:
        return await self.rest(self._does, who, alert, verb, said)

    def _does(self, who: str, alert: JSON, verb: str, said: JSON) -> JSON:
        answer: JSON = self.person(who).ok("post", f"alerts/{alert['id']}/{verb}", said)
        return answer

    def received(self, alert: JSON, who: str = "nils") -> None:
        """A device has it."""
        with transaction.atomic():
            row = store.locked(UUID(alert["id"]))
            assert row is not None
            note = Note("page_received", page=uuid4(), contact=self.user_id(who), channel="push")
            store.write_outcome(row, note, now=now(), soon=False)

    def over_rest(self, by: Client | str, alert: JSON) -> JSON:
        client = self.person(by) if isinstance(by, str) else by
        answer: JSON = client.ok("get", f"alerts/{alert['id']}")
        return answer

    async def last(self, phone: Phone, **wanted: Any) -> JSON:
        """The alert as it was sent, once it is as wanted."""
        frame: Frame = await phone.wait(is_told(**wanted))
        fits("alert", frame)
        shown: JSON = frame["alert"]
        return shown

    async def records(self, type_: str, who: str | None = None) -> int:
        rows = AuditEvent.objects.filter(type=type_, outcome="success")
        if who is not None:
            rows = rows.filter(actor_id=await self.rest(self.user_id, who))
        count: int = await self.rest(rows.count)
        return count
