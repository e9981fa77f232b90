"""PLACEHOLDER, to be overwritten by the helper who builds message notifications: sends nothing, and says so."""

from server.common.errors import NotFound
from server.notify.models import Delivery


class Notices:
    """`notify.ports.Keeper`."""

    def may_send(self, delivery: Delivery) -> bool:
        return False

    def sent(self, delivery: Delivery) -> None:
        """Nothing."""

    def failed(self, delivery: Delivery, code: str, *, final: bool) -> None:
        """Nothing."""

    def received(self, delivery: Delivery) -> None:
        """Nothing."""

    def answered(self, delivery: Delivery, accept: bool, actor_note: str) -> dict[str, object]:
        raise NotFound
