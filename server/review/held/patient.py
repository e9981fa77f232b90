"""Everything that is held about a patient, table by table. `tests/review/test_held_whole.py` walks all models: a field
that is neither here nor said to be left out, and why, fails."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q

from server.alerts.actions.plans import PLACE as PLAN
from server.alerts.models import (
    Admission,
    Alert,
    AlertAlias,
    AlertEvent,
    AlertKey,
    AlertTask,
    Enrolment,
    Plan,
)
from server.alerts.store import TEXT as CALL_TEXT
from server.consent import versions
from server.consent.models import Consent, StatutoryGround, Version
from server.duties.models import Duty
from server.duties.words import ANSWER
from server.people import sealed
from server.people.models import Engagement, InPersonCode, Patient, Relation
from server.people.periods import NOW
from server.review.access_log import events_about, line
from server.review.concerned import written
from server.review.held import signing_in
from server.review.held.section import Rows, Section, Told, plain
from server.review.models import Erasure, Export, Line
from server.review.telling import told
from server.rooms import hidden
from server.rooms.emergency import REASON
from server.rooms.models import EmergencyAccess, Member, Room, RoomEvent, Span
from server.rooms.timeline import PLACE as EVENT


def user_of(patient_id: UUID) -> Any:
    return Patient.objects.filter(id=patient_id, user__isnull=False).values("user_id")


def _shown(patient_id: UUID) -> Rows:
    """What the patient sees of the timelines: within the patient's own intervals."""
    spans = Span.objects.filter(
        Q(until=None) | Q(until__gt=OuterRef("seq")),
        member__room_id=OuterRef("room_id"),
        member__engagement=None,
        first__lte=OuterRef("seq"),
    )
    return RoomEvent.objects.filter(Exists(spans), room__patient_id=patient_id)


def _told_of(patient_id: UUID) -> Rows:
    return EmergencyAccess.objects.filter(room__patient_id=patient_id).exclude(told_at=None, tell_at__gt=NOW)


def _duties(patient_id: UUID) -> Rows:
    """Without those about what the patient may not know yet (L3)."""
    return Duty.objects.filter(patient_id=patient_id).exclude(
        object_id__in=[one.id for one in hidden.kept_from(patient_id)]
    )


def _of_rooms(rows: Rows, controller_id: UUID) -> Rows:
    return rows.filter(room_id__in=Room.objects.filter(home_id=controller_id).values("id"))


def _of_programme(rows: Rows, controller_id: UUID) -> Rows:
    return rows.filter(programme__unit__controller_id=controller_id)


def _of_consents(rows: Rows, controller_id: UUID) -> Rows:
    ours = Enrolment.objects.filter(programme__unit__controller_id=controller_id, consent_id__isnull=False)
    return rows.filter(Q(room_id__in=_homes(controller_id)) | Q(id__in=ours.values("consent_id")))


def _of_versions(rows: Rows, controller_id: UUID) -> Rows:
    return rows.filter(consent_id__in=_of_consents(Consent.objects.all(), controller_id).values("id"))


def _homes(controller_id: UUID) -> Any:
    return Room.objects.filter(home_id=controller_id).values("id")


def _written_for(rows: Rows, patient_id: UUID, controller_id: UUID) -> Rows:
    """By the controller's own staff (L6, S8): nobody else's words are an officer's to read. For whom somebody wrote
    says the log, as it was then: who has changed employer takes no words along."""
    return rows.filter(id__in=written().filter(subject_id=patient_id, controller_id=controller_id).values("object_id"))


def _members_of(rows: Rows, controller_id: UUID) -> Rows:
    """The controller's own, and the patient in its rooms."""
    theirs = Q(engagement__unit__controller_id=controller_id) & ~Q(state=Member.State.PROPOSED)
    return rows.filter(theirs | Q(room__home_id=controller_id, engagement=None))


def _grounds_of(rows: Rows, controller_id: UUID) -> Rows:
    """In the controller's rooms, recorded by its people."""
    staff = Engagement.objects.filter(user_id=OuterRef("recorded_by_id"), unit__controller_id=controller_id)
    return _of_rooms(rows, controller_id).filter(Exists(staff))


