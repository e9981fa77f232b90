"""The guarded door to a consent."""

from uuid import UUID

from server.common.errors import Forbidden, NotFound, Refusal
from server.consent.models import Consent
from server.consent.ports import ROOM_EFFECTS
from server.people.actors import Acting


def open_consent(acting: Acting, consent_id: UUID) -> Consent:
    """The consent, for its patient or for staff whose room it is about.

    Raises NotFound, alike for what is foreign and what is missing.
    """
    consent = Consent.objects.select_related("patient").filter(id=consent_id).first()
    if consent is None:
        raise NotFound(refusal=Refusal("consent.viewed", "missing", object_id=consent_id))
    if not is_own(acting, consent) and not ROOM_EFFECTS().may_see(acting, consent):
        raise NotFound(
            refusal=Refusal(
                "consent.viewed",
                "foreign",
                room_id=consent.room_id,
                subject_id=consent.patient_id,
                object_id=consent_id,
            )
        )
    return consent


def own_consent(acting: Acting, consent_id: UUID) -> Consent:
    """The consent, for its patient alone, who is the one to answer it.

    Raises NotFound to strangers, Forbidden (`patient_only`) to staff who may know of it.
    """
    consent = open_consent(acting, consent_id)
    if not is_own(acting, consent):
        raise Forbidden(
            code="patient_only",
            refusal=Refusal(
                "consent.answered",
                "patient_only",
                room_id=consent.room_id,
                subject_id=consent.patient_id,
                object_id=consent_id,
            ),
        )
    return consent


def is_own(acting: Acting, consent: Consent) -> bool:
    return acting.patient is not None and acting.patient.id == consent.patient_id
