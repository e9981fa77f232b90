"""Deliveries that nobody above owns: a test of a device, a note that something waits."""

from server.common.errors import NotFound
from server.notify.models import Delivery


class OwnDeliveries:
    """`ports.Keeper`. That a device received something stands on its address, whoever owns the delivery."""

    def may_send(self, delivery: Delivery) -> bool:
        if delivery.address is not None and delivery.address.session == delivery.about:
            return False  # somebody signed in: on this very device
        return delivery.user is None or delivery.user.is_active

    def sent(self, delivery: Delivery) -> None:
        """It stands on the delivery."""

    def failed(self, delivery: Delivery, code: str, *, final: bool) -> None:
        """It stands on the delivery; there is no other channel."""

    def received(self, delivery: Delivery) -> None:
        """It stands on the delivery."""

    def answered(self, delivery: Delivery, accept: bool, actor_note: str) -> dict[str, object]:
        raise NotFound  # there is nothing to answer
