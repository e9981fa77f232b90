"""Engagements and appointments: who works where, and who reviews."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from server.audit.actions import record
from server.audit.entry import Actor, Entry
from server.common.clock import now
from server.common.errors import Conflict, Invalid, NotFound, Refusal
from server.common.hints import hint
from server.people.access import leaders_of
from server.people.actions.leaving import end_ways_in
from server.people.actions.sessions import close_sessions
from server.people.models import Controller, Engagement, HandOver, Officer, Session, Unit, User
from server.people.periods import NOW
from server.people.ports import ACCESS_EFFECTS, OWNERS_TOLD


@transaction.atomic
def engage(
    *,
    user: User,
    unit: Unit,
    role: str,
    health_personnel: bool,
    actor: Actor,
    leads: bool = False,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
) -> Engagement:
    """Record that somebody works for a unit, or leads it, from now unless told otherwise. Who leads there (or,
    without any, reviews there) is told of a new leader. Raises Conflict `not_your_own`.
    """
    _not_oneself(user.id, actor, "engagement.begun")
    engagement = Engagement.objects.create(
        user=user,
        unit=unit,
        role=role,
        health_personnel=health_personnel,
        leads=leads,
        valid_from=valid_from or now(),
        valid_to=valid_to,
    )
    record(Entry("engagement.begun", actor, object_id=engagement.id, record_ids=(user.id, unit.id)))
    hint("user", user.id)
    if leads and actor.user_id is not None:
        _tell(leaders_of(engagement), engagement.id, actor, "leader_engaged", unit.controller_id)
    return engagement


@transaction.atomic
def end_engagement(*, engagement_id: UUID, actor: Actor, reason: str) -> None:
    """End an engagement now: its sessions end and so does every access that rested on it, in this transaction.

    `reason` is a code. Ending it again changes nothing. Raises NotFound when there is none.
    """
    engagement = Engagement.objects.select_for_update(no_key=True).filter(id=engagement_id).first()
    if engagement is None:
        raise NotFound
    if engagement.ended_at is None:
        engagement.ended_at = max(now(), engagement.valid_from)
        engagement.save(update_fields=["ended_at"])
    finish_engagement(engagement=engagement, actor=actor, reason=reason)


@transaction.atomic
def finish_engagement(*, engagement: Engagement, actor: Actor, reason: str) -> bool:
    """Let the end of an engagement take effect, once; False when it has already.

    If we die before the commit nothing has happened, and the worker finds the engagement due again.
    """
    due = Engagement.objects.filter(id=engagement.id, effect_done_at=None)
    if not due.update(effect_done_at=NOW):
        return False
    record(
        Entry(
            "engagement.ended",
            actor,
            object_id=engagement.id,
            reason=reason,
            record_ids=(engagement.user_id, engagement.unit_id),
        )
    )
    close_sessions(Session.objects.filter(engagement_id=engagement.id), reason="engagement_ended", actor=actor)
    end_ways_in(user_id=engagement.user_id, actor=actor)
    ACCESS_EFFECTS().engagement_ended(engagement.id)
    hint("user", engagement.user_id)
    return True


@transaction.atomic
def appoint_officer(
    *,
    user: User,
    controller: Controller,
    actor: Actor,
    email: str = "",
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
) -> Officer:
    """Appoint a privacy officer of one controller (L6), who gets a checkpoint a day at `email`.

    The controller's other officers are told. Raises Invalid when that is no address; Conflict `not_your_own`.
    """
    _not_oneself(user.id, actor, "officer.appointed")
    if email:
        try:
            validate_email(email)
        except ValidationError:
            raise Invalid from None
    officer = Officer.objects.create(
        user=user, controller=controller, email=email, valid_from=valid_from or now(), valid_to=valid_to
    )
    record(Entry("officer.appointed", actor, object_id=officer.id, record_ids=(user.id, controller.id)))
    if actor.user_id is not None:
        others = Officer.objects.current().filter(controller=controller, user__is_active=True).exclude(user=user)
        told = others.values_list("user_id", flat=True).distinct()
        _tell(told, officer.id, actor, "officer_appointed", controller.id)
    return officer


@transaction.atomic
def appoint_log_verifier(*, officer_id: UUID, actor: Actor) -> None:
    """Let an officer read the sealed entries of the whole log, to verify them (L4), until the appointment ends.

    Raises NotFound; Conflict `not_your_own`; doing it again changes nothing.
    """
    for user_id in Officer.objects.filter(id=officer_id).values_list("user_id", flat=True):
        _not_oneself(user_id, actor, "officer.log_verifier_appointed")
    if Officer.objects.filter(id=officer_id, verifies_log=False).update(verifies_log=True):
        record(Entry("officer.log_verifier_appointed", actor, object_id=officer_id))
    elif not Officer.objects.filter(id=officer_id).exists():
        raise NotFound


def _not_oneself(user_id: UUID, actor: Actor, act: str) -> None:
    if actor.user_id == user_id:
        raise Conflict(code="not_your_own", refusal=Refusal(act, "own", object_id=user_id))


def _tell(users: Iterable[UUID], object_id: UUID, actor: Actor, code: str, controller_id: UUID) -> None:
    """Whoever lets in people beside them does not do it unseen; what is set up from the shell is nobody's act."""
    for user_id in users:
        if user_id != actor.user_id:
            OWNERS_TOLD().tell(
                "way_in_changed",
                user_id=user_id,
                object_id=object_id,
                actor=actor,
                code=code,
                employer_id=controller_id,
            )


@transaction.atomic
def end_appointment(*, officer_id: UUID, actor: Actor, reason: str) -> None:
    """End an officer's appointment and its sessions now. Raises NotFound; ending it again changes nothing."""
    officer = Officer.objects.select_for_update(no_key=True).filter(id=officer_id).first()
    if officer is None:
        raise NotFound
    if officer.ended_at is not None:
        return
    officer.ended_at = max(now(), officer.valid_from)
    officer.save(update_fields=["ended_at"])
    record(Entry("officer.ended", actor, object_id=officer.id, reason=reason))
    close_sessions(Session.objects.filter(officer_id=officer.id), reason="engagement_ended", actor=actor)
    end_ways_in(user_id=officer.user_id, actor=actor)


@transaction.atomic
def deactivate_user(*, user_id: UUID, actor: Actor, reason: str) -> None:
    """Close an account: nobody signs in with it, and its sessions end. Raises NotFound; doing it again is nothing."""
    user = User.objects.select_for_update(no_key=True).filter(id=user_id).first()
    if user is None:
        raise NotFound
    if not user.is_active:
        return
    user.is_active = False
    user.save(update_fields=["is_active"])
    record(Entry("user.deactivated", actor, object_id=user.id, reason=reason))
    HandOver.objects.filter(user_id=user.id, used_at=None).update(used_at=NOW)
    close_sessions(Session.objects.filter(user_id=user.id), reason="account_deactivated", actor=actor)
    for engagement_id in Engagement.objects.current().filter(user_id=user.id).values_list("id", flat=True):
        ACCESS_EFFECTS().engagement_ended(engagement_id)  # nobody writes to a room whose only reader is gone
    hint("user", user.id)
