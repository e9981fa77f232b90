"""What consent needs from the rooms above it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from server.audit.entry import Actor
from server.common.ports import Port
from server.consent.decide import Grant
from server.consent.document import Document
from server.consent.models import Consent
from server.people.actors import Acting


@dataclass(frozen=True, slots=True)
class RoomFacts:
    """What a ground needs to know of a room."""

    patient_id: UUID
    purpose: str


class RoomEffects(Protocol):
    """Called inside the transaction of the act upon the consent."""

    def lock(self, room_id: UUID) -> None:
        """Lock the room before its consent is locked: everybody takes the two in this order."""

    def lock_all_of(self, patient_id: UUID) -> None:
        """Lock every room of the patient, in id order (law 5)."""

    def may_ask(self, acting: Acting, room_id: UUID) -> Sequence[Grant]:
        """The grants that this person's room still needs. Raises NotFound when the room is not theirs to ask for."""

    def may_see(self, acting: Acting, consent: Consent) -> bool:
        """Whether this member of staff is in the room, or asked for it, and so may know the consent's state."""

    def may_record(self, acting: Acting, consent: Consent, *, first: bool) -> bool:
        """Whether this member of staff may write down what the patient said: members and, for a `first` answer while
        nothing is shared, whoever opened the room and waits."""

    def state_shown(self, acting: Acting, consent: Consent) -> str:
        """The state as this member of staff may know it: to whoever waits for an answer, a consent that is in force for
        others is still only asked for."""

    def members(self, room_id: UUID) -> Sequence[UUID]:
        """Staff who take part in the room now."""

    def asked(self, consent: Consent, document: Document, actor: Actor) -> None:
        """The patient has been asked: the request stands in the timeline."""

    def access_changed(self, consent: Consent, document: Document, actor: Actor) -> None:
        """Who may read and write has changed: raise the epoch, open and close intervals, tell them (law 5)."""

    def excluded(self, patient_id: UUID, person_id: UUID, actor: Actor) -> None:
        """The patient has excluded this person, who leaves every room now (locked before)."""

    def facts(self, acting: Acting, room_id: UUID) -> RoomFacts:
        """For staff who are in the room or asked for it, or whose unit has a relation to its patient. Raises
        NotFound."""

    def distrusted(self, consent: Consent) -> None:
        """A record of this consent cannot be believed: whoever was let in under it is decided about anew."""

    def grounds_changed(self, room_id: UUID, actor: Actor) -> None:
        """A statutory ground was recorded or ended (locked before)."""


ROOM_EFFECTS: Port[RoomEffects] = Port("consent.RoomEffects")
