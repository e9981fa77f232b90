"""Signing in and out, and what a session acts for."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from knox.crypto import create_token_string, hash_token

from server.audit.actions import record, record_many
from server.audit.entry import SYSTEM, Actor, Entry
from server.common.clock import now
from server.common.errors import Forbidden, NotFound, Refusal, Unauthenticated
from server.common.hints import hint
from server.people.access import current_appointment, current_engagement
from server.people.actors import Acting, actor_of, kind_of_user
from server.people.decide import EMPLOYER, IN_PERSON, STRONG, Kind, Lifetime, ends_from, kind_of
from server.people.models import DeviceKind, Engagement, InPersonCode, Patient, Session, User
from server.people.periods import NOW
from server.people.ports import OWNERS_TOLD, SESSION_DEVICES

SWEEP = 200


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session just begun or refreshed. Neither token is stored, and neither can be shown again."""

    session: Session
    token: str
    refresh: str


@transaction.atomic
def sign_in(
    *,
    user: User,
    method: str,
    engagement: Engagement | None = None,
    level: int = 0,
    until: datetime | None = None,
    device: str = DeviceKind.OTHER,
) -> tuple[Session, str]:
    """Begin a session that nothing prolongs; returns it with its token. It lasts until `until`, or as long as this
    installation lets such sessions last.

    Without `engagement` the person acts for the earliest that holds, else for an appointment as officer.
    Raises Unauthenticated `account_deactivated`; Forbidden `no_engagement` for somebody who is neither staff, officer,
    administrator nor patient now.
    """
    token = create_token_string()
    session = _prepare(
        user, method=method, level=level, device=device, engagement=engagement, as_patient=False, token=token
    )
    session.expiry = until or now() + timedelta(hours=settings.ENV.session_hours)
    _prove(session, now())
    _begin(session)
    return session, token


@transaction.atomic
def sign_in_until(*, acting: Acting, until: datetime) -> tuple[Session, str]:
    """A further session for who acts, as they act, on the same device, that nothing prolongs. It has proved nothing of
    its own: what asks for a fresh proof is closed to it until it gives one.

    Raises as `sign_in` does.
    """
    present = acting.session
    assert present is not None, "REST acts in a session"
    token = create_token_string()
    session = _prepare(
        acting.user,
        method=present.sign_in,
        level=present.level,
        device=present.device,
        engagement=acting.engagement,
        as_patient=present.as_patient,
        token=token,
    )
    session.expiry = until
    _begin(session)
    return session, token


@transaction.atomic
def sign_in_lasting(
    *,
    user: User,
    method: str,
    level: int,
    device: str,
    engagement: Engagement | None = None,
    as_patient: bool = False,
    proved_at: datetime | None = None,
    tokens: tuple[str, str] | None = None,
) -> SignedIn:
    """Begin a session with a refresh token, as long as this kind of user may have one. `as_patient`: signed in as a
    citizen, so acting for no engagement. `proved_at`: when they proved who they are, where that is known; a sign-in is
    no proof of its own, for the provider may have known them since the morning. `tokens`, and its refresh token: such
    as nobody can guess; drawn by lot unless given. Their other devices are told that something waits: who has somebody
    else's way in is seen by its owner.

    Raises as `sign_in` does.
    """
    token, refresh = tokens or (create_token_string(), create_token_string())
    session = _prepare(
        user,
        method=method,
        level=level,
        device=device,
        engagement=engagement,
        as_patient=as_patient,
        token=token,
    )
    at = now()
    session.refresh_digest, session.rotated_at = hash_token(refresh), at
    session.last_seen_at = at  # not used yet
    set_ends(session, at)
    _prove(session, proved_at)
    _begin(session)
    if method != IN_PERSON:  # whom staff let in is told in words (`in_person.py`)
        SESSION_DEVICES().tell(user.id, about=session.sid)
    if as_patient and level >= STRONG:
        end_unconfirmed(session)
    return SignedIn(session, token, refresh)


