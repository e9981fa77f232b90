"""Signing in and out, and what a session acts for."""

from datetime import datetime, timedelta
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
from server.people.actors import Acting, actor_of
from server.people.decide import kind_of
from server.people.models import Engagement, Patient, Session, User
from server.people.periods import NOW

SWEEP = 200


@transaction.atomic
def sign_in(
    *,
    user: User,
    method: str,
    engagement: Engagement | None = None,
    level: int = 0,
    until: datetime | None = None,
) -> tuple[Session, str]:
    """Begin a session; returns it with its token, which is not stored and cannot be shown again. It lasts until
    `until`, or as long as this installation lets sessions last.

    Without `engagement` the person acts for the earliest that holds, else for an appointment as officer.
    Raises Unauthenticated `account_deactivated`; Forbidden `no_engagement` for somebody who is neither staff, officer,
    administrator nor patient now.
    """
    if not user.is_active:
        raise Unauthenticated(code="account_deactivated")
    engagement = engagement or current_engagement(user.id)
    officer = None if engagement is not None else current_appointment(user.id)
    kind = kind_of(
        is_patient=Patient.objects.filter(user=user).exists(),
        is_engaged=engagement is not None,
        is_officer=officer is not None,
        is_administrator=user.is_administrator,
    )
    if kind == "nobody":
        raise Forbidden(code="no_engagement")
    token = create_token_string()
    session = Session.objects.create(
        digest=hash_token(token),
        user=user,
        engagement=engagement,
        officer=officer,
        sign_in=method,
        level=level,
        expiry=until or now() + timedelta(hours=settings.ENV.session_hours),
    )
    record(Entry("session.started", actor_of(session), object_id=session.sid, detail={"level": level}))
    return session, token


@transaction.atomic
def end_session(*, session: Session, reason: str, actor: Actor) -> bool:
    """End a session; its sockets close on the hint. False when it had ended already."""
    return bool(close_sessions(Session.objects.filter(digest=session.digest), reason=reason, actor=actor))


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
def end_spent_sessions() -> int:
    """End sessions that have run out, or whose engagement or appointment is over; returns how many."""
    open_ones = Session.objects.filter(ended_at=None)
    expired = open_ones.filter(expiry__lte=NOW)
    over = Q()
    for acted_for in ("engagement", "officer"):
        over |= Q(**{f"{acted_for}__ended_at__lte": NOW}) | Q(**{f"{acted_for}__valid_to__lte": NOW})
    closed = close_sessions(expired, reason="expired", actor=SYSTEM, limit=SWEEP)
    closed += close_sessions(open_ones.filter(over), reason="engagement_ended", actor=SYSTEM, limit=SWEEP)
    return len(closed)


@transaction.atomic
def choose_engagement(*, acting: Acting, engagement_id: UUID) -> Session:
    """Act for another of one's own engagements from now on; returns the session as it is now.

    Raises NotFound when it is foreign, ended or missing.
    """
    assert acting.session is not None, "only a session acts for something"
    own = Engagement.objects.current().filter(user_id=acting.user.id, id=engagement_id)
    chosen = own.select_related("unit__controller").first()
    if chosen is None:
        raise NotFound(refusal=Refusal("engagement.chosen", reason="not_own", object_id=engagement_id))
    Session.objects.filter(digest=acting.session.digest, ended_at=None).update(engagement=chosen, officer=None)
    session = Session.objects.in_full().get(digest=acting.session.digest)
    record(Entry("engagement.chosen", actor_of(session), object_id=chosen.id))
    hint("session", session.sid)
    return session


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
