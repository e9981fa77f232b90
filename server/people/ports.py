"""What this floor needs from higher ones; bound in `server/wiring.py`."""

from collections.abc import Collection, Mapping
from typing import Protocol
from uuid import UUID

from server.audit.entry import Actor
from server.common.ports import Port
from server.people.models import Patient


class AccessEffects(Protocol):
    """What the end of an engagement or an agreement means elsewhere. Called inside the ending's transaction, once;
    an exception rolls the ending back.
    """

    def engagement_ended(self, engagement_id: UUID) -> None:
        """Every access that rested on this engagement ends now."""

    def agreement_ended(self, agreement_id: UUID) -> None:
        """Every membership across controllers that rested on this agreement alone ends now (L6)."""


ACCESS_EFFECTS: Port[AccessEffects] = Port("people.access_effects")


class Exclusions(Protocol):
    """Whom patients keep out of everything of theirs (L3)."""

    def of(self, patient_id: UUID) -> frozenset[UUID]:
        """Users. One statement, also for a patient who does not exist."""


EXCLUSIONS: Port[Exclusions] = Port("people.exclusions")


class OwnersTold(Protocol):
    """People are told what happened to their way in, in the app and on their devices (L5). Called inside the act's
    transaction."""

    def tell(
        self,
        kind: str,
        *,
        user_id: UUID,
        object_id: UUID,
        actor: Actor,
        code: str = "",
        patient: Patient | None = None,
        employer_id: UUID | None = None,
        but: UUID | None = None,
    ) -> None:
        """`user_id` is told, on every device but that of the session `but`. `kind`: `phone_let_in` (a patient's own
        account), `phone_let_in_told` (who leads, for `employer_id`) or `way_in_changed`, whose `code` says what:
        never words."""


OWNERS_TOLD: Port[OwnersTold] = Port("people.owners_told")


class SessionDevices(Protocol):
    """What pushes go to, by the session that registered it. Called inside the caller's transaction."""

    def counts(self, sids: Collection[UUID]) -> Mapping[UUID, int]:
        """How many devices are sent pushes for each of these sessions; absent: none. One statement."""

    def tell(self, user_id: UUID, *, about: UUID) -> None:
        """Tell somebody's devices, but those of the session `about`, to look at their sessions; once for each."""


SESSION_DEVICES: Port[SessionDevices] = Port("people.session_devices")
