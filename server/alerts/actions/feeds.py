"""Private addresses from which calendars fetch shifts: one's own, or the whole team's. Who has the address reads it, so
it is told once, stored hashed, and can be ended; it holds names of colleagues at most, and nothing of any patient."""

import secrets
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from server.alerts.access import memberships, open_programme, team_now
from server.alerts.actions.on_call import names_of
from server.alerts.ical import ics
from server.alerts.layout import planned
from server.alerts.models import CalendarFeed, Shift
from server.audit.actions import record
from server.audit.entry import Actor, Entry
from server.common.clock import now
from server.common.errors import Conflict, NotFound, Refusal
from server.people.access import require_staff
from server.people.actors import Acting

MOST = 20
KEPT = timedelta(days=31)
"""Shifts that have been stay in the calendar for so long."""


@transaction.atomic
def make(*, acting: Acting, programme_id: UUID, whole_team: bool) -> tuple[CalendarFeed, str]:
    """A further address, and its token, which is told this once. Raises NotFound, Conflict (`too_many_feeds`)."""
    programme = open_programme(acting, programme_id, act="calendar_feed.made")
    if CalendarFeed.objects.filter(user=acting.user, ended_at=None).count() >= MOST:
        raise Conflict(code="too_many_feeds")
    token = secrets.token_urlsafe(32)
    feed = CalendarFeed.objects.create(
        digest=_digest(token), programme=programme, user=acting.user, whole_team=whole_team
    )
    record(Entry("calendar_feed.made", acting.actor, object_id=feed.id))
    return feed, token


@transaction.atomic
def end(*, acting: Acting, feed_id: UUID) -> None:
    """From now on the address answers as if it had never been. Raises NotFound."""
    rows = CalendarFeed.objects.filter(id=feed_id, user=acting.user, ended_at=None)
    if not rows.update(ended_at=now()):
        raise NotFound(refusal=Refusal("calendar_feed.ended", "not_own", object_id=feed_id))
    record(Entry("calendar_feed.ended", acting.actor, object_id=feed_id))


def mine(acting: Acting) -> list[CalendarFeed]:
    """One's own addresses that are in use, without their tokens."""
    require_staff(acting)
    return list(CalendarFeed.objects.filter(user=acting.user, ended_at=None).order_by("id"))


@transaction.atomic
def own(*, acting: Acting) -> str:
    """One's own shifts in every team; a look, recorded. Raises Forbidden (`staff_only`)."""
    require_staff(acting)
    record(Entry("on_call.viewed", acting.actor, object_id=acting.user.id))
    rows = Shift.objects.filter(programme_id__in=memberships(acting).values("programme_id"), user=acting.user)
    return _calendar(list(_kept(rows)), lambda user: "")


def read(token: str) -> tuple[CalendarFeed, str]:
    """What a calendar gets, and of which feed. Raises NotFound, the same for every token that opens nothing: unknown,
    ended, or of somebody who has left the team."""
    feed = CalendarFeed.objects.filter(digest=_digest(token), ended_at=None).first()
    if feed is None or not team_now(feed.programme_id).filter(user_id=feed.user_id).exists():
        raise NotFound
    rows = Shift.objects.filter(programme_id=feed.programme_id)
    if not feed.whole_team:
        return feed, _calendar(list(_kept(rows.filter(user_id=feed.user_id))), lambda user: "")
    team = set(team_now(feed.programme_id).values_list("user_id", flat=True))
    names = names_of(team)
    shifts = [row for row in _kept(rows) if row.user_id in team]
    return feed, _calendar(shifts, lambda user: names.get(user, ""))


def record_read(feed: CalendarFeed) -> None:
    """A calendar got what it did not have."""
    record(Entry("calendar_feed.read", Actor(feed.user_id, role="staff", sign_in="feed"), object_id=feed.id))


def _kept(rows: QuerySet[Shift]) -> QuerySet[Shift]:
    return rows.filter(cancelled_at=None, ends__gt=now() - KEPT).order_by("begins", "id")


def _calendar(shifts: list[Shift], name_of: Callable[[UUID], str]) -> str:
    """The same shifts are the same bytes, so that a calendar which has them gets nothing."""
    host = settings.ENV.public_url.removeprefix("https://").removeprefix("http://") or "samsnakk.invalid"
    return ics(planned(shifts), name_of, host)


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
