"""Between the rows of a roster and its rules (`roster.py`): what is stored is read, and the shifts that follow are
written, `ROSTER_DAYS` ahead.

Laying out again changes nothing. What has been is left as it was: who was on call at a moment stays true.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID, uuid5

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from server.alerts import roster
from server.alerts.attempts import attempt
from server.alerts.calendar import Calendar, exception_faults
from server.alerts.models import Override, Programme, Rotation, Shift
from server.alerts.shifts import Shift as Planned
from server.alerts.shifts import in_order
from server.audit.actions import record
from server.audit.entry import SYSTEM, Actor, Entry
from server.common.clock import now
from server.people.hours import OSLO, faults, moment

log = structlog.get_logger(__name__)

BEFORE = timedelta(days=2)
"""Days laid out before today: a shift that is on has begun then."""
LONG_AGO = timedelta(days=roster.LONGEST_TURN_DAYS + 4)
"""An override that ended earlier touches no shift that is on."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a programme's shifts follow from."""

    rotations: Sequence[roster.Rotation]
    overrides: Sequence[roster.Override]
    calendar: Calendar


@dataclass(frozen=True, slots=True)
class Changes:
    """Rows that are new, and rows that are to be written again."""

    new: list[Shift]
    again: list[Shift]

    def __bool__(self) -> bool:
        return bool(self.new or self.again)


def rules_of(programme: Programme, at: datetime) -> Rules:
    """Two statements. A rotation that cannot be read is left out, loudly: it must not hide the others."""
    still = Q(ends_on=None) | Q(ends_on__gte=today(at) - BEFORE - timedelta(days=1))
    rows = Rotation.objects.filter(still, programme=programme).order_by("id")
    overrides = Override.objects.filter(programme=programme, ends__gt=at - LONG_AGO).order_by("made_at", "id")
    return Rules(
        [_rotation(row) for row in rows if _usable(row)],
        [_override(row) for row in overrides if row.ended_at is None or row.begins < row.ended_at],
        calendar_of(programme),
    )


def calendar_of(programme: Programme) -> Calendar:
    """Office hours as stored; where they cannot be read the office is closed, and somebody has to be on call."""
    if faults(programme.office_hours) or exception_faults(programme.exceptions):
        log.critical("office_hours_unusable", programme=str(programme.id))
        return Calendar({})
    return Calendar.stored(programme.office_hours, programme.exceptions)


def expanded(rules: Rules, first: date, days: int) -> list[Planned]:
    return roster.expand(rules.rotations, rules.overrides, rules.calendar, first, days)


def planned(rows: Iterable[Shift], team: Iterable[UUID] | None = None) -> list[Planned]:
    """Rows as the pure modules know them; of the `team` alone, if given: whoever has left it is not on call."""
    known = None if team is None else set(team)
    kept = (row for row in rows if known is None or row.user_id in known)
    return in_order(Planned(row.user_id, row.begins, row.ends, row.source) for row in kept)


def shift_id(shift: Planned) -> UUID:
    return uuid5(shift.source, f"{shift.user} {shift.begins.isoformat()}")


def today(at: datetime) -> date:
    return at.astimezone(OSLO).date()


def lay_out_all() -> int:
    """Every programme's shifts, whatever it was that changed: rules, office hours, or the day. Returns how many
    programmes were laid out anew; one that fails keeps no other waiting."""
    return sum(attempt(_look, one) for one in Programme.objects.order_by("id"))


def _look(programme: Programme) -> bool:
    """Nothing is locked while nothing has changed."""
    return bool(_changes(programme, now()) and lay_out(programme.id))


@transaction.atomic
def lay_out(programme_id: UUID, *, actor: Actor = SYSTEM) -> int:
    """Write the shifts that follow from the rules as they are now; returns how many rows that changed."""
    programme = Programme.objects.select_for_update(no_key=True).get(id=programme_id)
    changes = _changes(programme, now())
    if not changes:
        return 0
    Shift.objects.bulk_create(changes.new, batch_size=100)
    Shift.objects.bulk_update(changes.again, ["ends", "cancelled_at"], batch_size=100)
    detail = {"new": len(changes.new), "again": len(changes.again)}
    record(Entry("roster.laid_out", actor, object_id=programme.id, detail=detail))
    return len(changes.new) + len(changes.again)


def _changes(programme: Programme, at: datetime) -> Changes:
    """Five statements."""
    rules = rules_of(programme, at)
    first = today(at) - BEFORE
    days = BEFORE.days + settings.ENV.roster_days
    until = moment(first + timedelta(days=days), "00:00", fold=0)
    wanted = {shift_id(shift): shift for shift in expanded(rules, first, days)}
    coming = [one for one, shift in wanted.items() if shift.ends > at]
    # Shifts that follow from no rule of this programme are nobody's to take back.
    sources = [*Rotation.objects.filter(programme=programme).values_list("id", flat=True)]
    sources += Override.objects.filter(programme=programme).values_list("id", flat=True)
    rows = Shift.objects.filter(Q(ends__gt=at) | Q(id__in=coming), programme=programme)
    known = {row.id: row for row in rows if row.source in set(sources)}
    new, again = [], []
    for one, shift in wanted.items():
        row = known.get(one)
        if row is None and shift.ends > at:
            new.append(_row(one, programme, shift))
        elif row is not None and (row.ends != shift.ends or row.cancelled_at is not None):
            row.ends, row.cancelled_at = shift.ends, None
            again.append(row)
    for row in known.values():
        if row.id not in wanted and row.cancelled_at is None and row.ends > at and row.begins < until:
            if row.begins < at:
                row.ends = at  # they were on call until now
            else:
                row.cancelled_at = at
            again.append(row)
    return Changes(new, again)


def _row(id_: UUID, programme: Programme, shift: Planned) -> Shift:
    return Shift(
        id=id_, programme=programme, user_id=shift.user, begins=shift.begins, ends=shift.ends, source=shift.source
    )


def _usable(row: Rotation) -> bool:
    wrong = roster.faults(
        {
            name: getattr(row, name)
            for name in ("people", "every", "days", "starts_on", "handover", "outside_office_hours", "restrictions")
        }
    )
    if wrong:
        log.critical("rotation_unusable", rotation=str(row.id), faults=wrong)
    return not wrong


def _rotation(row: Rotation) -> roster.Rotation:
    return roster.Rotation(
        id=row.id,
        people=tuple(UUID(one) for one in row.people),
        every=row.every,  # type: ignore[arg-type] # `faults` has seen it
        days=row.days,
        starts_on=row.starts_on,
        handover=row.handover,
        outside_office_hours=row.outside_office_hours,
        restrictions=tuple(
            roster.Restriction(part["weekday"], part["begins"], part["ends"]) for part in row.restrictions
        ),
        ends_on=row.ends_on,
    )


def _override(row: Override) -> roster.Override:
    """One that was taken back after it had begun has ended then."""
    ends = row.ends if row.ended_at is None else min(row.ends, row.ended_at)
    return roster.Override(row.user_id, row.begins, ends, row.instead_of_id, row.id)
