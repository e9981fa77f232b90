"""Rotations and exceptions from them: kept by whoever leads the team. A change is laid out in the same transaction."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from django.db import transaction
from django.utils.translation import gettext as _

from server.alerts import roster, telling
from server.alerts.access import open_programme, open_programme_as_leader, team_now
from server.alerts.layout import lay_out, today
from server.alerts.models import Override, Programme, Rotation
from server.audit.actions import record
from server.audit.entry import Entry
from server.common.clock import now
from server.common.errors import Conflict, FieldError, Forbidden, Invalid, NotFound, Refusal
from server.people.actors import Acting
from server.people.hours import moment

LONGEST_OVERRIDE = timedelta(days=366)
A_MINUTE = timedelta(minutes=1)
SOON = timedelta(hours=24)
"""Whoever is put on call, or taken off, within that time is told at once: no quiet hours hold it back."""


@transaction.atomic
def begin_rotation(*, acting: Acting, programme_id: UUID, said: Mapping[str, Any]) -> Rotation:
    """Another layer of the roster. Raises NotFound, Forbidden (`leader_only`), Invalid naming what is wrong."""
    programme = open_programme_as_leader(acting, programme_id, act="rotation.begun")
    wrong = roster.faults(said)
    if wrong:
        raise Invalid(errors=[_field(name, "unusable", _("This cannot be used.")) for name in wrong])
    _require_team(programme, (UUID(str(one)) for one in said["people"]), "people")
    row = Rotation.objects.create(
        programme=programme, made_by=acting.user, **{**said, "people": [str(one) for one in said["people"]]}
    )
    record(_entry("rotation.begun", acting, row.id, programme))
    lay_out(programme.id, actor=acting.actor)
    row.refresh_from_db()
    return row


@transaction.atomic
def end_rotation(*, acting: Acting, programme_id: UUID, rotation_id: UUID) -> Rotation:
    """It goes on until its next handover, so that nobody's shift vanishes under them; one that has not begun never
    does. Twice is once. Raises NotFound, Forbidden (`leader_only`)."""
    programme = open_programme_as_leader(acting, programme_id, act="rotation.ended")
    row = Rotation.objects.select_for_update(no_key=True).filter(id=rotation_id, programme=programme).first()
    if row is None:
        raise NotFound(refusal=Refusal("rotation.ended", "missing", object_id=rotation_id))
    if row.ended_at is None:
        at = now()
        day = today(at)
        handover = day if at <= moment(day, row.handover, fold=0) else day + timedelta(days=1)
        last = max(handover, row.starts_on)
        row.ends_on = last if row.ends_on is None else min(last, row.ends_on)
        row.ended_at = at
        row.save(update_fields=["ends_on", "ended_at"])
        record(_entry("rotation.ended", acting, row.id, programme))
        lay_out(programme.id, actor=acting.actor)
    return row


@transaction.atomic
def add_override(
    *,
    acting: Acting,
    programme_id: UUID,
    user_id: UUID | None,
    begins: datetime,
    ends: datetime,
    instead_of: UUID | None,
) -> Override:
    """Somebody else, or nobody, for a time. Leaders; and anybody in the team who lets a colleague take their own shift.
    What has been stays as it was: it begins now at the earliest. Who is put on call is told.

    Raises NotFound, Forbidden (`leader_only`), Invalid.
    """
    act = "override.added"
    if user_id is not None and instead_of == acting.user.id != user_id:
        programme = open_programme(acting, programme_id, act=act)
    else:
        programme = open_programme_as_leader(acting, programme_id, act=act)
    at = now()
    begins = max(begins, at)
    if not A_MINUTE <= ends - begins <= LONGEST_OVERRIDE:
        raise Invalid(errors=[_field("ends", "order", _("This lies before the beginning, or too far ahead."))])
    if user_id is not None:
        _require_team(programme, [user_id], "user")
    row = Override.objects.create(
        programme=programme,
        user_id=user_id,
        instead_of_id=instead_of,
        begins=begins,
        ends=ends,
        made_by=acting.user,
    )
    record(_entry(act, acting, row.id, programme))
    lay_out(programme.id, actor=acting.actor)
    if user_id is not None and user_id != acting.user.id:
        telling.notice([user_id], about=row.id, seed=row.id, urgent=begins - at < SOON)
    row.refresh_from_db()
    return row


@transaction.atomic
def take_back_override(*, acting: Acting, programme_id: UUID, override_id: UUID) -> Override:
    """As if it had never been; one that has begun ends now. Leaders, and whoever made it. Twice is once.

    Raises NotFound, Forbidden (`leader_only`), Conflict (`override_over`).
    """
    act = "override.taken_back"
    programme = open_programme(acting, programme_id, act=act)
    row = Override.objects.select_for_update(no_key=True).filter(id=override_id, programme=programme).first()
    if row is None:
        raise NotFound(refusal=Refusal(act, "missing", object_id=override_id))
    if row.made_by_id != acting.user.id and not programme.led:  # type: ignore[attr-defined] # of `open_programme`
        raise Forbidden(code="leader_only", refusal=Refusal(act, "leader_only", object_id=override_id))
    if row.ended_at is None:
        at = now()
        if row.ends <= at:
            raise Conflict(code="override_over")
        row.ended_at = at
        row.save(update_fields=["ended_at"])
        record(_entry(act, acting, row.id, programme))
        lay_out(programme.id, actor=acting.actor)
        told = {one for one in (row.user_id, row.instead_of_id) if one is not None and one != acting.user.id}
        seed, soon = uuid5(row.id, "taken back"), row.begins - at < SOON
        telling.notice(told, about=row.id, seed=seed, urgent=soon)
    return row


@transaction.atomic
def view_rotations(*, acting: Acting, programme_id: UUID) -> list[Rotation]:
    """Those that are on or to come, in the order made; a look, recorded. Raises NotFound."""
    programme = _seen(acting, programme_id)
    day = today(now())
    rows = Rotation.objects.filter(programme=programme).order_by("id")
    return [row for row in rows if row.ends_on is None or row.ends_on >= day]


@transaction.atomic
def view_overrides(*, acting: Acting, programme_id: UUID) -> list[Override]:
    """Those that hold and are not over, by beginning; a look, recorded. Raises NotFound."""
    programme = _seen(acting, programme_id)
    return list(Override.objects.filter(programme=programme, ended_at=None, ends__gt=now()).order_by("begins", "id"))


def _seen(acting: Acting, programme_id: UUID) -> Programme:
    programme = open_programme(acting, programme_id, act="roster.viewed")
    record(_entry("roster.viewed", acting, programme.id, programme))
    return programme


def _require_team(programme: Programme, people: Any, name: str) -> None:
    team = set(team_now(programme.id).values_list("user_id", flat=True))
    if not set(people) <= team:
        raise Invalid(errors=[_field(name, "not_in_team", _("Only people in the team can be on call."))])


def _field(name: str, code: str, detail: str) -> FieldError:
    return {"field": name, "code": code, "detail": detail}


def _entry(type_: str, acting: Acting, object_id: UUID, programme: Programme) -> Entry:
    return Entry(type_, acting.actor, object_id=object_id, detail={"programme": str(programme.id)})
