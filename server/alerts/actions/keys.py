"""Alert keys: put on the patient's phone, ended when the phone is lost; nothing else ends them (L5)."""

from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from server.alerts.access import open_enrolled_patient, team_now
from server.alerts.authentication import digest_of, new_key
from server.alerts.models import AlertKey, Enrolment, Programme
from server.audit.actions import record
from server.audit.entry import Entry
from server.common.clock import now
from server.common.errors import Conflict, Forbidden, NotFound, Refusal
from server.common.hints import hint
from server.consent.records import excluded_people
from server.duties import actions as duties
from server.duties.models import Kind
from server.notify import ways_in
from server.people.actors import Acting
from server.people.models import Patient

MOST = 10
"""Phones of one patient that have a key at once. A further one is refused in plain words; none is ended for it."""
LOST, REMOVED, BY_TEAM = "lost", "removed", "by_team"


@transaction.atomic
def make(*, acting: Acting, label: str = "") -> tuple[AlertKey, str]:
    """A further key for the patient's own phone, and the key itself, which is told this once. The patient is told on
    every other device, and who leads the team: a key that somebody else has made can raise false alarms.

    Raises Forbidden (`patient_only`), Conflict (`too_many_alert_keys`).
    """
    patient = _own(acting, "alert_key.made")
    Patient.objects.select_for_update(no_key=True).get(id=patient.id)  # of two who ask at once, one waits
    if _live(patient.id).count() >= MOST:
        raise Conflict(code="too_many_alert_keys")
    key = new_key()
    row = AlertKey.objects.create(patient=patient, digest=digest_of(key), label=label)
    record(Entry("alert_key.made", acting.actor, subject_id=patient.id, object_id=row.id, basis="self"))
    ways_in.WaysIn().tell(
        Kind.ALERT_KEY_MADE,
        user_id=acting.user.id,
        object_id=row.id,
        actor=acting.actor,
        patient=patient,
        but=acting.session.sid if acting.session is not None else None,
    )
    _tell(acting, patient, row, Kind.ALERT_KEY_MADE_TOLD)
    return row, key


@transaction.atomic
def view_own(*, acting: Acting) -> list[AlertKey]:
    """The patient's own, ended ones too; a look, recorded. Raises Forbidden (`patient_only`)."""
    patient = _own(acting, "alert_key.viewed")
    record(Entry("alert_key.viewed", acting.actor, subject_id=patient.id, object_id=patient.id, basis="self"))
    return list(AlertKey.objects.filter(patient=patient).order_by("id"))


@transaction.atomic
def view(*, acting: Acting, patient_id: UUID) -> list[AlertKey]:
    """A patient's, for the team; a look, recorded. Raises NotFound, Forbidden (`staff_only`)."""
    found = open_enrolled_patient(acting, patient_id, act="alert_key.viewed")
    patient = found.patient
    record(Entry("alert_key.viewed", acting.actor, subject_id=patient.id, object_id=patient.id, basis=found.basis))
    return list(AlertKey.objects.filter(patient=patient).order_by("id"))


@transaction.atomic
def revoke_own(*, acting: Acting, key_id: UUID, because: str) -> AlertKey:
    """The patient takes a phone away (`removed`) or has lost it (`lost`); the team's leaders are told. Twice is once.

    Raises Forbidden (`patient_only`), NotFound.
    """
    patient = _own(acting, "alert_key.revoked")
    return _revoke(acting, patient, key_id, because, "self")


@transaction.atomic
def revoke(*, acting: Acting, patient_id: UUID, key_id: UUID) -> AlertKey:
    """The team ends a key, of a phone that somebody else has. Raises NotFound, Forbidden (`staff_only`)."""
    found = open_enrolled_patient(acting, patient_id, act="alert_key.revoked")
    return _revoke(acting, found.patient, key_id, BY_TEAM, found.basis)


def _revoke(acting: Acting, patient: Patient, key_id: UUID, because: str, basis: str) -> AlertKey:
    row = AlertKey.objects.select_for_update(no_key=True).filter(id=key_id, patient=patient).first()
    if row is None:
        raise NotFound(refusal=Refusal("alert_key.revoked", "missing", subject_id=patient.id, object_id=key_id))
    if row.revoked_at is not None:
        return row
    row.revoked_at, row.revoked_by, row.revoked_because = now(), acting.user, because
    row.save(update_fields=["revoked_at", "revoked_by", "revoked_because"])
    record(
        Entry("alert_key.revoked", acting.actor, subject_id=patient.id, object_id=row.id, basis=basis, reason=because)
    )
    hint("session", row.id)  # in place of one: sockets that have it are closed
    code = because if _live(patient.id).exists() else "last"  # the patient has no other
    _tell(acting, patient, row, Kind.ALERT_KEY_LOST, code)
    return row


def _tell(acting: Acting, patient: Patient, row: AlertKey, kind: Kind, code: str = "") -> None:
    """Whoever leads the team is told; without any whom the patient has not excluded, its day contacts, and at last
    everybody in it."""
    programme = _programme(patient)
    if programme is None:
        return
    excluded = excluded_people(patient.id)
    team = [
        one
        for one in team_now(programme.id).select_related("engagement__unit").order_by("valid_from", "id")
        if one.user_id not in excluded and one.user_id != acting.user.id
    ]
    told = [one for one in team if one.leads] or [one for one in team if one.day_contact] or team
    for one in told:
        duties.owe(
            kind=kind,
            actor=acting.actor,
            user_id=one.user_id,
            employer_id=one.engagement.unit.controller_id,
            patient=patient,
            object_id=row.id,
            code=code,
        )


def _programme(patient: Patient) -> Programme | None:
    enrolment = Enrolment.objects.filter(patient=patient, ended_at=None).select_related("programme").first()
    if enrolment is not None:
        return enrolment.programme
    return Programme.objects.filter(is_default=True, opened_at__isnull=False, closed_at=None).first()


def _live(patient_id: UUID) -> QuerySet[AlertKey]:
    return AlertKey.objects.filter(patient_id=patient_id, revoked_at=None)


def _own(acting: Acting, act: str) -> Patient:
    if acting.patient is None:
        raise Forbidden(code="patient_only", refusal=Refusal(act, "patient_only"))
    return acting.patient
