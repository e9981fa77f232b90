"""The rules for odd access, applied to what has been sealed: each controller's lines in their order, once.

No state in memory. A batch, the findings made of it and how far it went are one transaction under the lock of the
controller's `Watch`: a crash leaves it all undone, and of two workers one does it.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce

from server.audit.actions import record_many
from server.audit.entry import Actor, Entry
from server.common.clock import now
from server.common.ids import new_id
from server.duties.models import Duty
from server.people.models import Controller, Officer, Patient
from server.people.periods import NOW
from server.review import evidence
from server.review.finding_decide import State
from server.review.models import Finding, FindingNote, Line, Watch
from server.review.models.findings import BY_DUTY
from server.review.odd import Odd

log = structlog.get_logger(__name__)

BATCH = 500
"""Lines of one transaction."""
ROUNDS = 20
"""Batches of one tick, of either kind; what is left waits for the next."""
EVENTS = 100
"""Events that one finding names."""
AT_ONCE = 200
"""Findings closed, or found without an officer, in one tick."""


def tick() -> int:
    """Ask what is to be asked, close what a duty has answered, and say where nobody can answer; returns how much.

    Raises OperationalError when the database is gone.
    """
    done = _rounds(_unread(), _read)
    until = evidence.known_until()
    done += _rounds(_unsettled(until), lambda controller_id: _settle(controller_id, until))
    return done + close_answered() + say_hindered()


def _rounds(controllers: Iterable[UUID], batch: Callable[[UUID], int]) -> int:
    """A batch of each in turn, as long as there are any and the tick has rounds left."""
    done, waiting = 0, list(controllers)
    for _ in range(ROUNDS):
        if not waiting:
            break
        controller_id = waiting.pop(0)
        count = batch(controller_id)
        done += count
        if count == BATCH:
            waiting.append(controller_id)
    return done


def _unread() -> list[UUID]:
    """Controllers with lines that no rule has seen, longest behind first; two look-ups by key for each controller."""
    newest = Line.objects.filter(controller_id=OuterRef("id")).order_by("-position").values("position")[:1]
    rows = Controller.objects.annotate(followed=_followed("position"), newest=Subquery(newest))
    rows = rows.filter(newest__gt=F("followed"))
    return list(rows.order_by("followed", "id").values_list("id", flat=True)[:ROUNDS])


def _unsettled(until: datetime) -> list[UUID]:
    """Controllers whose next line to be settled is old enough."""
    after = Line.objects.filter(controller_id=OuterRef("id"), position__gt=OuterRef("followed"))
    next_at = Subquery(after.order_by("position").values("at")[:1])
    rows = Controller.objects.annotate(followed=_followed("settled"), next_at=next_at)
    due = rows.filter(next_at__lt=until - _wait())
    return list(due.order_by("followed", "id").values_list("id", flat=True)[:ROUNDS])


def _followed(column: str) -> Coalesce:
    return Coalesce(Subquery(Watch.objects.filter(controller_id=OuterRef("id")).values(column)), Value(0))


def _wait() -> timedelta:
    return timedelta(days=settings.ENV.odd_act_days)


@transaction.atomic
def _read(controller_id: UUID) -> int:
    """One batch of a controller's lines; how many. 0 when another worker reads them."""
    watch = _lock(controller_id)
    if watch is None:
        return 0
    lines = list(
        Line.objects.filter(controller_id=controller_id, position__gt=watch.position).order_by("position")[:BATCH]
    )
    if lines:
        found, reviews = evidence.at_once(controller_id, lines)
        keep(controller_id, found, reviews=set(reviews.values()))
        Watch.objects.filter(controller_id=controller_id).update(position=lines[-1].position)
    return len(lines)


@transaction.atomic
def _settle(controller_id: UUID, until: datetime) -> int:
    """One batch of lines after which everything is known that could explain them."""
    watch = _lock(controller_id)
    if watch is None:
        return 0
    rows = Line.objects.filter(controller_id=controller_id, position__gt=watch.settled).order_by("position")[:BATCH]
    lines = []
    for line in rows:
        if line.at >= until - _wait():
            break
        lines.append(line)
    if lines:
        keep(controller_id, evidence.settled(controller_id, lines, until))
        Watch.objects.filter(controller_id=controller_id).update(settled=lines[-1].position)
    return len(lines)


def _lock(controller_id: UUID) -> Watch | None:
    Watch.objects.bulk_create([Watch(controller_id=controller_id)], ignore_conflicts=True)
    return Watch.objects.select_for_update(skip_locked=True, of=("self",)).filter(controller_id=controller_id).first()


