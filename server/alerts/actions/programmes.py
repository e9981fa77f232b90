"""Programmes: made by an administrator, kept by whoever leads the team, open only when somebody always answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from server.alerts import rules
from server.alerts.access import (
    memberships,
    open_programme_as_keeper,
    open_programme_as_leader,
    programmes_of,
    require_administrator,
    team_now,
)
from server.alerts.models import Alert, Enrolment, Policy, Programme
from server.alerts.models.alerts import State
from server.audit.actions import record, record_many
from server.audit.entry import Actor, Entry
from server.common.clock import now
from server.common.errors import Conflict, Forbidden, Invalid, Refusal
from server.notify.channels import configured
from server.people.actors import Acting
from server.people.hours import OSLO
from server.people.models import Unit

KEPT_BY_LEADER = (
    *("name", "criterion", "office_hours", "exceptions", "on_call_number", "final_number", "final_answered_by"),
    *("final_agreement", "final_agreed_on"),
)
NEEDED_WHILE_OPEN = (
    *("no_on_call_number", "no_final_number", "no_final_answered_by", "no_final_agreement"),
    *("no_leader", "no_team", "no_day_contact"),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A programme, what it lacks before it can open, and what whoever looks may do."""

    programme: Programme
    missing: list[str]
    mine: bool
    leads: bool


@transaction.atomic
def make(*, acting: Acting, code: str, name: str, unit_id: UUID, is_default: bool = False) -> Programme:
    """Set a programme up for a unit; it takes no call before it is opened.

    Raises Forbidden (`administrator_only`), Invalid for an unknown unit, Conflict (`code_taken`, `other_default`).
    """
    require_administrator(acting, act="programme.made")
    return set_up(actor=acting.actor, code=code, name=name, unit=_unit(unit_id), is_default=is_default)


@transaction.atomic
def set_up(*, actor: Actor, code: str, name: str, unit: Unit, is_default: bool, **more: Any) -> Programme:
    """As `make`, by the system too. Raises Conflict (`code_taken`, `other_default`)."""
    try:
        with transaction.atomic():
            programme = Programme.objects.create(code=code, name=name, unit=unit, is_default=is_default, **more)
    except IntegrityError:
        taken = Programme.objects.filter(code=code).exists()
        raise Conflict(code="code_taken" if taken else "other_default") from None
    record(_entry("programme.made", actor, programme))
    return programme


@transaction.atomic
def change(*, acting: Acting, programme_id: UUID, to: Mapping[str, Any]) -> Shown:
    """Change what `to` names: whoever leads the team keeps all of it but `is_default`, which is an administrator's.

    Raises NotFound; Forbidden (`leader_only`, `administrator_only`); Conflict (`not_ready`) when an open programme
    would be without what a call needs, (`not_open`) when calls would by default go where none are taken.
    """
    programme = _held(acting, programme_id, to)
    before = {name: getattr(programme, name) for name in to}
    changed = {name: value for name, value in to.items() if before[name] != value}
    for name, value in changed.items():
        setattr(programme, name, value)
    if programme.is_open:
        require_ready(programme, NEEDED_WHILE_OPEN)
    if changed.get("is_default"):
        others = Programme.objects.filter(is_default=True, closed_at=None).exclude(id=programme.id)
        if not programme.is_open and any(one.is_open for one in others):
            raise Conflict(code="not_open")
        others.update(is_default=False)
    if changed:
        programme.save(update_fields=list(changed))
        # Which settings, not what they are now: a leaf of the log holds no numbers (law 9).
        record(_entry("programme.changed", acting.actor, programme, detail={"fields": sorted(changed)}))
    return _shown(acting, programme)


@transaction.atomic
def open_up(*, acting: Acting, programme_id: UUID) -> Shown:
    """From now on it takes calls. Opening it twice is opening it once; one that was closed may be opened again.

    Raises NotFound; Forbidden (`leader_only`); Conflict (`not_ready`, with all that is missing).
    """
    open_programme_as_leader(acting, programme_id, act="programme.opened")
    programme = _locked(programme_id)
    if not programme.is_open:
        require_ready(programme)
        programme.opened_at, programme.closed_at = now(), None
        programme.save(update_fields=["opened_at", "closed_at"])
        record(_entry("programme.opened", acting.actor, programme))
    return _shown(acting, programme)


