"""Patients in a programme. Enrolling asks for a consent of its own, apart from every room; help never waits for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, transaction

from server.alerts import rules, sharing
from server.alerts.access import open_patient_of_team, open_programme, team_now
from server.alerts.models import Admission, Enrolment, Programme
from server.audit.actions import record, record_many
from server.audit.entry import Entry
from server.common.clock import now
from server.common.errors import Conflict, NotFound, Refusal
from server.consent.decide import Grant
from server.consent.enrolment import ask_enrolment
from server.consent.models import Consent, Form
from server.people.access import require_staff
from server.people.actors import Acting
from server.people.hours import OSLO
from server.people.models import Patient, Relation
from server.people.sealed import Person, load_keys, open_person


@dataclass(frozen=True, slots=True)
class Shown:
    """An enrolment as a member of the team sees it. `shares` says whether the patient shares their plan with them."""

    enrolment: Enrolment
    person: Person
    consent_state: str
    shares: bool


@transaction.atomic
def enrol(*, acting: Acting, programme_id: UUID, patient_id: UUID) -> tuple[Enrolment, bool]:
    """Enrol a patient to whom the unit acted for has a relation, and ask for the consent, for the team's units.

    Returns the enrolment and whether it is new; enrolling again asks for units that have joined the team since.
    Whether the criterion is met is counted and kept, and turns nobody away (M5). Raises NotFound, Forbidden
    (`staff_only`), Conflict (`enrolled_elsewhere`).
    """
    act = "enrolment.made"
    programme = open_programme(acting, programme_id, act=act)
    found = open_patient_of_team(acting, patient_id, act=act)
    patient = Patient.objects.select_for_update(no_key=True).get(id=found.patient.id)
    enrolment = Enrolment.objects.filter(patient=patient, ended_at=None).first()
    if enrolment is not None and enrolment.programme_id != programme.id:
        raise _elsewhere(patient, programme)
    if enrolment is not None:
        if patient.user_id is not None:
            enrolment.consent_id = _ask(acting, patient, programme)
            enrolment.save(update_fields=["consent_id"])
        return enrolment, False
    at = now()
    admitted = Admission.objects.filter(patient=patient, taken_back_at=None).values_list("admitted_on", flat=True)
    try:
        with transaction.atomic():
            enrolment = Enrolment.objects.create(
                programme=programme,
                patient=patient,
                consent_id=_ask(acting, patient, programme) if patient.user_id is not None else None,
                meets_criterion=rules.meets(programme.criterion, admitted, at.astimezone(OSLO).date()),
                enrolled_by=acting.user,
            )
    except IntegrityError:  # a colleague enrolled them elsewhere a moment ago
        raise _elsewhere(patient, programme) from None
    record(
        Entry(
            act,
            acting.actor,
            subject_id=patient.id,
            object_id=enrolment.id,
            basis=found.basis,
            detail={"programme": str(programme.id), "meets_criterion": enrolment.meets_criterion},
        )
    )
    return enrolment, True


@transaction.atomic
def end(*, acting: Acting, programme_id: UUID, enrolment_id: UUID) -> Enrolment:
    """The patient is no longer in the programme. Their consent is theirs to withdraw, and the keys on their phones
    still call for help, which the default programme then answers (M5). Ending it twice is ending it once.

    Raises NotFound.
    """
    act = "enrolment.ended"
    programme = open_programme(acting, programme_id, act=act)
    row = Enrolment.objects.select_for_update(no_key=True).filter(id=enrolment_id, programme=programme).first()
    if row is None:
        raise NotFound(refusal=Refusal(act, "missing", object_id=enrolment_id))
    found = open_patient_of_team(acting, row.patient_id, act=act)
    if row.ended_at is None:
        row.ended_at = now()
        row.save(update_fields=["ended_at"])
        record(Entry(act, acting.actor, subject_id=row.patient_id, object_id=row.id, basis=found.basis))
    return row


def of_programme(acting: Acting, programme: Programme) -> list[UUID]:
    """Enrolments of the programme that are open and that this member of its team may know of: those of patients to whom
    their unit has a relation, or who share with them; never of who has excluded them."""
    engagement = require_staff(acting)
    rows = dict(Enrolment.objects.filter(programme=programme, ended_at=None).values_list("patient_id", "id"))
    records = sharing.records_of(rows)
    shared = sharing.may_see_all(rows, engagement, sharing.CONTACT, records=records)
    related = Relation.objects.current().filter(unit_id=engagement.unit_id, patient_id__in=rows)
    known = set(related.values_list("patient_id", flat=True))
    return [
        enrolment
        for patient, enrolment in rows.items()
        if not sharing.kept_out(records[patient], acting.user.id) and (patient in known or shared[patient].permit)
    ]


@transaction.atomic
def show(*, acting: Acting, rows: Sequence[Enrolment]) -> list[Shown]:
    """One page of enrolments, from `of_programme`, with their patients at hand; one look, recorded for each patient."""
    engagement = require_staff(acting)
    patients = [row.patient_id for row in rows]
    shares = sharing.may_see_all(patients, engagement, sharing.PLAN)
    states = dict(Consent.objects.filter(patient_id__in=patients, form=Form.MULI).values_list("patient_id", "state"))
    record_many(
        Entry(
            "enrolment.viewed",
            acting.actor,
            subject_id=row.patient_id,
            object_id=row.id,
            basis=shares[row.patient_id].basis or "relation",
            record_ids=shares[row.patient_id].record_ids if shares[row.patient_id].permit else (),
        )
        for row in rows
    )
    load_keys([row.patient for row in rows])
    return [
        Shown(row, open_person(row.patient), states.get(row.patient_id, ""), shares[row.patient_id].permit)
        for row in rows
    ]


def still_open(acting: Acting, programme_id: UUID, patient_id: UUID) -> None:
    """Whether what enrolling answered may be said again. Raises as `enrol` does."""
    open_programme(acting, programme_id, act="enrolment.made")
    open_patient_of_team(acting, patient_id, act="enrolment.made")


def _ask(acting: Acting, patient: Patient, programme: Programme) -> UUID:
    units = {programme.unit_id, *team_now(programme.id).values_list("engagement__unit_id", flat=True)}
    grants = [Grant(unit_id=unit) for unit in sorted(units)]
    return ask_enrolment(acting=acting, patient_id=patient.id, form=Form.MULI, grants=grants).id


def _elsewhere(patient: Patient, programme: Programme) -> Conflict:
    refusal = Refusal("enrolment.made", "enrolled_elsewhere", subject_id=patient.id, object_id=programme.id)
    return Conflict(code="enrolled_elsewhere", refusal=refusal)
