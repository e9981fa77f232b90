"""Patients and the relations that let a unit see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F

from server.audit.actions import record, record_many
from server.audit.entry import Actor, Entry
from server.common.clock import now
from server.common.errors import Conflict, NotFound
from server.common.ids import new_id
from server.people import sealed
from server.people.access import open_patient, require_staff
from server.people.actors import Acting
from server.people.models import Engagement, Patient, Relation, User
from server.people.periods import NOW
from server.vault import actions as vault


@dataclass(frozen=True, slots=True)
class Registered:
    """`created` is False when the number was registered before: nothing of the patient was then overwritten."""

    patient: Patient
    relation: Relation
    created: bool


@transaction.atomic
def register_patient(
    *,
    acting: Acting,
    name: str,
    number: str,
    language: str,
    phone: str,
    phone_verified: bool,
    safe_contact: sealed.SafeContact,
    address_protected: bool,
    relation_kind: str,
    reason: str,
) -> Registered:
    """Register a patient with the relation of the unit acted for, or only the relation when the number is known.

    `number` and `phone` are uniform (identity.py). One entry: `patient.registered`, `relation.recorded`, or
    `patient.viewed` when the relation was there too, since the answer shows the patient.
    Raises Forbidden `staff_only`.
    """
    engagement = require_staff(acting)
    index = sealed.number_index(number)
    patient = _registered(index)
    if patient is None:
        try:
            with transaction.atomic():  # two who register one number at once: one wins, the other records a relation
                patient_id = new_id()
                patient = sealed.new_patient(
                    patient_id=patient_id,
                    key=vault.create_key(scope=sealed.SCOPE, owner=patient_id),
                    name=name,
                    number=number,
                    phone=phone,
                    safe_contact=safe_contact,
                )
                patient.language = language
                patient.address_protected = address_protected
                patient.phone_verified_at = now() if phone and phone_verified else None
                patient.save(force_insert=True)
        except IntegrityError:
            patient = Patient.objects.get(nin_index=index)
        else:
            relation = _insert_relation(engagement=engagement, patient=patient, kind=relation_kind, reason=reason)
            _record_relation("patient.registered", acting, relation)
            return Registered(patient, relation, created=True)
    relation, is_new = _relate(engagement=engagement, patient=patient, kind=relation_kind, reason=reason)
    _record_relation("relation.recorded" if is_new else "patient.viewed", acting, relation)
    return Registered(patient, relation, created=False)


def _registered(index: bytes) -> Patient | None:
    return Patient.objects.filter(nin_index=index).first()


@transaction.atomic
def record_relation(*, acting: Acting, patient: Patient, kind: str, reason: str) -> Relation:
    """Record a relation between the patient and the unit acted for, with its reason.

    One that holds already is answered instead, and nothing is recorded. Raises Forbidden `staff_only`.
    """
    relation, is_new = _relate(engagement=require_staff(acting), patient=patient, kind=kind, reason=reason)
    if is_new:
        _record_relation("relation.recorded", acting, relation)
    return relation


def _relate(*, engagement: Engagement, patient: Patient, kind: str, reason: str) -> tuple[Relation, bool]:
    """The open relation of this kind, and whether it is new; one whose period ran out is closed first."""
    of_this_kind = Relation.objects.filter(unit_id=engagement.unit_id, patient=patient, kind=kind, ended_at=None)
    of_this_kind.filter(valid_to__lte=NOW).update(ended_at=F("valid_to"))
    open_one = of_this_kind.first()
    if open_one is not None:
        return open_one, False
    try:
        with transaction.atomic():
            return _insert_relation(engagement=engagement, patient=patient, kind=kind, reason=reason), True
    except IntegrityError:  # a colleague recorded the same a moment ago
        return of_this_kind.get(), False


def _insert_relation(*, engagement: Engagement, patient: Patient, kind: str, reason: str) -> Relation:
    relation = Relation(
        patient=patient,
        unit_id=engagement.unit_id,
        kind=kind,
        valid_from=now(),
        recorded_by_id=engagement.user_id,
    )
    sealed.seal_reason(relation, patient.key, reason)
    relation.save(force_insert=True)
    return relation


def _record_relation(entry_type: str, acting: Acting, relation: Relation) -> None:
    record(
        Entry(
            entry_type,
            acting.actor,
            subject_id=relation.patient_id,
            object_id=relation.id,
            basis="relation",
            detail={"kind": relation.kind},
        )
    )


@transaction.atomic
def end_relation(*, acting: Acting, relation_id: UUID, reason: str) -> None:
    """End a relation of the unit acted for, now. `reason` is a code. Ending it again changes nothing.

    Raises NotFound when it is foreign or missing; Forbidden `staff_only`.
    """
    engagement = require_staff(acting)
    relation = (
        Relation.objects.select_for_update(no_key=True).filter(id=relation_id, unit_id=engagement.unit_id).first()
    )
    if relation is None:
        raise NotFound
    if relation.ended_at is not None:
        return
    relation.ended_at = max(now(), relation.valid_from)
    relation.save(update_fields=["ended_at"])
    record(Entry("relation.ended", acting.actor, subject_id=relation.patient_id, object_id=relation.id, reason=reason))


@transaction.atomic
def open_account(*, patient: Patient, user: User, actor: Actor) -> None:
    """Let a patient sign in as `user`. Raises Conflict `has_account` when there is another account."""
    if not Patient.objects.filter(id=patient.id, user=None).update(user=user):
        raise Conflict(code="has_account")
    patient.user = user
    record(Entry("patient.account_opened", actor, subject_id=patient.id, object_id=user.id))


@transaction.atomic
def view_patient(*, acting: Acting, patient_id: UUID) -> Patient:
    """Look at one patient; the look is recorded. Raises NotFound (see `open_patient`)."""
    patient = open_patient(acting, patient_id)
    record(Entry("patient.viewed", acting.actor, subject_id=patient.id, object_id=patient.id, basis="relation"))
    return patient


def record_look(*, acting: Acting, patients: Sequence[Patient]) -> None:
    """Record that one page of patients was looked at, in the transaction that read it: one event for each patient
    shown, so that it stands in the access log of each (law 1, L2)."""
    record_many(
        Entry("patient.viewed", acting.actor, subject_id=patient.id, basis="relation", detail={"page": True})
        for patient in patients
    )
