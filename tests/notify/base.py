"""A demo town whose people have devices."""

from typing import Any
from unittest import mock
from uuid import UUID

from server.common.errors import Conflict
from server.common.ids import new_id
from server.notify import ports
from server.notify.actions import Order, enqueue
from server.notify.models import Address, Delivery
from server.people.models import User
from tests.base import TownTestCase
from tests.support.deliveries import means
from tests.support.push_service import PushService, Subscription


class Told:
    """A `ports.Keeper` that writes down what it is told."""

    def __init__(self) -> None:
        self.asked: list[UUID] = []
        self.told: list[tuple[Any, ...]] = []
        self.may = True
        self.taken = False
        self.fault: Exception | None = None

    def may_send(self, delivery: Delivery) -> bool:
        self.asked.append(delivery.id)
        return self.may

    def sent(self, delivery: Delivery) -> None:
        self._tell("sent")

    def failed(self, delivery: Delivery, code: str, *, final: bool) -> None:
        self._tell("failed", code, final)

    def received(self, delivery: Delivery) -> None:
        self._tell("received")

    def answered(self, delivery: Delivery, accept: bool, actor_note: str) -> dict[str, object]:
        if self.taken:
            raise Conflict(code="already_accepted")
        self._tell("answered", accept, actor_note)
        return {"state": "accepted" if accept else "declined"}

    def _tell(self, *what: Any) -> None:
        if self.fault is not None:
            raise self.fault
        self.told.append(what)


class NotifyTestCase(TownTestCase):
    """With a push service, and a keeper that listens, for pages and messages alike."""

    def setUp(self) -> None:
        super().setUp()
        self.push = self.enterContext(PushService())
        self.enterContext(means(push_hosts_allowed=[self.push.host]))
        self.keeper = Told()
        for port in (ports.PAGES, ports.MESSAGES):
            self.enterContext(mock.patch.object(port, "_bound", self.keeper))

    def device(self, username: str = "nils") -> tuple[Subscription, Address]:
        """Somebody registers a new browser."""
        browser = self.push.subscribe(key=self.person(username).ok("get", "push/key")["key"])
        said = self.person(username).ok("post", "devices", {"subscription": browser, "name": "Min telefon"})
        return browser, Address.objects.get(id=said["id"])

    def order(self, address: Address | None = None, **more: Any) -> Delivery:
        """Into the outbox: a page, unless told otherwise."""
        fields: dict[str, Any] = {
            "id": new_id(),
            "kind": "page",
            "about": new_id(),
            "channel": "push",
            "address_id": address.id if address is not None else None,
            "user_id": address.user_id if address is not None else None,
            "urgent": True,
            "ttl_s": 60,
            "topic": "alert-1",
        }
        enqueue([Order(**{**fields, **more})])
        return Delivery.objects.get(id=more.get("id", fields["id"]))

    def user(self, username: str) -> User:
        return User.objects.get(username=username)
