"""What the vault needs from higher floors."""

from typing import Protocol
from uuid import UUID

from server.common.ports import Port


class Custody(Protocol):
    """Decides when a data key may be destroyed, and keeps the record of it. Both run inside the vault's transaction."""

    def may_destroy(self, scope: str, owner: UUID) -> str | None:
        """None when allowed, else the code of the refusal. The key's row is locked while this is asked."""

    def record_destruction(self, scope: str, owner: UUID, key: UUID, reason: str, actor: object) -> None:
        """Write the audit record (law 1); an exception rolls the destruction back.

        `actor` is what the caller of `destroy_key` gave: an `audit.entry.Actor`, unknown on this floor.
        """


CUSTODY: Port[Custody] = Port("vault.custody")