def end_unconfirmed(session: Session) -> None:
    """The patient has signed in, or proved it, by electronic identification in `session`: phones that one member of
    staff let in alone are out, and the patient is told. What waits to be used asks for a colleague from now on."""
    alone = InPersonCode.objects.filter(patient__user=session.user_id, seconded_by=None)
    if settings.ENV.in_person_second != "never":
        alone.filter(used_at=None, taken_back_at=None).update(needs_second=True)
    phones = Session.objects.filter(sid__in=alone.values("session_id"), sign_in=IN_PERSON, level__lt=STRONG)
    if close_sessions(phones.exclude(sid=session.sid), reason="not_confirmed", actor=actor_of(session)):
        OWNERS_TOLD().tell(
            "way_in_changed",
            user_id=session.user_id,
            object_id=session.sid,
            actor=actor_of(session),
            code="phone_signed_out",
            patient=getattr(session.user, "patient", None),
        )


def set_ends(session: Session, at: datetime) -> None:
    """Put the ends on a session that is signed in or refreshed at `at`; the last one is fixed at the sign-in."""
    kind = kind_of_user(session.user, session.engagement, session.officer, as_patient=session.as_patient)
    ends = ends_from(lifetime_of(kind), at, session.ends_at)
    session.expiry, session.idle_until, session.ends_at = ends.expiry, ends.idle_until, ends.ends_at


def lifetime_of(kind: Kind) -> Lifetime:
    """As this installation has set it (`server/settings/sign_in.py`)."""
    env = settings.ENV
    access = timedelta(minutes=env.access_minutes)
    match kind:
        case "patient":
            return Lifetime(access, timedelta(days=env.patient_idle_days), timedelta(days=env.patient_session_days))
        case "staff":
            idle, whole = env.staff_idle_minutes, env.staff_session_hours
        case "officer":
            idle, whole = env.officer_idle_minutes, env.officer_session_hours
        case _:
            idle, whole = env.administrator_idle_minutes, env.administrator_session_hours
    return Lifetime(access, timedelta(minutes=idle), timedelta(hours=whole))


def _prepare(
    user: User, *, method: str, level: int, device: str, engagement: Engagement | None, as_patient: bool, token: str
) -> Session:
    """An unsaved session without its ends."""
    if not user.is_active:
        raise Unauthenticated(code="account_deactivated")
    officer = None
    if as_patient:
        engagement = None
    else:
        engagement = engagement or current_engagement(user.id)
        officer = None if engagement is not None else current_appointment(user.id)
    is_patient = Patient.objects.filter(user=user).exists()
    kind = kind_of(
        is_patient=is_patient,
        is_engaged=engagement is not None,
        is_officer=officer is not None,
        is_administrator=user.is_administrator and not as_patient,
    )
    if kind == "nobody":
        raise Forbidden(code="no_engagement")
    return Session(
        digest=hash_token(token),
        user=user,
        engagement=engagement,
        officer=officer,
        sign_in=method,
        level=level,
        as_patient=as_patient,
        device=device,
    )


def _prove(session: Session, proved_at: datetime | None) -> None:
    at = now()
    if session.sign_in == "demo":  # nobody proves anything in the demo town
        proved_at = at
    elif session.level < STRONG:
        proved_at = None
    if proved_at is not None:
        session.strong_at, session.strong_by = min(proved_at, at), session.sign_in


def _begin(session: Session) -> None:
    session.save(force_insert=True)
    record(Entry("session.started", actor_of(session), object_id=session.sid, detail={"level": session.level}))


@transaction.atomic
def end_session(*, session: Session, reason: str, actor: Actor) -> bool:
    """End a session; its sockets close on the hint. False when it had ended already."""
    return bool(close_sessions(Session.objects.filter(sid=session.sid), reason=reason, actor=actor))


