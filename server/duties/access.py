"""The guarded door to duties: whoever owes one sees it, and nobody else."""

from uuid import UUID

from django.db.models import BooleanField, Exists, ExpressionWrapper, Q, QuerySet

from server.common.errors import NotFound, Refusal
from server.duties.models import TO_ANYBODY, Duty, Kind
from server.people.actors import Acting
from server.people.decide import IN_PERSON
from server.people.models import InPersonCode, Officer
from server.people.periods import NOW


def mine(acting: Acting) -> QuerySet[Duty]:
    """Duties owed by this person or, when they act as an officer and the appointment holds, by the controller."""
    return Duty.objects.with_key().filter(_owed_by(acting))


def open_duty(acting: Acting, duty_id: UUID, *, act: str = "duty.viewed") -> Duty:
    """The duty, for whoever owes it.

    Raises NotFound, the same for foreign and missing; the refusal is recorded as `act`.
    """
    owed = ExpressionWrapper(_owed_by(acting), output_field=BooleanField())
    # One statement whether it is foreign or missing, so that time does not tell them apart.
    found = next(iter(Duty.objects.with_key().filter(id=duty_id).annotate(owed=owed)), None)
    if found is None:
        raise NotFound(refusal=Refusal(act, "missing", object_id=duty_id))
    if not found.owed:
        raise NotFound(
            refusal=Refusal(act, "foreign", room_id=found.room_id, subject_id=found.patient_id, object_id=found.id)
        )
    return found


def _owed_by(acting: Acting) -> Q:
    owed = Q(user_id=acting.user.id)
    owed &= Q(employer=None) | Q(employer_id=acting.actor.controller_id)
    if acting.engagement is None and acting.officer is None:
        owed &= Q(kind__in=TO_ANYBODY)  # a nurse who has left and signs in as a patient
    if acting.session is not None and acting.session.sign_in == IN_PERSON:
        # A phone that staff have let in is no place to tell of it: whoever holds it could say that it was read.
        its_own = InPersonCode.objects.filter(session_id=acting.session.sid).values("id")
        owed &= ~Q(kind=Kind.PHONE_LET_IN) | ~Q(object_id__in=its_own)
    if acting.officer is not None:
        holds = Exists(Officer.objects.current().filter(id=acting.officer.id))
        others = Q(concerns=None) | ~Q(concerns_id=acting.user.id)
        owed |= Q(controller_id=acting.officer.controller_id) & Q(holds) & others
    return owed & (~Q(kind=Kind.EMERGENCY_USED) | Q(due_at__lte=NOW))