def _reached_by(rows: Rows, controller_id: UUID) -> Rows:
    """While one of its units helps the patient."""
    helps = Relation.objects.current().filter(patient_id=OuterRef("id"), unit__controller_id=controller_id)
    return rows.filter(Exists(helps))


def _of_calls(rows: Rows, controller_id: UUID) -> Rows:
    return rows.filter(alert__programme__unit__controller_id=controller_id)


def _of_plans(rows: Rows, controller_id: UUID) -> Rows:
    enrolled = Enrolment.objects.filter(patient_id=OuterRef("patient_id"), programme__unit__controller_id=controller_id)
    return rows.filter(Exists(enrolled))


def _log_of(rows: Rows, controller_id: UUID) -> Rows:
    lines = Line.objects.filter(controller_id=controller_id, event_id=OuterRef("id"))
    return rows.filter(Exists(lines))


def _log(events: Sequence[Any], patient_id: UUID) -> list[Told]:
    user = Patient.objects.values_list("user_id", flat=True).get(id=patient_id)
    return [{name: plain(value) for name, value in line(one).items()} for one in told(list(events), reader=user)]


SECTIONS: list[Section] = [
    Section(
        "person",
        lambda id_: Patient.objects.filter(id=id_),
        ("language", "registered_at"),
        {"name_sealed": sealed.NAME},
        of=lambda rows, _: rows,
    ),
    Section(
        "contact",
        lambda id_: Patient.objects.filter(id=id_),
        ("phone_verified_at", "may_call", "may_text", "may_leave_message", "address_protected"),
        {"phone_sealed": sealed.PHONE, "others_may_answer_sealed": sealed.OTHERS},
        of=_reached_by,
    ),
    Section(
        "relations",
        lambda id_: Relation.objects.filter(patient_id=id_),
        ("kind", "valid_from", "valid_to", "ended_at"),
        {"reason_sealed": sealed.REASON},
        people=("recorded_by_id",),
        places=("unit_id",),
        of=lambda rows, one: rows.filter(unit__controller_id=one),
    ),
    Section(
        "consents",
        lambda id_: Consent.objects.filter(patient_id=id_),
        ("form", "room_id", "purpose", "state", "version", "ends_at", "remind_at", "created_at", "newest_hash"),
        of=_of_consents,
    ),
    Section(
        "consent_versions",
        lambda id_: Version.objects.filter(consent__patient_id=id_),
        ("consent_id", "number", "document", "hash"),
        {"text_sealed": versions.TEXT, "remark_sealed": versions.REMARK, "minute_sealed": versions.MINUTE},
        of=_of_versions,
        own=frozenset({"document", "text_sealed", "remark_sealed", "minute_sealed"}),
    ),
    Section(
        "grounds",
        lambda id_: StatutoryGround.objects.filter(patient_id=id_),
        ("room_id", "document", "hash", "recorded_at", "ends_at", "ended_at"),
        {"remark_sealed": "statutory_ground.remark"},
        people=("recorded_by_id",),
        of=_grounds_of,
        own=frozenset({"document"}),
    ),
    Section(
        "rooms",
        lambda id_: Room.objects.filter(patient_id=id_),
        ("purpose", "opened_at", "head"),
        people=("opened_by_id",),
        places=("home_id",),
        of=lambda rows, one: rows.filter(home_id=one),
    ),
    Section(
        "members",
        lambda id_: Member.objects.filter(room__patient_id=id_).annotate(unit_id=F("engagement__unit_id")),
        ("room_id", "state", "participation", "delivered", "read"),
        people=("user_id", "proposed_by_id"),
        places=("unit_id",),
        of=_members_of,
    ),
    Section(
        "messages",
        _shown,
        ("room_id", "seq", "type", "created_at", "facts"),
        {"sealed": EVENT},
        people=("sender_id",),
        of_person=_written_for,
    ),
    Section(
        "emergency_access",
        _told_of,
        ("room_id", "ground", "begun_at", "until", "ended_at", "end_reason", "hidden", "tell_at", "told_at"),
        {"reason_sealed": REASON},
        people=("user_id",),
        of=lambda rows, one: rows.filter(engagement__unit__controller_id=one),
    ),
    Section(
        "duties",
        _duties,
        ("kind", "room_id", "due_at", "created_at", "code", "done_at"),
        {"answer_sealed": ANSWER},
        people=("user_id", "done_by_id"),
        places=("controller_id", "employer_id"),
        of=lambda rows, one: rows.filter(Q(controller_id=one) | Q(employer_id=one)),
    ),
    Section(
        "enrolments",
        lambda id_: Enrolment.objects.filter(patient_id=id_).annotate(unit_id=F("programme__unit_id")),
        ("programme_id", "consent_id", "meets_criterion", "enrolled_at", "ended_at"),
        people=("enrolled_by_id",),
        places=("unit_id",),
        of=_of_programme,
    ),
    Section(
        "admissions",
        lambda id_: Admission.objects.filter(patient_id=id_),
        ("programme_id", "admitted_on", "recorded_at", "taken_back_at"),
        people=("recorded_by_id",),
        places=("ward_id",),
        of=_of_programme,
    ),
    Section(
        "plans",
        lambda id_: Plan.objects.filter(patient_id=id_),
        ("version", "made_with_patient", "made_at"),
        {"plan_sealed": PLAN},
        people=("made_by_id",),
        of=_of_plans,
    ),
    Section(
        "alerts",
        lambda id_: Alert.objects.filter(patient_id=id_),
        (
            *("programme_id", "state", "raised_at", "raised_from", "cancelled_at", "accepted_at", "calling_at"),
            *("contact_at", "alone_at", "closed_at", "outcome", "children", "events"),
        ),
        people=("responder_id", "offered_to_id", "raised_by_id"),
        of=_of_programme,
    ),
    Section(
        "alert_events",
        lambda id_: AlertEvent.objects.filter(alert__patient_id=id_),
        ("alert_id", "n", "at", "type", "channel", "code"),
        {"text_sealed": CALL_TEXT},
        people=("actor_id",),
        of=_of_calls,
    ),
    Section(
        "alert_tasks",
        lambda id_: AlertTask.objects.filter(alert__patient_id=id_),
        ("alert_id", "kind", "made_at", "due_at", "done_at", "code"),
        people=("owner_id", "done_by_id"),
        of=_of_calls,
    ),
    Section(
        "alert_aliases",
        lambda id_: AlertAlias.objects.filter(alert__patient_id=id_),
        ("alert_id", "at"),
        of=_of_calls,
    ),
    Section(
        "alert_keys",
        lambda id_: AlertKey.objects.filter(patient_id=id_),
        ("label", "made_at", "revoked_at", "revoked_because"),
        people=("revoked_by_id",),
    ),
    Section(
        "sign_in_codes",
        lambda id_: InPersonCode.objects.filter(patient_id=id_).annotate(by=F("made_by__user_id")),
        ("how", "made_at", "expires_at", "used_at", "needs_second", "taken_back_at"),
        people=("by",),
    ),
    *signing_in.sections(user_of),
    Section(
        "exports",
        lambda id_: Export.objects.filter(patient_id=id_),
        ("kind", "made_at", "format", "state", "total", "done"),
        people=("made_by_id",),
        places=("controller_id",),
        of=lambda rows, one: rows.filter(controller_id=one),
    ),
    Section(
        "erasures",
        lambda id_: Erasure.objects.filter(patient_id=id_),
        ("asked_at", "confirmed_at", "not_before", "begun_at", "done_at", "cancelled_at"),
        people=("asked_by_id", "confirmed_by_id", "begun_by_id", "cancelled_by_id"),
        places=("asked_for_id", "begun_for_id"),
        of=lambda rows, _: rows,
    ),
    Section("log", events_about, of=_log_of, make=_log),
]
