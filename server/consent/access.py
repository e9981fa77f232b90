"""The guarded door to a consent."""

from uuid import UUID

from server.common.errors import Conflict, Forbidden, NotFound, Refusal
from server.consent.models import Consent, Form
from server.consent.ports import ROOM_EFFECTS
from server.consent.records import excluded_people
from server.consent.versions import newest
from server.people.access import open_patient
from server.people.actors import Acting

NO_ROOM = UUID(int=0)
"""No room's id."""
FIRST = ("give", "decline", "correct", "assess", "text")
"""What may be written down before anybody takes part."""


def open_consent(acting: Acting, consent_id: UUID) -> Consent:
    """The consent, for its patient or for staff whose room or unit it is about.

    Raises NotFound, alike for what is foreign and what is missing, and after the same statements, so that time does not
    tell them apart. What a patient has excluded is nobody else's.
    """
    consent = Consent.objects.select_related("patient").filter(id=consent_id).first()
    if consent is None:
        _concerns(acting, Consent(id=consent_id, form=Form.ROOM, room_id=NO_ROOM))
        raise NotFound(refusal=Refusal("consent.viewed", "missing", object_id=consent_id))
    if not is_own(acting, consent) and not _concerns(acting, consent):
        raise NotFound(refusal=_refusal("consent.viewed", "foreign", consent))
    return consent


def own_consent(acting: Acting, consent_id: UUID) -> Consent:
    """The consent, for its patient alone, who is the one to answer it.

    Raises NotFound to strangers, Forbidden (`patient_only`) to staff who may know of it.
    """
    consent = open_consent(acting, consent_id)
    if not is_own(acting, consent):
        raise Forbidden(code="patient_only", refusal=_refusal("consent.answered", "patient_only", consent))
    return consent


def consent_to_record(acting: Acting, consent_id: UUID, verb: str) -> Consent:
    """The consent, for staff who write down what the patient said or signed (`verb`): those who take part, with a
    relation; and while nothing is shared, whoever opened the room, for a first answer.

    Raises NotFound; Forbidden (`staff_only`) to the patient, who answers in their own session, and (`members_only`) to
    whoever only waits: nobody ends what others share, or bars the patient from a yes, who was never let in.
    """
    consent = open_consent(acting, consent_id)
    if is_own(acting, consent):
        raise Forbidden(code="staff_only", refusal=_refusal("consent.recorded", "own", consent))
    if acting.user.id in excluded_people(consent.patient_id):
        raise NotFound(refusal=_refusal("consent.recorded", "excluded", consent))
    open_patient(acting, consent.patient_id)
    if consent.room_id is not None and not ROOM_EFFECTS().may_record(acting, consent, first=verb in FIRST):
        raise Forbidden(code="members_only", refusal=_refusal("consent.recorded", "not_a_member", consent))
    return consent


def is_own(acting: Acting, consent: Consent) -> bool:
    return acting.patient is not None and acting.patient.id == consent.patient_id


def _concerns(acting: Acting, consent: Consent) -> bool:
    if consent.form == Form.EXCLUSIONS or acting.engagement is None:
        return False
    if consent.room_id is not None:
        return ROOM_EFFECTS().may_see(acting, consent)
    if acting.user.id in excluded_people(consent.patient_id):
        return False
    try:
        terms = newest(consent).terms
        open_patient(acting, consent.patient_id)
    except (Conflict, NotFound):
        return False
    return acting.engagement.unit_id in {grant.unit for grant in (*terms.grants, *terms.asked)}


def _refusal(type_: str, reason: str, consent: Consent) -> Refusal:
    return Refusal(type_, reason, room_id=consent.room_id, subject_id=consent.patient_id, object_id=consent.id)
