"""Endpoints, numbers and mailboxes, in and out of the vault; each ciphertext is bound to its row."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from uuid import UUID

from server.notify.models import Address, AddressKind, Delivery
from server.vault import actions as vault

NOTIFY_OWNER = UUID("3b1d7a60-58c2-5a4e-9f0b-2c9be1a7d4f3")
"""Owner of the one "service" key for where people can be reached; fixed for ever."""
ADDRESS = "notify_address.sealed"
TO = "notify_delivery.to_sealed"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something goes: a push subscription (`endpoint`, `p256dh`, `auth`), or `to`, a number or mailbox. `label`
    is the owner's own name for it."""

    endpoint: str = ""
    p256dh: str = ""
    auth: str = ""
    to: str = ""
    label: str = ""

    @property
    def key(self) -> str:
        """What makes it this place and no other."""
        return self.endpoint or self.to


def index_of(kind: str, place: Place) -> bytes:
    """Blind index, 32 bytes."""
    return vault.blind_index(f"notify_address_{kind}", place.key)


def sealing_key() -> UUID:
    return vault.key_for(scope="service", owner=NOTIFY_OWNER)


def seal_place(address_id: UUID, place: Place) -> bytes:
    return vault.seal(sealing_key(), json.dumps(asdict(place)), place=ADDRESS, row=address_id)


def open_place(address: Address) -> Place:
    """Raises as `vault.unseal` does."""
    return Place(**json.loads(vault.unseal(address.sealed, place=ADDRESS, row=address.id)))


def seal_to(delivery_id: UUID, to: str) -> bytes:
    return vault.seal(sealing_key(), to, place=TO, row=delivery_id)


def place_of(delivery: Delivery) -> Place:
    """Where it goes; of a delivery with an address, that has to be at hand. Raises as `vault.unseal` does."""
    if delivery.address is not None:
        return open_place(delivery.address)
    return Place(to=vault.unseal(delivery.to_sealed or b"", place=TO, row=delivery.id))


def load(deliveries: Iterable[Delivery]) -> None:
    """Make the key ready, so that opening a batch costs no statement."""
    vault.load_names("service", [NOTIFY_OWNER])


CHANNELS = {AddressKind.PUSH: ("push",), AddressKind.PHONE: ("sms", "voice"), AddressKind.EMAIL: ("email",)}
"""Which channels reach an address."""