def close_sessions(sessions: QuerySet[Session], *, reason: str, actor: Actor, limit: int | None = None) -> list[UUID]:
    """End those of `sessions` that are open (`limit` of them), in the caller's transaction; returns their `sid`s.

    The guard is in the statement: of two that end the same session one finds it open, and records it.
    """
    closed = []
    for sid in sessions.filter(ended_at=None).order_by("sid").values_list("sid", flat=True)[:limit]:
        if Session.objects.filter(sid=sid, ended_at=None).update(ended_at=NOW, end_reason=reason):
            closed.append(sid)
            hint("session", sid)
    record_many(Entry("session.ended", actor, object_id=sid, reason=reason) for sid in closed)
    return closed


@transaction.atomic
def end_all_sessions(*, reason: str) -> int:
    """Up to `SWEEP` of all open sessions, whoever's: after a restore nobody knows which of them had been ended since.
    Returns how many; call it until there are none. Alert keys stay as they are."""
    return len(close_sessions(Session.objects.all(), reason=reason, actor=SYSTEM, limit=SWEEP))


@transaction.atomic
def end_spent_sessions() -> int:
    """End sessions that have run out, or whose engagement or appointment is over; returns how many."""
    open_ones = Session.objects.filter(ended_at=None)
    expired = open_ones.run_out()
    over = Q()
    for acted_for in ("engagement", "officer"):
        over |= Q(**{f"{acted_for}__ended_at__lte": NOW}) | Q(**{f"{acted_for}__valid_to__lte": NOW})
    closed = close_sessions(expired, reason="expired", actor=SYSTEM, limit=SWEEP)
    closed += close_sessions(open_ones.filter(over), reason="engagement_ended", actor=SYSTEM, limit=SWEEP)
    return len(closed)


@transaction.atomic
def choose_engagement(*, acting: Acting, engagement_id: UUID) -> Session:
    """Act for another of one's own engagements from now on; returns the session as it is now. What was proved while
    acting for one employer is no proof for another: whose provider said it, might be its own.

    Raises NotFound when it is foreign, ended or missing, and to whoever signed in as a citizen.
    """
    assert acting.session is not None, "only a session acts for something"
    own = Engagement.objects.current().filter(user_id=acting.user.id, id=engagement_id)
    if acting.session.as_patient:  # no way from one into the other: at work one signs in at work
        own = own.none()
    if acting.session.sign_in == EMPLOYER and acting.engagement is not None:
        own = own.filter(unit__controller_id=acting.engagement.unit.controller_id)
    chosen = own.select_related("unit__controller").first()
    if chosen is None:
        raise NotFound(refusal=Refusal("engagement.chosen", reason="not_own", object_id=engagement_id))
    changed: dict[str, Any] = {"engagement": chosen, "officer": None}
    # As it is now: it may have been proved, or have gone elsewhere, since this request began.
    held = Session.objects.in_full().select_for_update(of=("self",)).get(sid=acting.session.sid)
    if _controller_of(held) != chosen.unit.controller_id and held.sign_in != "demo":
        changed |= {"strong_at": None, "strong_by": ""}
    Session.objects.filter(sid=acting.session.sid, ended_at=None).update(**changed)
    session = Session.objects.in_full().get(sid=acting.session.sid)
    record(Entry("engagement.chosen", actor_of(session), object_id=chosen.id))
    hint("session", session.sid)
    return session


def _controller_of(session: Session) -> UUID | None:
    if session.engagement is not None:
        return session.engagement.unit.controller_id
    return session.officer.controller_id if session.officer is not None else None


@transaction.atomic
def set_language(*, acting: Acting, language: str) -> None:
    """The language one reads in; a patient's is also what others see as theirs."""
    User.objects.filter(id=acting.user.id).update(language=language)
    if acting.patient is not None:
        Patient.objects.filter(id=acting.patient.id).update(language=language)
        acting.patient.language = language
    acting.user.language = language
    record(
        Entry(
            "user.language_set",
            acting.actor,
            subject_id=acting.patient.id if acting.patient is not None else None,
            object_id=acting.user.id,
            detail={"language": language},
        )
    )
    hint("user", acting.user.id)
