"""Hours before a shift: can whoever has it be reached? Their devices get a test that must come back, their telephone is
rung or confirmed; who leads the team is told in time of whoever has not answered, and of coming gaps (M3).
"""

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from uuid import UUID, uuid5

from django.conf import settings
from django.db import IntegrityError, transaction

from server.alerts import telling
from server.alerts.access import team_now
from server.alerts.attempts import attempt
from server.alerts.calendar import Span, union
from server.alerts.layout import calendar_of, planned, today
from server.alerts.models import Programme, Shift, ShiftCheck
from server.alerts.quality import SOON_DAYS, quality
from server.alerts.reach import languages
from server.audit.actions import record
from server.audit.entry import SYSTEM, Entry
from server.common.clock import now
from server.common.ids import new_id
from server.duties.models import Kind
from server.notify import actions as notify
from server.notify.models import Channel, Delivery, DeliveryKind
from server.people.hours import OSLO

TEST_TTL_S = 1800
QUIET_FROM, QUIET_UNTIL, EVENING = time(21), time(8), time(20)
"""Nobody is woken to be asked if they can be woken: who would be asked at night is asked in the evening before."""
LONGEST_AHEAD = timedelta(hours=60)
NO_DEVICE, NO_NUMBER, SILENT_DEVICE, SILENT_NUMBER = "no_device", "no_number", "device_silent", "number_silent"


def tick() -> int:
    """Do what is due; returns how much that was."""
    at = now()
    opened = list(Programme.objects.filter(opened_at__isnull=False, closed_at=None).order_by("id"))
    count = sum(attempt(ask, one, at) for one in coming(opened, at))
    unsettled = ShiftCheck.objects.filter(shift__cancelled_at=None, shift__ends__gt=at).select_related(
        "shift__programme"
    )
    checks = list(unsettled.order_by("due_at", "id"))
    have = with_device({one.shift.user_id for one in checks}) if checks else set()
    count += sum(attempt(follow, one, at, one.shift.user_id in have) for one in checks)
    return count + sum(attempt(tell_of_gaps, one, at) for one in opened)


# --- asking ----------------------------------------------------------------------------------------------


def asked_from(begins: datetime, hours: float) -> datetime:
    """When whoever has a shift is asked: so many hours before it, and never at night. Pure."""
    moment = (begins - timedelta(hours=hours)).astimezone(OSLO)
    if QUIET_UNTIL <= moment.time() < QUIET_FROM:
        return moment
    evening = moment.date() if moment.time() >= QUIET_FROM else moment.date() - timedelta(days=1)
    return datetime.combine(evening, EVENING, OSLO)


def coming(programmes: Iterable[Programme], at: datetime) -> list[Shift]:
    """Shifts whose people are to be asked now: of somebody in the team, not asked yet."""
    found: list[Shift] = []
    for programme in programmes:
        team = team_now(programme.id).values("user_id")
        rows = Shift.objects.filter(programme=programme, cancelled_at=None, check_made=None, user_id__in=team)
        rows = rows.filter(begins__gt=at, begins__lt=at + LONGEST_AHEAD).order_by("begins", "id")
        found += [row for row in rows if asked_from(row.begins, settings.ENV.readiness_hours) <= at]
    return found


def ask(shift: Shift, at: datetime) -> bool:
    """Test pages to each device, and a call that a key answers. False when somebody else has asked meanwhile."""
    ways = notify.reachable([shift.user_id]).get(shift.user_id, [])
    tested = [way for way in ways if way.channel in (Channel.PUSH, Channel.VOICE)]
    due = min(at + timedelta(minutes=settings.ENV.readiness_answer_minutes), shift.begins)
    code = _lacking({way.channel for way in tested})
    speaks = languages([shift.user_id])
    try:
        with transaction.atomic():
            check = ShiftCheck.objects.create(
                id=new_id(), shift=shift, asked_at=at, due_at=at if code == NO_DEVICE else due, code=code
            )
            notify.enqueue(
                [
                    notify.Order(
                        id=uuid5(check.id, f"{way.address_id} {way.channel}"),
                        kind=DeliveryKind.TEST,
                        about=shift.id,
                        user_id=shift.user_id,
                        channel=way.channel,
                        address_id=way.address_id,
                        language=speaks.get(shift.user_id, "nb"),
                        urgent=False,
                        ttl_s=TEST_TTL_S,
                        topic=notify.topic("test", shift.id, way.address_id),
                    )
                    for way in tested
                ]
            )
            record(Entry("shift.asked", SYSTEM, object_id=shift.id, record_ids=(shift.user_id,)))
    except IntegrityError:
        return False
    return True


