"""Who each target of a policy is at a moment, and how they are reached (M3, law 6).

Whom the patient has excluded by name is in no target, not even in the team (L3). Whoever has left the team, or the
employer, is in none either, whatever a roster still says.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import Q

from server.alerts import policy as policies
from server.alerts.facts import Contact, Endpoint, Roster
from server.alerts.models import Alert, AlertEvent, Programme, Shift, TeamMember
from server.alerts.policy import Policy
from server.consent.records import excluded_people
from server.notify import actions as notify
from server.people.models import User
from server.people.periods import current_at

log = structlog.get_logger(__name__)

FINAL = UUID("5f0c2a55-7d0c-5c1e-9a51-8a3f0c3b6d10")
"""The final target's telephone: nobody's own, so it has an id that is nobody's."""


def roster_of(alert: Alert, policy: Policy, at: datetime) -> Roster:
    """Every target of the alert's policy, and the responder. Never raises for what is wrong with a roster: what cannot
    be read is nobody, and the final target stays."""
    if alert.synthetic:
        return _trial()
    final = {policies.FINAL: final_target(alert.programme)}
    out = excluded_people(alert.patient_id) if alert.patient_id is not None else frozenset()
    team = {one.user_id: one for one in team_of(alert.programme, at) if one.user_id not in out}
    now, following = on_call(alert.programme, at)
    targets: dict[str, Iterable[UUID]] = {
        policies.ON_CALL_NOW: [one for one in now if one in team],
        policies.ON_CALL_NEXT: [one for one in following if one in team],
        policies.TEAM: list(team),
        policies.DAY_CONTACT: [user for user, one in team.items() if one.day_contact],
        "responder": [one for one in (alert.responder_id or _had_it_last(alert),) if one in team],
    }
    for user in policies.people(policy):
        targets[f"{policies.PERSON}{user}"] = [user] if user in team else []
    contacts = _contacts({user for users in targets.values() for user in users})
    return {name: tuple(contacts[user] for user in users) for name, users in targets.items()} | final


def _had_it_last(alert: Alert) -> UUID | None:
    """Whoever had accepted before calling began anew."""
    if alert.generation == 0:
        return None
    had = AlertEvent.objects.filter(alert=alert, type="resumed", contact__isnull=False).order_by("-n")
    return had.values_list("contact", flat=True).first()


def team_of(programme: Programme, at: datetime) -> list[TeamMember]:
    """Who is in the team at `at`, with an engagement that holds; those longest in it first."""
    rows = TeamMember.objects.current(at).filter(
        current_at(at, "engagement__"), programme=programme, user__is_active=True
    )
    return list(rows.order_by("valid_from", "id"))


def on_call(programme: Programme, at: datetime) -> tuple[list[UUID], list[UUID]]:
    """Who is on call at `at`, and who begins next; one statement."""
    shifts = list(
        Shift.objects.filter(programme=programme, cancelled_at=None, ends__gt=at)
        .order_by("begins", "id")
        .values_list("user_id", "begins")[:20]
    )
    now = [user for user, begins in shifts if begins <= at]
    later = [(user, begins) for user, begins in shifts if begins > at and user not in now]
    return now, [user for user, begins in later if begins == later[0][1]]


def final_target(programme: Programme) -> tuple[Contact, ...]:
    """The telephone that is staffed round the clock."""
    if not programme.final_number or not settings.ENV.gateway_url:
        return ()
    return (Contact(FINAL, (Endpoint("voice", to=programme.final_number),), is_user=False),)


def languages(user_ids: Iterable[UUID]) -> dict[UUID, str]:
    return dict(User.objects.filter(id__in=set(user_ids)).values_list("id", "language"))


def _contacts(user_ids: set[UUID]) -> dict[UUID, Contact]:
    found = notify.reachable(user_ids) if user_ids else {}
    return {
        user: Contact(user, tuple(Endpoint(way.channel, way.address_id) for way in found.get(user, ())))
        for user in user_ids
    }


def _trial() -> Roster:
    """A synthetic alert calls the test responder, and nobody else."""
    tester = User.objects.filter(Q(username=settings.ENV.synthetic_user) & Q(is_active=True)).first()
    contacts = tuple(_contacts({tester.id}).values()) if tester is not None else ()
    return dict.fromkeys(policies.TARGETS, contacts)
