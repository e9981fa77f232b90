"""A night with a real push service and a real gateway, and Nils on call with a phone that has a device."""

from typing import Any

from tests.alerts.base import NightTestCase
from tests.base import Client
from tests.support.deliveries import SECRET, deliver, means
from tests.support.gateway_sink import GatewaySink
from tests.support.push_service import Message, PushService, Subscription


class RingingTestCase(NightTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.push, self.gateway = self.enterContext(PushService()), self.enterContext(GatewaySink(SECRET))
        self.enterContext(means(push_hosts_allowed=[self.push.host], gateway_url=self.gateway.url))
        self.nils = self.device("nils")
        self.shift("nils")

    def device(self, name: str) -> Subscription:
        person = self.person(name)
        found = self.push.subscribe(key=person.ok("get", "push/key")["key"])
        person.ok("post", "devices", {"subscription": found, "name": "Telefon"})
        return found

    def page(self, of: Subscription | None = None) -> Message:
        deliver()
        return [one for one in self.push.received(of or self.nils) if one["kind"] == "page"][-1]

    def answer(self, page: Message, verb: str) -> Any:
        return Client().post(f"pages/{page['token']}/{verb}", {})
