"""Where somebody is signed in, and signing out there: by themself, or for a patient whose phone is gone."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from server.audit.actions import record
from server.audit.entry import Entry
from server.common.errors import Forbidden, NotFound, Refusal
from server.common.limiting import spend
from server.people.access import open_unless_excluded
from server.people.actions.sessions import close_sessions
from server.people.actors import Acting
from server.people.models import Session, SessionQuerySet
from server.people.ports import OWNERS_TOLD, SESSION_DEVICES
from server.people.step_up import speaks_for_all

THERE = "signed_out_there"
BY_STAFF = "signed_out_by_staff"


@dataclass(frozen=True, slots=True)
class OwnSession:
    """One sign-in, as its owner is shown it. `devices` get pushes through it."""

    id: UUID
    this: bool
    device: str
    sign_in: str
    level: int
    created: datetime
    seen: datetime
    ends_at: datetime
    devices: int


def mine(acting: Acting) -> list[OwnSession]:
    """All that open a door or may be refreshed, the newest first; two statements."""
    rows = list(_open(acting).order_by("-created", "-sid"))
    devices = SESSION_DEVICES().counts([one.sid for one in rows])
    return [
        OwnSession(
            id=one.sid,
            this=acting.session is not None and one.sid == acting.session.sid,
            device=one.device,
            sign_in=one.sign_in,
            level=one.level,
            created=one.created,
            seen=one.last_seen_at,
            ends_at=one.ends_at or one.expiry,
            devices=devices.get(one.sid, 0),
        )
        for one in rows
    ]


@transaction.atomic
def sign_out_there(*, acting: Acting, sid: UUID) -> None:
    """End one of one's own sessions. Raises NotFound, the same for foreign, ended and missing; Forbidden
    `other_provider` for work elsewhere, where an employer's own provider let this one in."""
    own = acting.session is not None and acting.session.sid == sid
    found = _open(acting).filter(sid=sid)
    if found.exists() and not _within_reach(acting, found).exists():
        raise Forbidden(code="other_provider", refusal=Refusal("session.ended", "other_provider", object_id=sid))
    ended = close_sessions(found, reason="signed_out" if own else THERE, actor=acting.actor)
    if not ended:
        raise NotFound(refusal=Refusal("session.ended", "not_own", object_id=sid))


@transaction.atomic
def sign_out_others(*, acting: Acting) -> int:
    """End all of one's own sessions but this one, as far as it reaches; returns how many."""
    assert acting.session is not None, "REST acts in a session"
    others = Session.objects.filter(user=acting.user).exclude(sid=acting.session.sid)
    return len(close_sessions(_within_reach(acting, others), reason=THERE, actor=acting.actor))


def _within_reach(acting: Acting, rows: SessionQuerySet) -> SessionQuerySet:
    """What an employer's own provider let in ends itself, and work at that employer."""
    if speaks_for_all(acting):
        return rows
    assert acting.session is not None, "without one, nothing is beyond reach"
    here = acting.engagement.unit.controller_id if acting.engagement is not None else None
    return rows.filter(Q(sid=acting.session.sid) | Q(engagement__unit__controller_id=here, engagement__isnull=False))


@transaction.atomic
def sign_out_patient(*, acting: Acting, patient_id: UUID) -> int:
    """End a patient's sessions, for staff whose unit has a relation: a phone is in the wrong hands, and its owner can
    only telephone. The patient is told, and finds in their log who did it. It takes no help away: alert keys still
    call, and whoever signs in anew has everything again. Work sessions of the same person stay.

    Returns how many. Raises NotFound, also for whom the patient has excluded; TooMany for a patient who was signed out
    over and over, by whomever.
    """
    patient = open_unless_excluded(acting, patient_id, "patient.signed_out")
    as_patient = Session.objects.filter(user__patient=patient, engagement=None, officer=None)
    ended = close_sessions(as_patient, reason=BY_STAFF, actor=acting.actor)
    if ended:
        spend("patient", f"out {patient.id}")
    record(
        Entry(
            "patient.signed_out",
            acting.actor,
            subject_id=patient.id,
            object_id=patient.user_id,
            basis="relation",
            record_ids=tuple(ended),
        )
    )
    if ended and patient.user_id is not None:
        OWNERS_TOLD().tell(
            "way_in_changed",
            user_id=patient.user_id,
            object_id=patient.id,
            actor=acting.actor,
            code=BY_STAFF,
            patient=patient,
        )
    return len(ended)


def _open(acting: Acting) -> SessionQuerySet:
    rows = Session.objects.filter(user=acting.user, ended_at=None)
    return rows.exclude(sid__in=Session.objects.filter(user=acting.user).run_out().values("sid"))
