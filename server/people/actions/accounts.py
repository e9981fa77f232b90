"""Accounts of people at work, and contact points: what an administrator registers."""

from uuid import UUID

from django.db import IntegrityError, transaction

from server.audit.actions import record
from server.audit.entry import Actor, Entry
from server.common.errors import Conflict, NotFound
from server.people.models import ContactPoint, Language, Unit, User


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
