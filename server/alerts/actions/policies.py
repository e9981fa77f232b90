"""Escalation policies: versions that never change; a call for help keeps the one that it was raised under."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from server.alerts import policy
from server.alerts.access import open_programme_as_keeper, open_programme_as_leader, team_now
from server.alerts.models import Policy, Programme
from server.audit.actions import record
from server.audit.entry import Actor, Entry
from server.common.errors import FieldError, Invalid
from server.people.actors import Acting


@transaction.atomic
def make(*, acting: Acting, programme_id: UUID, steps: Any) -> Policy:
    """The next version; new calls follow it. Raises NotFound, Forbidden (`leader_only`), Invalid, which names the step
    and what is wrong with it."""
    open_programme_as_leader(acting, programme_id, act="policy.made")
    programme = Programme.objects.select_for_update(no_key=True).get(id=programme_id)
    return write(actor=acting.actor, programme=programme, steps=steps, made_by=acting.user.id)


@transaction.atomic
def write(*, actor: Actor, programme: Programme, steps: Any, made_by: UUID | None = None) -> Policy:
    """As `make`, by the system too; the same steps again are the version that stands. Raises Invalid."""
    check(programme, steps)
    newest = Policy.objects.filter(programme=programme).order_by("-version").first()
    if newest is not None and newest.steps == steps:
        return newest
    version = newest.version + 1 if newest is not None else 1
    row = Policy.objects.create(programme=programme, version=version, steps=steps, made_by_id=made_by)
    record(Entry("policy.made", actor, object_id=row.id, detail={"version": version}))
    return row


@transaction.atomic
def view(*, acting: Acting, programme_id: UUID) -> list[Policy]:
    """All versions, newest first; one look, recorded. Raises NotFound."""
    programme = open_programme_as_keeper(acting, programme_id, act="policy.viewed")
    record(Entry("policy.viewed", acting.actor, object_id=programme.id))
    return list(Policy.objects.filter(programme=programme).order_by("-version"))


def check(programme: Programme, steps: Any) -> None:
    """Raises Invalid; `errors` names the step, counted from 0, and a code."""
    if not isinstance(steps, list) or not 0 < len(steps) <= policy.MAX_STEPS:
        raise _unusable("steps", "steps")
    for number, step in enumerate(steps):
        try:
            policy.parse([step, {"targets": [policy.FINAL]}])
        except policy.Unusable as fault:
            raise _unusable(f"steps.{number}", str(fault)) from None
    try:
        parsed = policy.parse(steps)
    except policy.Unusable as fault:
        raise _unusable("steps", str(fault)) from None
    strangers = set(policy.people(parsed)) - set(team_now(programme.id).values_list("user_id", flat=True))
    for number, step in enumerate(parsed.steps):
        if any(target == f"{policy.PERSON}{one}" for target in step.targets for one in strangers):
            raise _unusable(f"steps.{number}", "not_in_team")


def _unusable(field: str, code: str) -> Invalid:
    error: FieldError = {"field": field, "code": code, "detail": _("This step cannot be followed.")}
    return Invalid(errors=[error])
