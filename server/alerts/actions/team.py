"""Who is in a programme's team: whoever may be called, and may answer."""

from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from server.alerts.access import open_programme_as_keeper, open_programme_as_leader, team_now
from server.alerts.actions.programmes import NEEDED_WHILE_OPEN, require_ready
from server.alerts.models import Programme, TeamMember
from server.audit.actions import record
from server.audit.entry import Actor, Entry
from server.common.clock import now
from server.common.errors import Conflict, Forbidden, Invalid, NotFound, Refusal
from server.common.hints import hint
from server.people.access import agreement_between, current_engagements
from server.people.actors import Acting
from server.people.models import Engagement


@transaction.atomic
def add(*, acting: Acting, programme_id: UUID, user_id: UUID, leads: bool, day_contact: bool) -> TeamMember:
    """Take somebody at work into the team. Who leads it does; while nobody does, an administrator appoints a leader.

    Somebody who is in it already is answered as they are. Raises NotFound; Forbidden (`leader_only`); Invalid for
    nobody at work; Conflict (`no_agreement`, L6).
    """
    act = "team_member.added"
    if acting.kind == "administrator":
        open_programme_as_keeper(acting, programme_id, act=act)
        if not leads or team_now(programme_id).filter(leads=True).exists():
            raise Forbidden(code="leader_only", refusal=Refusal(act, "leader_only", object_id=programme_id))
    else:
        open_programme_as_leader(acting, programme_id, act=act)
    programme = Programme.objects.select_related("unit").get(id=programme_id)
    engagement = current_engagements([user_id]).get(user_id)
    if engagement is None:
        raise Invalid(errors=[{"field": "user", "code": "unknown_person", "detail": _("No such member of staff.")}])
    return join(actor=acting.actor, programme=programme, engagement=engagement, leads=leads, day_contact=day_contact)


@transaction.atomic
def join(
    *, actor: Actor, programme: Programme, engagement: Engagement, leads: bool = False, day_contact: bool = False
) -> TeamMember:
    """As `add`, by the system too. `engagement` and `programme` have their units at hand. Raises Conflict
    (`no_agreement`)."""
    if not agreement_between(programme.unit.controller_id, engagement.unit.controller_id):
        raise Conflict(code="no_agreement")
    # Whose engagement has ended still has a row: it makes room.
    ours = TeamMember.objects.filter(programme=programme, user_id=engagement.user_id, ended_at=None)
    at = now()
    held = ours.select_related("engagement").first()
    if held is not None and held.holds(at) and held.engagement.holds(at):
        return held
    if held is not None:
        _end(held, actor)
    try:
        with transaction.atomic():
            member = TeamMember.objects.create(
                programme=programme,
                engagement=engagement,
                user_id=engagement.user_id,
                leads=leads,
                day_contact=day_contact,
                valid_from=at,
            )
    except IntegrityError:  # somebody else took them in a moment ago
        return ours.get()
    record(_entry("team_member.added", actor, member))
    hint("user", member.user_id)  # calls for help are open to their sockets now
    return member


@transaction.atomic
def change(
    *,
    acting: Acting,
    programme_id: UUID,
    member_id: UUID,
    leads: bool | None = None,
    day_contact: bool | None = None,
) -> TeamMember:
    """Who leads, and who answers in office hours. Raises NotFound, Forbidden (`leader_only`), Conflict (`not_ready`)
    when an open programme would be left without either."""
    member = _member(acting, programme_id, member_id, act="team_member.changed")
    said = {name: value for name, value in (("leads", leads), ("day_contact", day_contact)) if value is not None}
    changed = {name: value for name, value in said.items() if getattr(member, name) != value}
    if changed:
        for name, value in changed.items():
            setattr(member, name, value)
        member.save(update_fields=list(changed))
        _still_ready(member)
        record(_entry("team_member.changed", acting.actor, member))
    return member


@transaction.atomic
def end(*, acting: Acting, programme_id: UUID, member_id: UUID) -> None:
    """Take somebody out of the team; from this commit on they see none of its patients.

    Raises NotFound, Forbidden (`leader_only`), Conflict (`not_ready`) when an open programme would be left without a
    leader, a day contact or anybody.
    """
    member = _member(acting, programme_id, member_id, act="team_member.ended")
    _end(member, acting.actor)
    _still_ready(member)


@transaction.atomic
def view(*, acting: Acting, programme_id: UUID) -> list[TeamMember]:
    """The team now; one look, recorded. Raises NotFound."""
    programme = open_programme_as_keeper(acting, programme_id, act="team.viewed")
    record(Entry("team.viewed", acting.actor, object_id=programme.id))
    rows = team_now(programme_id).select_related("user", "engagement__unit")
    return list(rows.order_by("valid_from", "id"))


def _end(member: TeamMember, actor: Actor) -> None:
    member.ended_at = max(now(), member.valid_from)
    member.save(update_fields=["ended_at"])
    record(_entry("team_member.ended", actor, member))
    hint("user", member.user_id)


def _still_ready(member: TeamMember) -> None:
    """Nobody leaves calls for help without anybody to answer."""
    if member.programme.is_open:
        require_ready(member.programme, NEEDED_WHILE_OPEN)


def _member(acting: Acting, programme_id: UUID, member_id: UUID, *, act: str) -> TeamMember:
    """The row; the programme's is locked, so that of two who leave at once one is the last."""
    open_programme_as_leader(acting, programme_id, act=act)
    programme = Programme.objects.select_for_update(no_key=True).get(id=programme_id)
    member = TeamMember.objects.filter(programme_id=programme_id, id=member_id, ended_at=None).first()
    if member is None:
        raise NotFound(refusal=Refusal(act, "missing", object_id=member_id))
    member.programme = programme
    return member


def _entry(type_: str, actor: Actor, member: TeamMember) -> Entry:
    return Entry(
        type_,
        actor,
        object_id=member.id,
        detail={"user": str(member.user_id), "leads": member.leads, "day_contact": member.day_contact},
    )
