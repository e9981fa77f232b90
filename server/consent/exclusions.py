"""Named people whom a patient has excluded: a record of the patient's own, beside every consent.

It binds every room, call for help and emergency access until the patient lifts it; no withdrawal or expiry ends it
(L3). Whoever is excluded is told nothing: they meet the same answers as somebody who was taken out.
"""

from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from server.common.errors import Forbidden, Invalid, NotFound, Refusal
from server.common.hints import hint
from server.consent import care
from server.consent.document import Document, Terms
from server.consent.models import Act, Consent, Form, State
from server.consent.ports import ROOM_EFFECTS
from server.consent.versions import Change, newest, write
from server.people.actors import Acting
from server.people.limits import require_for_consent
from server.people.models import Engagement, Patient

PURPOSE = "exclusions"


@transaction.atomic
def exclude(*, acting: Acting, person_id: UUID) -> Document:
    """From this commit on, this member of staff has no part in anything of the patient's. Doing it twice is doing it
    once.

    Raises Forbidden (`patient_only`), Invalid when there is no such member of staff, Conflict (`record_unreadable`).
    """
    patient = own(acting)
    if person_id == acting.user.id or not Engagement.objects.filter(user_id=person_id).exists():
        raise Invalid(errors=[{"field": "user", "code": "unknown_person", "detail": _("No such member of staff.")}])
    consent, before = _locked(patient)
    people = before.terms.excluded_people if before is not None else ()
    if before is not None and person_id in people:
        return before
    return _write(acting, consent, before, {*people, person_id}, person_id)


@transaction.atomic
def lift(*, acting: Acting, person_id: UUID) -> Document:
    """Lift an exclusion. It opens nothing by itself: somebody has to propose them again.

    Raises Forbidden (`patient_only`, `step_up_needed`, `in_person_only`), NotFound when they are not excluded, Conflict
    (`record_unreadable`).
    """
    patient = own(acting)
    consent, before = _locked(patient)
    if before is None or person_id not in before.terms.excluded_people:
        raise NotFound(refusal=Refusal("exclusion.lifted", "missing", subject_id=patient.id, object_id=person_id))
    require_for_consent(acting, "exclusion.lifted")
    return _write(acting, consent, before, set(before.terms.excluded_people) - {person_id}, person_id)


def own(acting: Acting) -> Patient:
    """The patient who acts. Raises Forbidden (`patient_only`)."""
    if acting.patient is None:
        raise Forbidden(code="patient_only", refusal=Refusal("exclusions.viewed", "patient_only"))
    return acting.patient


def _locked(patient: Patient) -> tuple[Consent, Document | None]:
    """Rooms first, then the patient, then the record: everybody takes them in this order."""
    ROOM_EFFECTS().lock_all_of(patient.id)
    Patient.objects.select_for_update(no_key=True).get(id=patient.id)
    held = Consent.objects.select_for_update(of=("self",)).select_related("patient")
    consent = held.filter(patient=patient, form=Form.EXCLUSIONS).first()
    if consent is not None:
        return consent, newest(consent)
    # It has the patient's id, so that the log tells that there must be one even when the row is gone.
    fresh = Consent(
        id=patient.id, patient=patient, form=Form.EXCLUSIONS, purpose=PURPOSE, state=State.ACTIVE, version=0
    )
    return fresh, None


def _write(acting: Acting, consent: Consent, before: Document | None, people: set[UUID], person_id: UUID) -> Document:
    terms = Terms(purpose=PURPOSE, categories=(), excluded_people=tuple(sorted(people)))
    act = Act.GIVEN if before is None else Act.CHANGED
    document = write(consent, Change(act, State.ACTIVE, terms), acting, before)
    if person_id in people:
        ROOM_EFFECTS().excluded(consent.patient_id, person_id, acting.actor)
        care.take_from(patient=consent.patient, person_id=person_id, actor=acting.actor)
        hint("user", person_id)  # what their sockets follow is looked at again, calls for help too
    return document
