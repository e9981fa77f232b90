"""What this floor needs from higher ones; bound in `server/wiring.py`."""

from typing import Protocol
from uuid import UUID

from server.common.ports import Port


class AccessEffects(Protocol):
    """What the end of an engagement or an agreement means elsewhere. Called inside the ending's transaction, once;
    an exception rolls the ending back.
    """

    def engagement_ended(self, engagement_id: UUID) -> None:
        """Every access that rested on this engagement ends now."""

    def agreement_ended(self, agreement_id: UUID) -> None:
        """Every membership across controllers that rested on this agreement alone ends now (L6)."""


ACCESS_EFFECTS: Port[AccessEffects] = Port("people.access_effects")