def keep(controller_id: UUID, found: Iterable[Odd], *, reviews: Iterable[UUID] = ()) -> int:
    """Make findings of what is new, let grow what is still open, and ask nothing twice; how many are new. The caller
    holds the controller's `Watch`. `reviews` are duties that answer the cases named after them."""
    asked = sorted(found, key=lambda one: (one.first_at, one.kind, one.case))
    if not asked:
        return 0
    known = _known(controller_id, asked)
    duties = {str(duty): duty for duty in reviews}
    due = now() + timedelta(days=settings.ENV.finding_due_days)
    new, grown = [], []
    for one in asked:
        case = f"{one.kind}/{one.case}"
        before = known.get(case)
        if before is None or not _same(before, one):
            known[case] = _new(controller_id, one, case, duties.get(one.case), due)
            new.append(known[case])
        elif before.state == State.OPEN and _grow(before, one) and before not in new:
            grown.append(before)
    Finding.objects.bulk_create(new, ignore_conflicts=True)
    for finding in {one.id: one for one in grown}.values():
        # Whoever answered it meanwhile answered what they saw: it grows no more.
        Finding.objects.filter(id=finding.id, state=State.OPEN).update(
            events=finding.events, first_at=finding.first_at, last_at=finding.last_at, parameters=finding.parameters
        )
    _record("finding.found", new)
    return len(new)


def _known(controller_id: UUID, asked: Iterable[Odd]) -> dict[str, Finding]:
    """Of each case the finding that was made last."""
    cases = {f"{one.kind}/{one.case}" for one in asked}
    rows = Finding.objects.filter(controller_id=controller_id, case__in=cases).order_by("last_at", "id")
    return {finding.case: finding for finding in rows}


def _same(before: Finding, one: Odd) -> bool:
    return one.again_after is None or one.first_at <= before.last_at + one.again_after


def _new(controller_id: UUID, one: Odd, case: str, duty_id: UUID | None, due: datetime) -> Finding:
    events = [str(act.event) for act in one.acts]
    return Finding(
        id=new_id(),
        controller_id=controller_id,
        kind=one.kind,
        case=case,
        key=f"{case}/{events[0]}",
        actor_id=one.actor,
        subject_id=one.subject,
        events=events[:EVENTS],
        first_at=one.first_at,
        last_at=one.last_at,
        parameters=dict(one.parameters),
        duty_id=duty_id,
        due_at=due,
    )


def _grow(finding: Finding, one: Odd) -> bool:
    """Take in what was found again; whether anything was new."""
    fresh = [str(act.event) for act in one.acts if str(act.event) not in finding.events]
    if not fresh:
        return False
    finding.events = [*finding.events, *fresh][:EVENTS]
    finding.first_at, finding.last_at = min(finding.first_at, one.first_at), max(finding.last_at, one.last_at)
    finding.parameters = {
        name: max(value, finding.parameters.get(name, value)) for name, value in one.parameters.items()
    }
    return True


@transaction.atomic
def close_answered() -> int:
    """Close findings whose duty to review has been answered; how many."""
    answered = Duty.objects.filter(id=OuterRef("duty_id"), done_at__isnull=False)
    rows = Finding.objects.filter(Exists(answered), closed_at=None, duty_id__isnull=False)
    found = list(rows.select_for_update(skip_locked=True, of=("self",)).order_by("id")[:AT_ONCE])
    if not found:
        return 0
    Finding.objects.filter(id__in=[one.id for one in found]).update(
        state=State.CLOSED, conclusion=BY_DUTY, closed_at=NOW
    )
    FindingNote.objects.bulk_create(
        FindingNote(finding=one, from_state=one.state, to_state=State.CLOSED) for one in found
    )
    _record("finding.closed", found)
    return len(found)


@transaction.atomic
def say_hindered() -> int:
    """Say of findings that no officer can take why not, and of those that one can take again that it is over; how many
    changed. A finding about the only officer waits for another to be appointed; the log of the server calls for one."""
    patient = Patient.objects.filter(user_id=OuterRef("user_id"), id=OuterRef(OuterRef("subject_id")))
    somebody = Officer.objects.current().filter(controller_id=OuterRef("controller_id"), user__is_active=True)
    other = somebody.exclude(user_id=OuterRef("actor_id")).exclude(Exists(patient))
    waiting = Finding.objects.filter(closed_at=None)
    stuck = waiting.filter(~Exists(other), hindered="").annotate(anybody=Exists(somebody)).order_by("id")
    changed = 0
    for why, found in _grouped(stuck[:AT_ONCE]).items():
        changed += Finding.objects.filter(id__in=[one.id for one in found]).update(hindered=why[1])
        log.error("findings_wait_for_officer", controller=str(why[0]), why=why[1], first=str(found[0].id))
    return changed + waiting.filter(Exists(other)).exclude(hindered="").update(hindered="")


def _grouped(stuck: Iterable[Finding]) -> dict[tuple[UUID, str], list[Finding]]:
    """By controller and reason."""
    found: dict[tuple[UUID, str], list[Finding]] = {}
    for one in stuck:
        anybody: bool = one.anybody  # type: ignore[attr-defined] # annotated
        found.setdefault((one.controller_id, "no_other_officer" if anybody else "no_officer"), []).append(one)
    return found


def _record(type_: str, found: Iterable[Finding]) -> None:
    """In the name of the system, for the controller, whose officers find it in the log; see `findings.py` for why no
    patient is named."""
    record_many(
        Entry(
            type_,
            Actor(None, controller_id=one.controller_id, role="system"),
            object_id=one.id,
            basis="duty" if one.duty_id else "",
            reason=one.kind,
        )
        for one in found
    )
