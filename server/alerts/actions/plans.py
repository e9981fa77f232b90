"""The plan for bad days: made with the patient, in versions that never change, sealed under the patient's key."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from server.alerts.access import InTeam, open_enrolled_patient
from server.alerts.models import Plan
from server.alerts.plan import PlanText, read
from server.alerts.plan import write as written
from server.audit.actions import record
from server.audit.entry import Entry
from server.common.errors import Conflict, Forbidden, NotFound, Refusal
from server.common.ids import new_id
from server.people.actors import Acting
from server.people.models import Patient
from server.people.sealed import Person, open_person
from server.vault import actions as vault
from server.vault.errors import Unreadable

PLACE = "alerts_plan.plan_sealed"


@dataclass(frozen=True, slots=True)
class Shown:
    """What one reader may see. `row` is None while there is no plan; `text` is None for one that the patient does not
    share, or whose key is gone; `person` None where name and number are not shared."""

    row: Plan | None
    text: PlanText | None
    person: Person | None
    shared: bool


@transaction.atomic
def write(
    *, acting: Acting, patient_id: UUID, text: PlanText, made_with_patient: bool, based_on: int | None = None
) -> Plan:
    """The next version. Members of the team write it who may read it, or whose unit has a relation to the patient.

    Raises NotFound, Forbidden (`staff_only`), Conflict (`plan_changed`) when somebody wrote a version after
    `based_on`.
    """
    found = open_enrolled_patient(acting, patient_id, act="plan.made")
    patient = Patient.objects.select_for_update(no_key=True).get(id=found.patient.id)
    before = newest(patient.id)
    version = before.version if before is not None else 0
    if based_on is not None and based_on != version:
        raise Conflict(code="plan_changed")
    id_ = new_id()
    row = Plan.objects.create(
        id=id_,
        patient=patient,
        version=version + 1,
        plan_sealed=vault.seal(patient.key, written(text), place=PLACE, row=id_),
        made_with_patient=made_with_patient,
        made_by=acting.user,
    )
    record(
        Entry(
            "plan.made",
            acting.actor,
            subject_id=patient.id,
            object_id=row.id,
            basis=found.basis,
            detail={"version": row.version, "with_patient": made_with_patient},
        )
    )
    return row


@transaction.atomic
def view(*, acting: Acting, patient_id: UUID, version: int | None = None) -> Shown:
    """The first screen and the rest, newest version unless told otherwise; a look, recorded. What the patient does not
    share is left out, and whoever answers their call for help still sees whom to call (L7).

    Raises NotFound, Forbidden (`staff_only`).
    """
    found = open_enrolled_patient(acting, patient_id, act="plan.viewed")
    row = newest(found.patient.id) if version is None else _version(found.patient.id, version)
    record(_look("plan.viewed", acting, found, row))
    return Shown(
        row=row,
        text=open_text(row) if row is not None and found.plan.permit else None,
        person=open_person(found.patient) if found.shows_contact else None,
        shared=found.plan.permit,
    )


@transaction.atomic
def history(*, acting: Acting, patient_id: UUID) -> list[Plan]:
    """All versions, newest first: who wrote them and when, without their words; a look, recorded.

    Raises NotFound, Forbidden (`staff_only`).
    """
    found = open_enrolled_patient(acting, patient_id, act="plan.history_viewed")
    record(_look("plan.history_viewed", acting, found, None))
    return list(Plan.objects.filter(patient=found.patient).defer("plan_sealed").order_by("-version"))


@transaction.atomic
def view_own(*, acting: Acting) -> tuple[Plan | None, PlanText | None]:
    """The patient's own, recorded. Raises Forbidden (`patient_only`)."""
    if acting.patient is None:
        raise Forbidden(code="patient_only", refusal=Refusal("plan.viewed", "patient_only"))
    row = newest(acting.patient.id)
    object_id = row.id if row is not None else acting.patient.id
    record(Entry("plan.viewed", acting.actor, subject_id=acting.patient.id, object_id=object_id, basis="self"))
    return row, open_text(row) if row is not None else None


def newest(patient_id: UUID) -> Plan | None:
    return Plan.objects.filter(patient_id=patient_id).order_by("-version").first()


def open_text(row: Plan) -> PlanText | None:
    """What it says; None when its key was destroyed or it cannot be read."""
    try:
        return read(vault.unseal(row.plan_sealed, place=PLACE, row=row.id))
    except Unreadable:
        return None


def _version(patient_id: UUID, version: int) -> Plan:
    row = Plan.objects.filter(patient_id=patient_id, version=version).first()
    if row is None:
        raise NotFound(refusal=Refusal("plan.viewed", "missing", subject_id=patient_id))
    return row


def _look(type_: str, acting: Acting, found: InTeam, row: Plan | None) -> Entry:
    """On which basis it was read; `not_shared`: nothing of it was shown."""
    shared = found.plan.permit
    return Entry(
        type_,
        acting.actor,
        subject_id=found.patient.id,
        object_id=row.id if row is not None else found.patient.id,
        basis=found.plan.basis if shared else found.basis,
        reason="" if shared else "not_shared",
        record_ids=found.plan.record_ids if shared else (),
    )
