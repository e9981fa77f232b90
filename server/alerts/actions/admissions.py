"""Admissions to a ward, with date (M6): what the criterion counts, and what the service's effect is measured by."""

from datetime import date
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from server.alerts.access import InTeam, open_patient_of_team
from server.alerts.models import Admission
from server.audit.actions import record
from server.audit.entry import Entry
from server.common.clock import now
from server.common.errors import Invalid, NotFound, Refusal
from server.people.actors import Acting
from server.people.hours import OSLO
from server.people.models import Unit


@transaction.atomic
def record_admission(*, acting: Acting, patient_id: UUID, ward_id: UUID, admitted_on: date) -> tuple[Admission, bool]:
    """Record one admission, and tell whether it is new: the same ward on the same day is the same admission.

    Raises NotFound, Forbidden (`staff_only`), Invalid for an unknown ward or a day to come.
    """
    act = "admission.recorded"
    found = open_patient_of_team(acting, patient_id, act=act)
    if not Unit.objects.filter(id=ward_id).exists():
        raise Invalid(errors=[{"field": "ward", "code": "unknown_unit", "detail": _("No such unit.")}])
    if admitted_on > now().astimezone(OSLO).date():
        raise Invalid(errors=[{"field": "admitted_on", "code": "in_future", "detail": _("This lies in the future.")}])
    try:
        with transaction.atomic():
            row = Admission.objects.create(
                patient=found.patient,
                programme=found.programme,
                ward_id=ward_id,
                admitted_on=admitted_on,
                recorded_by=acting.user,
            )
    except IntegrityError:
        known = Admission.objects.get(
            patient=found.patient, ward_id=ward_id, admitted_on=admitted_on, taken_back_at=None
        )
        record(_entry("admission.viewed", acting, found, known.id))
        return known, False
    record(_entry(act, acting, found, row.id))
    return row, True


@transaction.atomic
def take_back(*, acting: Acting, patient_id: UUID, admission_id: UUID) -> Admission:
    """It was recorded by mistake: it is marked, and counts no more. Twice is once. Raises NotFound, Forbidden."""
    act = "admission.taken_back"
    found = open_patient_of_team(acting, patient_id, act=act)
    rows = Admission.objects.select_for_update(no_key=True).filter(id=admission_id, patient=found.patient)
    row = rows.first()
    if row is None:
        raise NotFound(refusal=Refusal(act, "missing", subject_id=found.patient.id, object_id=admission_id))
    if row.taken_back_at is None:
        row.taken_back_at = now()
        row.save(update_fields=["taken_back_at"])
        record(_entry(act, acting, found, row.id))
    return row


@transaction.atomic
def view(*, acting: Acting, patient_id: UUID) -> list[Admission]:
    """Those that count, newest first; one look, recorded. Raises NotFound, Forbidden (`staff_only`)."""
    found = open_patient_of_team(acting, patient_id, act="admission.viewed")
    record(_entry("admission.viewed", acting, found, found.patient.id))
    return list(Admission.objects.filter(patient=found.patient, taken_back_at=None).order_by("-admitted_on", "-id"))


def _entry(type_: str, acting: Acting, found: InTeam, object_id: UUID) -> Entry:
    return Entry(type_, acting.actor, subject_id=found.patient.id, object_id=object_id, basis=found.basis)
