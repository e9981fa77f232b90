"""Telling people at work that something waits in the app: a push, a neutral mail; a duty for who leads. Never what."""

from collections.abc import Collection
from uuid import UUID, uuid5

from server.alerts.access import team_now
from server.alerts.models import Programme, TeamMember
from server.alerts.reach import languages
from server.audit.entry import SYSTEM
from server.duties import actions as duties
from server.duties.models import Duty
from server.notify import actions as notify

NOTICE_TTL_S = 4 * 3600


def notice(users: Collection[UUID], *, about: UUID, seed: UUID, mail: bool = False, urgent: bool = False) -> int:
    """«Something waits for you in the app», on each of their devices, and by `mail` too. The same `seed` twice is told
    once. Returns how many were new."""
    if not users:
        return 0
    speaks = languages(users)
    wanted = ("push", "email") if mail else ("push",)
    return notify.enqueue(
        [
            notify.Order(
                id=uuid5(seed, f"notice {way.address_id} {way.channel}"),
                kind="notice",
                about=about,
                user_id=user,
                channel=way.channel,
                address_id=way.address_id,
                language=speaks.get(user, "nb"),
                urgent=urgent,
                ttl_s=NOTICE_TTL_S,
                topic=notify.topic("notice", seed, way.address_id),
            )
            for user, ways in notify.reachable(users).items()
            for way in ways
            if way.channel in wanted
        ]
    )


def leaders(programme: Programme) -> list[TeamMember]:
    """Who leads the team; without any, its day contacts, and at last everybody in it."""
    team = list(team_now(programme.id).select_related("engagement__unit").order_by("valid_from", "id"))
    return [one for one in team if one.leads] or [one for one in team if one.day_contact] or team


def owe_leaders(programme: Programme, *, kind: str, object_id: UUID, code: str = "") -> list[UUID]:
    """A duty of each leader, once for each `object_id`, and a notice. Returns who was told now."""
    known = set(Duty.objects.filter(kind=kind, object_id=object_id).values_list("user_id", flat=True))
    told = [one for one in leaders(programme) if one.user_id not in known]
    for one in told:
        duties.owe(
            kind=kind,
            actor=SYSTEM,
            user_id=one.user_id,
            employer_id=one.engagement.unit.controller_id,
            object_id=object_id,
            code=code,
        )
    users = [one.user_id for one in told]
    notice(users, about=object_id, seed=uuid5(object_id, kind), urgent=True)
    return users


def release_leaders(*, kind: str, object_id: UUID) -> None:
    """It is well now: nothing is owed any more."""
    for duty in Duty.objects.filter(kind=kind, object_id=object_id, done_at=None):
        duties.release(duty=duty, actor=SYSTEM)