def _lacking(channels: set[str]) -> str:
    """What there is nothing to test of."""
    if Channel.PUSH not in channels:
        return NO_DEVICE
    return NO_NUMBER if settings.ENV.gateway_url and Channel.VOICE not in channels else ""


# --- what has come back ----------------------------------------------------------------------------------


def with_device(user_ids: Iterable[UUID]) -> set[UUID]:
    """Of these people, who has a device that can be sent to now; one that was signed out is none. One statement."""
    found = notify.reachable(user_ids)
    return {user for user, ways in found.items() if any(way.channel == Channel.PUSH for way in ways)}


def follow(check: ShiftCheck, at: datetime, has_device: bool) -> bool:
    """Note what has come back; tell who leads what has not, once and in time; take it back when it comes late. Until
    the shift is over: who signs out of their only device in the middle of it cannot be reached by it either."""
    heard = _hear(check)
    missing = wrong(check, may_ring=bool(settings.ENV.gateway_url), has_device=has_device)
    if missing and check.told_at is None and check.due_at <= at:
        return _tell(check, missing, at)
    if not missing and check.told_at is not None:
        telling.release_leaders(kind=Kind.SHIFT_NOT_READY, object_id=check.shift_id)
    return heard


def wrong(check: ShiftCheck, *, may_ring: bool, has_device: bool) -> str:
    """What is missing before they can be relied on, as a code; empty when nothing is. A device that has answered is
    needed; so is a telephone that somebody has picked up or confirmed, where this installation rings telephones. Pure.
    """
    if check.device_at is None:
        return NO_DEVICE if check.code == NO_DEVICE else SILENT_DEVICE
    if not has_device:
        return NO_DEVICE
    if check.number_at is None and may_ring:
        return NO_NUMBER if check.code == NO_NUMBER else SILENT_NUMBER
    return ""


@transaction.atomic
def _hear(check: ShiftCheck) -> bool:
    if check.device_at is not None and check.number_at is not None:
        return False
    # Theirs by hand count too: who had no device may have got one meanwhile.
    tests = Delivery.objects.filter(
        user_id=check.shift.user_id, kind=DeliveryKind.TEST, received_at__gte=check.asked_at
    )
    came = dict(tests.order_by("-received_at").values_list("channel", "received_at"))
    fresh = {}
    for field, channel in (("device_at", Channel.PUSH), ("number_at", Channel.VOICE)):
        if getattr(check, field) is None and channel in came:
            fresh[field] = came[channel]
            setattr(check, field, came[channel])
    return bool(fresh and ShiftCheck.objects.filter(id=check.id).update(**fresh))


@transaction.atomic
def _tell(check: ShiftCheck, missing: str, at: datetime) -> bool:
    if not ShiftCheck.objects.filter(id=check.id, told_at=None).update(told_at=at):
        return False
    telling.owe_leaders(check.shift.programme, kind=Kind.SHIFT_NOT_READY, object_id=check.shift_id, code=missing)
    return True


# --- gaps ------------------------------------------------------------------------------------------------


@transaction.atomic
def tell_of_gaps(programme: Programme, at: datetime) -> bool:
    """A duty of each leader for each coming gap, once."""
    told, found = False, gaps(programme, at)
    if found:  # of two workers that find the same, one waits, and then knows that it is told
        Programme.objects.select_for_update(no_key=True).get(id=programme.id)
    for key in found:
        told = bool(telling.owe_leaders(programme, kind=Kind.ROSTER_GAP, object_id=uuid5(programme.id, key))) or told
    return told


def gaps(programme: Programme, at: datetime) -> list[str]:
    """What each gap of the next 14 days is known by: its beginning, or that it goes on since long ago. Nights with
    nothing but office hours between them are one."""
    since, until = at - timedelta(days=SOON_DAYS), at + timedelta(days=SOON_DAYS)
    rows = Shift.objects.filter(programme=programme, cancelled_at=None, ends__gt=since, begins__lt=until)
    team = set(team_now(programme.id).values_list("user_id", flat=True))
    calendar = calendar_of(programme)
    known = quality(planned(rows, team), calendar, since, until, {}).gaps
    found = [(gap.begins, gap.ends) for gap in known]
    whole = union([*found, *_touching(calendar.attended(today(since), 2 * SOON_DAYS + 1), found, since)])
    return [
        "gap of long ago" if begins <= since else f"gap {begins.isoformat()}"
        for begins, ends in whole
        if ends > at and any(begins <= gap[0] and at < gap[1] <= ends for gap in found)
    ]


def _touching(attended: Iterable[Span], found: list[Span], since: datetime) -> list[Span]:
    """Office hours with a gap right before them, or from before `since`, and right after."""
    ends, begins = {gap[1] for gap in found}, {gap[0] for gap in found}
    return [span for span in attended if (span[0] in ends or span[0] <= since) and span[1] in begins]
