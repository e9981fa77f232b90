"""Accounts of people at work, and contact points: what an administrator registers."""

from uuid import UUID

from django.db import IntegrityError, transaction

from server.audit.actions import record
from server.audit.entry import Actor, Entry
from server.common.errors import Conflict, NotFound
from server.people.actions.leaving import end_ways_in
from server.people.actions.sessions import close_sessions
from server.people.models import ContactPoint, Language, Patient, Session, Unit, User


@transaction.atomic
def register_user(*, username: str, name: str, language: str = Language.BOKMAL, actor: Actor) -> User:
    """An account for somebody who works here. It opens nothing before an engagement or appointment, and nobody signs in
    with it before an identity number leads to it (`identities.py`). Raises Conflict `username_taken`."""
    user = User(username=username, name=name, language=language)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        raise Conflict(code="username_taken") from None
    record(Entry("user.registered", actor, object_id=user.id))
    return user


@transaction.atomic
def appoint_administrator(*, username: str, actor: Actor) -> User:
    """Let somebody who works here administer. Twice is once. Raises NotFound; Conflict `patient_account`."""
    user = User.objects.select_for_update(no_key=True).filter(username=username).first()
    if user is None:
        raise NotFound
    if Patient.objects.filter(user=user).exists():
        raise Conflict(code="patient_account")
    if not user.is_administrator:
        user.is_administrator = True
        user.save(update_fields=["is_administrator"])
        record(Entry("administrator.appointed", actor, object_id=user.id))
    return user


@transaction.atomic
def end_administrator(*, username: str, actor: Actor) -> User:
    """They administer no more; their sessions end, and with nothing else to do here what they sign in with. Twice is
    once. Raises NotFound."""
    user = User.objects.select_for_update(no_key=True).filter(username=username).first()
    if user is None:
        raise NotFound
    if user.is_administrator:
        user.is_administrator = False
        user.save(update_fields=["is_administrator"])
        record(Entry("administrator.ended", actor, object_id=user.id))
        own = Session.objects.filter(user=user, engagement=None, officer=None)
        close_sessions(own, reason="engagement_ended", actor=actor)
        end_ways_in(user_id=user.id, actor=actor)
    return user


@transaction.atomic
def add_contact_point(*, unit: Unit, label: str, user: User | None, actor: Actor) -> ContactPoint:
    """A fixed place of a unit that takes what has no named receiver (S9), and who tends it."""
    point = ContactPoint.objects.create(unit=unit, label=label, user=user)
    tended_by = (user.id,) if user is not None else ()
    record(Entry("contact_point.added", actor, object_id=point.id, record_ids=(unit.id, *tended_by)))
    return point


@transaction.atomic
def tend_contact_point(*, point_id: UUID, user: User | None, actor: Actor) -> ContactPoint:
    """Who tends it from now on; nobody: it waits. Raises NotFound."""
    point = ContactPoint.objects.select_for_update(no_key=True).filter(id=point_id).first()
    if point is None:
        raise NotFound
    point.user = user
    point.save(update_fields=["user"])
    record(Entry("contact_point.tended", actor, object_id=point.id, record_ids=(user.id,) if user is not None else ()))
    return point
