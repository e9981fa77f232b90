"""Devices that are sent nothing any more because a person has ended the session that registered them: by signing out,
by «sign out there» from another device, or because somebody used its refresh token twice. The session's row says so; it
needs no hint, and holds from the moment of its commit."""

from server.notify.decide import is_silenced
from server.notify.models import Address, AddressKind, Delivery, Gone
from server.people.periods import NOW


def is_signed_out(delivery: Delivery) -> bool:
    """Whether this, read through `with_end`, must not go to its device any more. A telephone or a mailbox is somebody's
    own, and no session's."""
    if delivery.address is None or delivery.address.kind != AddressKind.PUSH:
        return False
    return is_silenced(delivery.kind, delivery.session_ended or "")


def retire() -> int:
    """Take such devices out of use for good; returns how many. What was silent before is so whether or not this runs:
    it only keeps a device from coming back should the session's row ever go."""
    return Address.objects.live().silenced().update(disabled_at=NOW, disabled_because=Gone.SIGNED_OUT)
