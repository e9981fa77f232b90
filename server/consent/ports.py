"""What consent needs from the rooms above it."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from server.audit.entry import Actor
from server.common.ports import Port
from server.consent.decide import Grant
from server.consent.models import Consent, ConsentVersion
from server.people.actors import Acting


class RoomEffects(Protocol):
    """Called inside the transaction of the act upon the consent."""

    def lock(self, room_id: UUID) -> None:
        """Lock the room before its consent is locked: everybody takes the two in this order."""

    def may_ask(self, acting: Acting, room_id: UUID) -> Sequence[Grant]:
        """The grants that this person's room still needs. Raises NotFound when the room is not theirs to ask for."""

    def may_see(self, acting: Acting, consent: Consent) -> bool:
        """Whether this member of staff is in the room, or asked for it, and so may know the consent's state."""

    def state_shown(self, acting: Acting, consent: Consent) -> str:
        """The state as this member of staff may know it: to whoever waits for an answer, a consent that is in force for
        others is still only asked for."""

    def asked(self, consent: Consent, version: ConsentVersion, actor: Actor) -> None:
        """The patient has been asked: the request stands in the timeline."""

    def access_changed(self, consent: Consent, version: ConsentVersion, actor: Actor) -> None:
        """Who may read and write has changed: raise the epoch, open and close intervals, tell them (law 5)."""


ROOM_EFFECTS: Port[RoomEffects] = Port("consent.RoomEffects")
