"""The guarded door to one's own devices and numbers; nobody has anybody else's."""

from uuid import UUID

from server.common.errors import NotFound
from server.notify.models import Address, AddressQuerySet
from server.people.actors import Acting


def mine(acting: Acting) -> AddressQuerySet:
    """Those in use."""
    return Address.objects.heard().filter(user=acting.user)


def open_address(acting: Acting, address_id: UUID) -> Address:
    """Raises NotFound, the same for foreign, disabled and missing."""
    found = mine(acting).select_for_update(no_key=True).filter(id=address_id).first()
    if found is None:
        raise NotFound
    return found
