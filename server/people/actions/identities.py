"""Which identity number leads to which account at work; patients' stand on Patient."""

from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, transaction

from server.audit.actions import record
from server.audit.entry import SYSTEM, Actor, Entry
from server.common.errors import Conflict, NotFound
from server.common.ids import new_id
from server.people.actions.patients import open_account
from server.people.actions.sessions import close_sessions
from server.people.models import HandOver, Identity, Patient, Session, User
from server.people.periods import NOW
from server.people.sealed import number_index


@dataclass(frozen=True, slots=True)
class Recorded:
    """`ended`: how many sessions are over, since another number led to this account before, or none."""

    user_id: UUID
    ended: int


@transaction.atomic
def record_identity(*, username: str, number: str, actor: Actor) -> Recorded:
    """Let whoever has this number (uniform, `identity.py`) sign in as a user who works here. The same again changes
    nothing; another number takes the place of the one before, and ends the sessions that the account has, and sign-ins
    that wait to be fetched.

    Raises NotFound; Conflict `patient_account` for the account of a patient, `identity_taken` when the number leads to
    another account.
    """
    user = User.objects.select_for_update(no_key=True).filter(username=username).first()
    if user is None:
        raise NotFound
    if Patient.objects.filter(user=user).exists():
        raise Conflict(code="patient_account")
    index = number_index(number)
    known = Identity.objects.filter(user=user).first()
    if known is not None and bytes(known.nin_index) == index:
        return Recorded(user.id, 0)
    before = known
    try:
        with transaction.atomic():
            if known is None:
                known = Identity.objects.create(user=user, nin_index=index)
            else:
                Identity.objects.filter(id=known.id).update(nin_index=index)
    except IntegrityError:
        raise Conflict(code="identity_taken") from None
    if before is not None:  # first: a sign-in that is just being fetched has ended then, or has its session below
        HandOver.objects.filter(user=user, used_at=None).update(used_at=NOW)
    sessions = Session.objects.filter(user=user) if before is not None else Session.objects.none()
    ended = close_sessions(sessions, reason="identity_changed", actor=actor)
    record(Entry("identity.recorded", actor, object_id=user.id, record_ids=(known.id,), detail={"ended": len(ended)}))
    return Recorded(user.id, len(ended))


def patients_account(patient: Patient) -> User:
    """The account of a registered patient, opened at the first sign-in; of two who come first at once, one opens it."""
    if patient.user is not None:
        return patient.user
    try:
        with transaction.atomic():
            user = User.objects.create(username=f"patient-{new_id()}", language=patient.language)
            open_account(patient=patient, user=user, actor=SYSTEM)
            return user
    except Conflict:  # somebody else has opened it
        return User.objects.get(patient=patient)
