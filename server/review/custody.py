"""When a data key may be destroyed, and that it is on record: the vault's port.

Until retention and erasure are built, nothing may be: content is kept, and the refusal says so.
"""

from uuid import UUID

from server.audit.actions import record
from server.audit.entry import SYSTEM, Actor, Entry


class KeyCustody:
    """`vault.ports.Custody`."""

    def may_destroy(self, scope: str, owner: UUID) -> str | None:
        """The reason of a refusal, or None."""
        return "retention_undecided"

    def record_destruction(self, scope: str, owner: UUID, key: UUID, reason: str, actor: object) -> None:
        record(
            Entry(
                type="key.destroyed",
                actor=actor if isinstance(actor, Actor) else SYSTEM,
                subject_id=owner if scope == "subject" else None,
                room_id=owner if scope == "room" else None,
                object_id=key,
                reason=reason[:60],
            )
        )
