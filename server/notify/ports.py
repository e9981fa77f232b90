"""Whom a delivery belongs to: higher floors say whether it may still be sent, and are told what became of it."""

from typing import Protocol

from server.common.ports import Port
from server.notify.models import Delivery, DeliveryKind
from server.notify.own import OwnDeliveries


class Keeper(Protocol):
    """Owner of a kind of delivery. Called inside a transaction, the worker's own or a request's; what it raises rolls
    that back, and the delivery stays due."""

    def may_send(self, delivery: Delivery) -> bool:
        """Asked right before each attempt: whoever was to get it may have lost access meanwhile (S5)."""

    def sent(self, delivery: Delivery) -> None:
        """The provider accepted it."""

    def failed(self, delivery: Delivery, code: str, *, final: bool) -> None:
        """An attempt failed: whoever has another channel takes it now. Unless `final`, more attempts follow."""

    def received(self, delivery: Delivery) -> None:
        """The device, or the network, says that it has it."""

    def answered(self, delivery: Delivery, accept: bool, actor_note: str) -> dict[str, object]:
        """The person answered, by `button` or by `key`. Returns `{"state": …}` and nothing about whom.

        A page that was accepted is accepted anew whenever that is said again: it does nothing as long as the person
        has it, and must not take it from anybody. May raise Conflict (`already_accepted`, `old_page`), whose code is
        all that is told.
        """


PAGES: Port[Keeper] = Port("notify.Pages")
MESSAGES: Port[Keeper] = Port("notify.Messages")

_OWN = OwnDeliveries()


def keeper(kind: str) -> Keeper:
    """Who owns deliveries of this kind."""
    if kind in (DeliveryKind.TEST, DeliveryKind.NOTICE):
        return _OWN
    return MESSAGES() if kind == DeliveryKind.MESSAGE else PAGES()
