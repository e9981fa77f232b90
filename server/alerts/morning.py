"""When a shift is over: what is open is offered to whoever comes next, and the morning is told that there is a report.

Whoever has an alert stays responsible until somebody accepts it (M3).
"""

from datetime import date, datetime, timedelta
from uuid import UUID, uuid5

from django.db import transaction

from server.alerts import doors, reach, telling
from server.alerts.access import team_now
from server.alerts.actions.alerts import offer_to_next_shift
from server.alerts.actions.nights import MORNING, alerts_of, seen_by, span_of
from server.alerts.attempts import attempt
from server.alerts.calendar import Calendar
from server.alerts.layout import calendar_of, today
from server.alerts.models import Alert, AlertEvent, Programme, Shift
from server.audit.actions import record
from server.audit.entry import SYSTEM, Entry
from server.common.clock import now
from server.people.hours import moment

FOR = timedelta(hours=6)
"""So long after the morning it is still told, when nobody was there to tell it in time."""


def tick() -> int:
    """Do what is due; returns how much that was."""
    at = now()
    held = Alert.objects.filter(synthetic=False, responder__isnull=False).select_related("programme").order_by("id")
    open_ones = held.exclude(state__in=("closed", "handover_offered"))
    count = sum(attempt(offer, one, at) for one in open_ones)
    opened = Programme.objects.filter(opened_at__isnull=False, closed_at=None).order_by("id")
    return count + sum(attempt(announce, one, at) for one in opened)


def offer(alert: Alert, at: datetime) -> bool:
    """Offer it to the team when its responder's shift is over: once then, and again whenever somebody new begins."""
    since = offered_since(alert, at)
    if since is None:
        return False
    told = AlertEvent.objects.filter(alert=alert, type="handover_offered", code="shift_over", at__gte=since)
    if told.exists() or not offer_to_next_shift(alert_id=alert.id):
        return False
    users = [user for user in coming(alert.programme, at) if user != alert.responder_id]
    welcome = [user for user in users if doors.may_answer(alert, user)]
    telling.notice(welcome, about=alert.id, seed=uuid5(alert.id, f"shift over {since.isoformat()}"), urgent=True)
    return True


def offered_since(alert: Alert, at: datetime) -> datetime | None:
    """Since when somebody else should have it: the end of the responder's shift or, later, when a colleague's began or
    the office opened. None while they are on call, and for whoever took it without being on call."""
    responder = alert.responder_id
    assert responder is not None, "it is asked of what somebody has"
    assert alert.accepted_at is not None, "then they have accepted it"
    shifts = Shift.objects.filter(programme=alert.programme, cancelled_at=None, begins__lte=at)
    mine = shifts.filter(user_id=responder, ends__gt=alert.accepted_at).values_list("ends", flat=True)
    over = max(mine, default=None)
    if over is None or over > at:
        return None
    later = shifts.filter(begins__gt=over).exclude(user_id=responder).order_by("-begins")
    newest = later.values_list("begins", flat=True).first()
    spans = calendar_of(alert.programme).attended(today(at), 1)
    opened = [begins for begins, ends in spans if over < begins <= at < ends]
    return max(one for one in (over, newest, *opened) if one is not None)


def coming(programme: Programme, at: datetime) -> list[UUID]:
    """Who has it next: those on call now and, while the office is open or nobody is, the day contacts."""
    team = team_now(programme.id)
    on = set(reach.on_call(programme, at)[0])
    users = [user for user in team.values_list("user_id", flat=True) if user in on]
    attended = any(begins <= at < ends for begins, ends in calendar_of(programme).attended(today(at), 1))
    if attended or not users:
        users += team.filter(day_contact=True).values_list("user_id", flat=True)
    return list(dict.fromkeys(users))


def announce(programme: Programme, at: datetime) -> bool:
    """Tell the team and the day contacts that the report of the night is there, when there is something in it that
    they may see; once."""
    day = today(at)
    morning = morning_of(calendar_of(programme), day)
    if not morning <= at < morning + FOR:
        return False
    night = day - timedelta(days=1)
    alerts = list(alerts_of(programme, *span_of(night)).order_by("raised_at", "id"))
    if not alerts:
        return False
    users = [user for user in team_now(programme.id).values_list("user_id", flat=True) if seen_by(user, alerts)]
    about = uuid5(programme.id, f"night {night.isoformat()}")
    with transaction.atomic():
        told = telling.notice(users, about=about, seed=about, mail=True)
        if told:
            record(Entry("night.announced", SYSTEM, object_id=programme.id, record_ids=tuple(users)))
    return bool(told)


def morning_of(calendar: Calendar, day: date) -> datetime:
    """When the office first opens on a date or, on days off, eight o'clock in Oslo. Pure."""
    spans = calendar.attended(day, 1)
    return spans[0][0] if spans else moment(day, MORNING, fold=0)
