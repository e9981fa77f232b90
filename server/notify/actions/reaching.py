"""Where people can be reached now."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from server.notify import vapid
from server.notify.channels import configured
from server.notify.models import Address, AddressKind
from server.notify.sealed import CHANNELS


@dataclass(frozen=True, slots=True)
class ReachableAt:
    address_id: UUID
    channel: str


def reachable(user_ids: Iterable[UUID]) -> dict[UUID, list[ReachableAt]]:
    """Of each of these people, where and how: every device, a telephone by text and by voice, a mailbox; what this
    installation has no means for is left out, and so is a device registered for a key that we have no more, or by a
    session that somebody has ended. The device that
    last showed that it works comes first. People who cannot be reached are absent. One statement."""
    means, ours = configured(), set(vapid.known())
    rows = (
        Address.objects.heard()
        .filter(user_id__in=list(user_ids), user__is_active=True)
        .values_list("user_id", "id", "kind", "vapid", "received_at")
    )
    found: dict[UUID, list[ReachableAt]] = {}
    newest = sorted(rows, key=lambda row: (row[4] is None, -row[4].timestamp() if row[4] else 0.0, row[1]))
    for user_id, address_id, kind, made_for, _ in newest:
        if kind == AddressKind.PUSH and made_for not in ours:
            continue
        for channel in CHANNELS[AddressKind(kind)]:
            if channel in means:
                found.setdefault(user_id, []).append(ReachableAt(address_id, channel))
    return found
