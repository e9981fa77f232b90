"""The rules for odd access, applied to what has been sealed: each controller's lines in their order, once.

No state in memory. A batch is read and compared outside any transaction, however long that takes. What was found is
written under the lock of the controller's `Watch`, if that stands where it stood when the batch was read: of two
workers one does it. The last findings of a batch and how far it went are one transaction, and no finding is made twice:
a crash leaves nothing out.
"""

import itertools
from collections.abc import Callable, Collection, Iterable, Sequence
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
"""Lines that are read at once."""
ROUNDS = 20
"""Batches of one tick, of either kind; what is left waits for the next."""
EVENTS = 100
"""Events that one finding names."""
AT_ONCE = 200
"""Findings written in one transaction: some tens of milliseconds, in which SQLite lets nobody else write. Of those that
are closed, or found without an officer, as many in one tick."""


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


def _read(controller_id: UUID) -> int:
    """One batch of a controller's lines; how many. 0 when another worker has read them meanwhile."""
    was = _standing(controller_id).position
    rows = Line.objects.filter(controller_id=controller_id, position__gt=was).order_by("position")
    lines = list(rows[:BATCH])
    if not lines:
        return 0
    found, reviews = evidence.at_once(controller_id, lines)
    mine = _write(controller_id, "position", was, lines[-1].position, found, reviews=set(reviews.values()))
    return len(lines) if mine else 0


def _settle(controller_id: UUID, until: datetime) -> int:
    """One batch of lines after which everything is known that could explain them."""
    was = _standing(controller_id).settled
    rows = Line.objects.filter(controller_id=controller_id, position__gt=was).order_by("position")
    lines = list(itertools.takewhile(lambda line: line.at < until - _wait(), rows[:BATCH]))
    if not lines:
        return 0
    found = evidence.settled(controller_id, lines, until)
    return len(lines) if _write(controller_id, "settled", was, lines[-1].position, found) else 0


def _standing(controller_id: UUID) -> Watch:
    return Watch.objects.filter(controller_id=controller_id).first() or Watch(controller_id=controller_id)


def _write(
    controller_id: UUID, column: str, was: int, becomes: int, found: Iterable[Odd], *, reviews: Collection[UUID] = ()
) -> bool:
    """Keep what was found between two positions, `AT_ONCE` a transaction; False when another worker has gone on from
    the first one, or is writing."""
    asked = sorted(found, key=lambda one: (one.first_at, one.kind, one.case))
    for start in range(0, max(len(asked), 1), AT_ONCE):
        with transaction.atomic():
            watch = _lock(controller_id)
            if watch is None or getattr(watch, column) != was:
                return False
            keep(controller_id, asked[start : start + AT_ONCE], reviews=reviews)
            if start + AT_ONCE >= len(asked):
                Watch.objects.filter(controller_id=controller_id).update(**{column: becomes})
    return True


def _lock(controller_id: UUID) -> Watch | None:
    Watch.objects.bulk_create([Watch(controller_id=controller_id)], ignore_conflicts=True)
    return Watch.objects.select_for_update(skip_locked=True, of=("self",)).filter(controller_id=controller_id).first()


def keep(controller_id: UUID, asked: Sequence[Odd], *, reviews: Iterable[UUID] = ()) -> int:
    """Make findings of what is new, let grow what is still open, and ask nothing twice; how many are new. `asked` is
    eldest first; `reviews` are duties that answer the cases named after them. The caller holds the `Watch`."""
    if not asked:
        return 0
    known = _known(controller_id, asked)
    duties = {str(duty): duty for duty in reviews}
    due = now() + timedelta(days=settings.ENV.finding_due_days)
    new: dict[UUID, Finding] = {}
    grown: dict[UUID, Finding] = {}
    for one in asked:
        case = f"{one.kind}/{one.case}"
        before = known.get(case)
        if before is None or not _same(before, one):
            made = known[case] = _new(controller_id, one, case, duties.get(one.case), due)
            new[made.id] = made
        elif before.state == State.OPEN and _grow(before, one) and before.id not in new:
            grown[before.id] = before
    Finding.objects.bulk_create(new.values(), ignore_conflicts=True)
    for finding in grown.values():
        # Whoever answered it meanwhile answered what they saw: it grows no more.
        Finding.objects.filter(id=finding.id, state=State.OPEN).update(
            events=finding.events, first_at=finding.first_at, last_at=finding.last_at, parameters=finding.parameters
        )
    _record("finding.found", new.values())
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
    known = set(finding.events)
    fresh = [event for event in (str(act.event) for act in one.acts) if event not in known]
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
