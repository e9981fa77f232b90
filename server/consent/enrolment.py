"""Asking for a consent that is about no room: enrolment in the MULI service, asked for units."""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction

from server.common.errors import Conflict, NotFound, Refusal
from server.consent import actions
from server.consent.decide import Grant
from server.consent.models import Consent, Form
from server.consent.records import excluded_people
from server.people.access import open_patient, require_staff
from server.people.actors import Acting


@transaction.atomic
def ask_enrolment(*, acting: Acting, patient_id: UUID, form: str, grants: Sequence[Grant]) -> Consent:
    """Ask a patient to enrol with units. It is withdrawn apart from every room, as every room is apart from it.

    Raises Forbidden (`staff_only`), NotFound without a relation, Conflict (`patient_without_account`), Invalid.
    """
    require_staff(acting)
    patient = open_patient(acting, patient_id)
    if acting.user.id in excluded_people(patient.id):
        raise NotFound(refusal=Refusal("consent.requested", "excluded", subject_id=patient.id))
    if patient.user_id is None:
        raise Conflict(code="patient_without_account")
    return actions.ask(acting=acting, patient=patient, form=Form(form), purpose=form, grants=grants)
