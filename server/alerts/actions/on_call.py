"""Looking at who is on call: now, on a date, in a time to come, and what is wrong with it. Each look is recorded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from server.alerts.access import memberships, open_programme
from server.alerts.calendar import Calendar
from server.alerts.layout import BEFORE, calendar_of, expanded, planned, rules_of, today
from server.alerts.models import Programme, Shift, TeamMember
from server.alerts.quality import SOON_DAYS, YEAR_DAYS, Report, quality
from server.alerts.shifts import Shift as Planned
from server.alerts.shifts import next_on_call, on_call
from server.audit.actions import record, record_many
from server.audit.entry import Entry
from server.common.clock import now
from server.notify import actions as notify
from server.people.access import require_staff
from server.people.actors import Acting
from server.people.hours import moment
from server.people.models import User
from server.people.periods import NOW, current_at

LOOK_AHEAD_DAYS = 14
"""For who opens next, and for the office's next opening."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One programme at a moment."""

    programme: Programme
    on: Sequence[tuple[UUID, datetime]]
    """Who is on call, and until when."""
    following: Sequence[Planned]
    """Who begins next: their first shifts."""
    day_contacts: Sequence[UUID]
    office_open: bool
    office_changes_at: datetime | None
    """When it closes or, while it is closed, opens."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What is wrong in so many days from today."""

    begins: datetime
    ends: datetime
    report: Report


@transaction.atomic
def view_now(*, acting: Acting) -> tuple[datetime, list[Standing]]:
    """Each programme of whose team this person is. Raises Forbidden (`staff_only`)."""
    programmes = _mine(acting)
    at = now()
    team = _team(one.id for one in programmes)
    rows = list(_rows([one.id for one in programmes], at, at + timedelta(days=366)).order_by("begins", "id"))
    return at, [
        _standing(one, team[one.id], [row for row in rows if row.programme_id == one.id], at) for one in programmes
    ]


@transaction.atomic
def view_day(*, acting: Acting, day: date | None) -> list[Shift]:
    """Shifts of one date, of every programme of mine; of today when None. Raises Forbidden (`staff_only`)."""
    programmes = _mine(acting)
    first = day or today(now())
    return _in_team(_between([one.id for one in programmes], first, first))


@transaction.atomic
def view_shifts(*, acting: Acting, programme_id: UUID, first: date, last: date) -> list[Shift]:
    """Every shift that touches these dates; they are laid out so many days ahead, and kept. Raises NotFound."""
    programme = open_programme(acting, programme_id, act="roster.viewed")
    record(Entry("roster.viewed", acting.actor, object_id=programme.id))
    return _between([programme.id], first, last)


@transaction.atomic
def report(*, acting: Acting, programme_id: UUID) -> tuple[Quality, Quality]:
    """What is wrong within 14 days and within 52 weeks, by the rules as they are now. Raises NotFound."""
    programme = open_programme(acting, programme_id, act="roster.viewed")
    record(Entry("roster.viewed", acting.actor, object_id=programme.id))
    at = now()
    first = today(at)
    shifts = _expanded(programme, at, YEAR_DAYS)
    reachable = notify.reachable({shift.user for shift in shifts})
    calendar = calendar_of(programme)

    def within(days: int) -> Quality:
        ends = moment(first + timedelta(days=days), "00:00", fold=0)
        return Quality(at, ends, quality(shifts, calendar, at, ends, reachable))

    return within(SOON_DAYS), within(YEAR_DAYS)


def names_of(users: Iterable[UUID]) -> dict[UUID, str]:
    """Colleagues' names."""
    return dict(User.objects.filter(id__in=set(users)).values_list("id", "name"))


def _expanded(programme: Programme, at: datetime, days: int) -> list[Planned]:
    """By the rules, of those who are in the team now. From two days before: a rest is seen after what was before."""
    team = _team([programme.id])[programme.id]
    found = expanded(rules_of(programme, at), today(at) - BEFORE, days + BEFORE.days)
    return [shift for shift in found if shift.user in team]


def _standing(programme: Programme, team: dict[UUID, TeamMember], rows: list[Shift], at: datetime) -> Standing:
    shifts = planned(rows, team)
    on = on_call(shifts, at)
    until = {one: max(s.ends for s in shifts if s.user == one and s.begins <= at < s.ends) for one in on}
    first = {one: next(s for s in shifts if s.user == one and s.begins > at) for one in next_on_call(shifts, at)}
    is_open, changes = office(calendar_of(programme), at)
    return Standing(
        programme,
        [(one, until[one]) for one in on],
        list(first.values()),
        [user for user, member in team.items() if member.day_contact],
        is_open,
        changes,
    )


def office(calendar: Calendar, at: datetime) -> tuple[bool, datetime | None]:
    """Whether the office is open, and when that changes; None when it does not within two weeks."""
    spans = calendar.attended(today(at) - timedelta(days=1), LOOK_AHEAD_DAYS)
    for begins, ends in spans:
        if begins <= at < ends:
            return True, ends
        if at < begins:
            return False, begins
    return False, None


def _mine(acting: Acting) -> list[Programme]:
    require_staff(acting)
    found = list(Programme.objects.filter(id__in=memberships(acting).values("programme_id")).order_by("id"))
    record_many(Entry("on_call.viewed", acting.actor, object_id=one.id) for one in found)
    return found


def _team(programmes: Iterable[UUID]) -> dict[UUID, dict[UUID, TeamMember]]:
    """Who is in each team now and works there; one statement."""
    found: dict[UUID, dict[UUID, TeamMember]] = {one: {} for one in programmes}
    rows = TeamMember.objects.current().filter(
        current_at(NOW, "engagement__"), programme_id__in=found, user__is_active=True
    )
    for row in rows.order_by("valid_from", "id"):
        found[row.programme_id][row.user_id] = row
    return found


def _between(programmes: list[UUID], first: date, last: date) -> list[Shift]:
    begins, ends = moment(first, "00:00", fold=0), moment(last + timedelta(days=1), "00:00", fold=0)
    return list(_rows(programmes, begins, ends).select_related("user").order_by("begins", "ends", "id"))


def _rows(programmes: list[UUID], begins: datetime, ends: datetime) -> QuerySet[Shift]:
    return Shift.objects.filter(programme_id__in=programmes, cancelled_at=None, ends__gt=begins, begins__lt=ends)


def _in_team(rows: list[Shift]) -> list[Shift]:
    """Without those who have left: they are not called, whatever the roster says."""
    team = _team({row.programme_id for row in rows})
    return [row for row in rows if row.user_id in team[row.programme_id]]
