"""What becomes of somebody's addresses when their data are erased: they lie under the service's key, which stays."""

import secrets
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q

from server.notify.models import Address, Delivery, Gone, QuietHours
from server.people.periods import NOW

INDEX_BYTES = 32


@transaction.atomic
def forget_addresses(*, user_id: UUID) -> None:
    """Endpoints, numbers, mailboxes and quiet hours are emptied, and nothing more is sent there. Twice is once."""
    for address in Address.objects.filter(user_id=user_id).exclude(sealed=b""):
        Address.objects.filter(id=address.id).update(sealed=b"", index=secrets.token_bytes(INDEX_BYTES))
    Address.objects.filter(user_id=user_id, disabled_at=None).update(disabled_at=NOW, disabled_because=Gone.REMOVED)
    QuietHours.objects.filter(user_id=user_id).update(hours={})
    theirs = Delivery.objects.filter(Q(user_id=user_id) | Q(address__user_id=user_id))
    theirs.filter(to_sealed__isnull=False).update(to_sealed=b"")
    theirs.open().update(state="dropped", lease=None, due_at=F("due_at"))