@transaction.atomic
def close(*, acting: Acting, programme_id: UUID) -> Shown:
    """It takes no more calls; those of its patients go to the default programme.

    Raises NotFound; Forbidden (`leader_only`); Conflict (`not_open`; `alerts_open`; `patients_enrolled` when no other
    open programme would take their calls).
    """
    open_programme_as_leader(acting, programme_id, act="programme.closed")
    programme = _locked(programme_id)
    if programme.opened_at is None:
        raise Conflict(code="not_open")
    if not programme.is_open:
        return _shown(acting, programme)
    if Alert.objects.filter(programme=programme).exclude(state=State.CLOSED).exists():
        raise Conflict(code="alerts_open")
    elsewhere = Programme.objects.filter(is_default=True, opened_at__isnull=False, closed_at=None)
    enrolled = Enrolment.objects.filter(programme=programme, ended_at=None).exists()
    if enrolled and not elsewhere.exclude(id=programme.id).exists():
        raise Conflict(code="patients_enrolled")
    programme.closed_at, programme.is_default = now(), False
    programme.save(update_fields=["closed_at", "is_default"])
    record(_entry("programme.closed", acting.actor, programme))
    return _shown(acting, programme)


@transaction.atomic
def view(*, acting: Acting, programme_id: UUID) -> Shown:
    """Look at one; recorded. Raises NotFound."""
    programme = open_programme_as_keeper(acting, programme_id, act="programme.viewed")
    record(_entry("programme.viewed", acting.actor, programme))
    return _shown(acting, programme)


@transaction.atomic
def list_mine(*, acting: Acting) -> list[Shown]:
    """Programmes of whose team this person is; to administrators all. One look, recorded for each."""
    programmes = list(programmes_of(acting).select_related("unit").order_by("id"))
    record_many(_entry("programme.viewed", acting.actor, one) for one in programmes)
    return [_shown(acting, one) for one in programmes]


def readiness(programme: Programme) -> rules.Readiness:
    """What it has now; two statements."""
    held = list(team_now(programme.id).values_list("leads", "day_contact"))
    at = now()
    return rules.Readiness(
        on_call_number=programme.on_call_number,
        final_number=programme.final_number,
        final_answered_by=programme.final_answered_by,
        final_agreement=programme.final_agreement,
        final_agreed_on=programme.final_agreed_on,
        members=len(held),
        leaders=sum(leads for leads, _ in held),
        day_contacts=sum(day for _, day in held),
        policies=Policy.objects.filter(programme=programme).count(),
        today=at.astimezone(OSLO).date(),
        voice=settings.DEMO or "voice" in configured(),
    )


def require_ready(programme: Programme, among: tuple[str, ...] | None = None) -> None:
    """Raises Conflict (`not_ready`) with what is missing, of `among` if given."""
    missing = [code for code in rules.missing(readiness(programme)) if among is None or code in among]
    if missing:
        raise Conflict(code="not_ready", extra={"missing": missing})


def _held(acting: Acting, programme_id: UUID, to: Mapping[str, Any]) -> Programme:
    """The row, locked, for whoever may change these fields of it."""
    act = "programme.changed"
    if acting.kind == "administrator":
        open_programme_as_keeper(acting, programme_id, act=act)
        if set(to) - {"is_default"}:
            raise Forbidden(code="leader_only", refusal=Refusal(act, "leader_only", object_id=programme_id))
    else:
        open_programme_as_leader(acting, programme_id, act=act)
        if "is_default" in to:
            refusal = Refusal(act, "administrator_only", object_id=programme_id)
            raise Forbidden(code="administrator_only", refusal=refusal)
    return _locked(programme_id)


def _locked(programme_id: UUID) -> Programme:
    return Programme.objects.select_for_update(of=("self",)).select_related("unit").get(id=programme_id)


def _shown(acting: Acting, programme: Programme) -> Shown:
    mine = list(memberships(acting).filter(programme=programme).values_list("leads", flat=True))
    return Shown(programme, rules.missing(readiness(programme)), mine=bool(mine), leads=any(mine))


def _unit(unit_id: UUID) -> Unit:
    unit = Unit.objects.filter(id=unit_id).first()
    if unit is None:
        raise Invalid(errors=[{"field": "unit", "code": "unknown_unit", "detail": _("No such unit.")}])
    return unit


def _entry(type_: str, actor: Actor, programme: Programme, *, detail: Mapping[str, Any] | None = None) -> Entry:
    return Entry(type_, actor, object_id=programme.id, basis="", detail=detail or {})
