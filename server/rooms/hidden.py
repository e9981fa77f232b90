"""Emergency access of which the patient is told later, because telling would endanger somebody (L3).

Until then its events lie outside the patient's intervals, and what the log says of it is withheld. Only the patient is
kept from it: everybody else in the room sees the mark.
"""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from server.people.periods import NOW
from server.rooms.models import EmergencyAccess, EventType, Member, RoomEvent, Span

LATER = timedelta(hours=2)
"""That somebody looked for a patient's rooms, or tried to get into one, is shown to the patient this much later: until
then it may yet be followed by an access that is hidden. So nothing that was shown is ever withheld."""


def kept_from(patient_id: UUID) -> Iterable[EmergencyAccess]:
    """Accesses of which it is not yet time to tell this patient, ended ones too; one statement. The clock alone
    decides: what they may know waits for no worker."""
    rows = EmergencyAccess.objects.filter(room__patient_id=patient_id, told_at=None, tell_at__gt=NOW)
    return rows.only("id", "user_id", "begun_at").order_by("id")


def hide(room_id: UUID, seq: int) -> None:
    """Put `seq`, which this transaction has just taken, outside what the patient sees: their open interval ends before
    it and goes on after it. The caller holds the room's lock and raises the epoch."""
    span = Span.objects.get(member__room_id=room_id, member__engagement=None, until=None)
    if span.first == seq:
        span.first = seq + 1
        span.save(update_fields=["first"])
        return
    span.until = seq
    span.save(update_fields=["until"])
    Span.objects.create(member_id=span.member_id, first=seq + 1)


def show(access: EmergencyAccess) -> None:
    """Let the patient see what was hidden of this access. The caller holds the room's lock and raises the epoch."""
    patient = Member.objects.get(room_id=access.room_id, engagement=None)
    about = RoomEvent.objects.filter(
        room_id=access.room_id, type=EventType.EMERGENCY_ACCESS, facts__access=str(access.id)
    )
    seqs = about.order_by("seq").values_list("seq", flat=True)
    Span.objects.bulk_create(Span(member=patient, first=seq, until=seq + 1) for seq in seqs)
