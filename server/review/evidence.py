"""What the rules for odd access are given: acts of one controller's log, and what else they compare.

Everything is read in a fixed number of statements for a batch of lines, however many people are in it, and of nobody
more than `OF_EACH` earlier lines for one rule, however many they have.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Min, OuterRef, Q, QuerySet, Subquery

from server.audit.models import AuditEvent, Leaf, Pending
from server.common.clock import now
from server.duties.models import Duty, Kind
from server.people.models import Engagement, Patient, User
from server.review import odd
from server.review.models import Line, Progress
from server.review.odd import Act, Limits, Odd
from server.review.surnames import common, surnames_of

PER_STATEMENT = 5_000
OF_EACH = 1_000
"""Earlier lines of one person, or about one patient, that the lines of a batch are seen beside: the newest. Far more
than any limit asks for, and few enough that who floods the log delays nobody's question."""
NOWHERE = UUID(int=0)
SLACK = timedelta(minutes=5)
"""What an act's transaction, and its way into the log, take at most."""


def limits() -> Limits:
    """As the installation has set them."""
    env = settings.ENV
    return Limits(
        act_days=env.odd_act_days,
        patients=env.odd_patients,
        patients_minutes=env.odd_patients_minutes,
        own_door_hours=env.odd_own_door_hours,
        before_minutes=env.odd_before_minutes,
        before_pages=env.odd_before_pages,
        after_hours=env.odd_after_hours,
        after_tries=env.odd_after_tries,
        denied=env.odd_denied,
        denied_minutes=env.odd_denied_minutes,
        dormant_days=env.odd_dormant_days,
        again_days=env.odd_again_days,
    )


def known_until() -> datetime:
    """Before this moment nothing is missing from the lines: all is sealed and followed."""
    known = [now()]
    waiting = Pending.objects.order_by("since").values_list("since", flat=True).first()
    at = Progress.objects.values_list("position", flat=True).first() or 0
    behind = Leaf.objects.filter(position__gt=at).order_by("position").values_list("event_id", flat=True).first()
    if waiting is not None:
        known.append(waiting)
    if behind is not None:
        known.append(AuditEvent.objects.values_list("at", flat=True).get(id=behind))
    return min(known) - SLACK


def at_once(controller_id: UUID, lines: Sequence[Line]) -> tuple[list[Odd], dict[UUID, UUID]]:
    """What is asked about these lines, in the order of the log and complete, beside what came before them; but for
    what must wait for a later act. And which duty to review answers for which emergency access.

    Of another controller's staff only what happened to this one's patients is asked about: how much they do, and who
    works with them, is their employer's to ask.
    """
    fresh = _acts(lines)
    touched = [act for act in fresh if act.looks or act.denied or act.type in (odd.WITHDRAWN, odd.RELATED)]
    reviews = _reviews(controller_id, fresh)
    if not touched and not reviews:
        return [], {}
    known = limits()
    before = Line.objects.filter(controller_id=controller_id, position__lt=lines[0].position)
    acts = [*fresh, *_context(before, touched, known)]
    personal = [act for act in touched if act.subject is not None and act.basis not in odd.CHOSEN | odd.REVIEWED]
    patients = {act.subject for act in personal if act.subject is not None}
    found = [
        *odd.many_patients([act for act in acts if act.controller == controller_id], known),
        *odd.denied(acts, known),
        *odd.self_granted(acts, known),
        *odd.around_withdrawal(acts, known),
        *odd.emergency([act for act in fresh if act.controller == controller_id], known, reviews=reviews),
        *_dormant(controller_id, fresh, before, known),
    ]
    if personal:
        names = surnames_of({act.actor for act in personal}, patients)
        found += odd.same_surname(personal, known, surnames=names, common=common())
        own = [act for act in personal if act.controller == controller_id]
        found += odd.colleague(own, known, workplaces=_workplaces(patients))
    new = {act.event for act in fresh}
    return [one for one in found if not new.isdisjoint(act.event for act in one.acts)], reviews


def settled(controller_id: UUID, lines: Sequence[Line], until: datetime) -> list[Odd]:
    """Looks among these lines that nothing followed; of the controller's own staff, whose whole work is in its log."""
    looks = [act for act in _acts(lines) if act.looks and act.subject is not None and act.controller == controller_id]
    if not looks:
        return []
    known = limits()
    worked = Line.objects.filter(
        controller_id=controller_id,
        actor_id__in={act.actor for act in looks},
        subject_id__in={act.subject for act in looks},
    ).exclude(Q(type__in=odd.NO_WORK) | Q(outcome="refused"))
    first, last = min(act.at for act in looks), max(act.at for act in looks)
    meanwhile = worked.filter(at__gte=first, at__lte=last)
    # After the last look the first act for each patient says as much as all of them.
    pairs = worked.filter(at__gt=last, at__lte=last + timedelta(days=known.act_days)).values("actor_id", "subject_id")
    later = pairs.annotate(first=Min("at"), done=Min("type")).values_list("actor_id", "subject_id", "first", "done")
    acts = [Act(event=NOWHERE, at=at, type=done, actor=who, subject=about) for who, about, at, done in later if who]
    return odd.look_without_act([*looks, *_acts(meanwhile), *acts], known, until=until)


def _context(before: QuerySet[Line], touched: Iterable[Act], known: Limits) -> list[Act]:
    """Earlier lines that belong to what somebody has done now; each statement by an index."""
    touched = list(touched)
    if not touched:
        return []
    start = min(act.at for act in touched)
    people = {act.actor for act in touched if act.looks or act.denied}
    patients = {act.subject for act in touched if act.subject is not None}
    ended = {act.subject for act in touched if act.subject is not None and act.type == odd.WITHDRAWN}
    window = timedelta(minutes=max(known.patients_minutes, known.denied_minutes))
    door, after = timedelta(hours=known.own_door_hours), timedelta(hours=known.after_hours)
    opened, answered = {odd.RELATED, *odd.ROOM_DOORS}, {odd.WITHDRAWN, *odd.ANSWERS}
    wanted = [
        _newest(before.filter(at__gte=start - window, type__in=odd.TRIES), "actor_id", people),
        _newest(before.filter(at__gte=start - door, type__in=opened), "actor_id", people),
        _newest(before.filter(at__gte=start - max(door, after), type__in=answered), "subject_id", patients),
        _newest(before.filter(at__gte=start - after, subject_id__in=patients, outcome="refused"), "actor_id", people),
    ]
    if ended:
        since = start - timedelta(minutes=known.before_minutes)
        wanted.append(_newest(before.filter(at__gte=since, type="events.viewed"), "subject_id", ended))
    found = {line.event_id: line for one in wanted for line in one}
    return _acts(found.values())


def _newest(lines: QuerySet[Line], column: str, ids: Collection[UUID]) -> list[Line]:
    """Of each of these people, or of these patients, the newest of the lines; a second statement says since when, where
    somebody may have too many."""
    every = lines.filter(**{f"{column}__in": ids})
    found = list(every[:OF_EACH])
    if len(found) < OF_EACH:
        return found
    behind = lines.filter(**{column: OuterRef("id")}).order_by("-at").values("at")[OF_EACH - 1 : OF_EACH]
    rows = Patient.objects.all() if column == "subject_id" else User.objects.all()
    since = dict(rows.filter(id__in=ids).annotate(since=Subquery(behind)).values_list("id", "since"))
    wanted = Q(**{f"{column}__in": {one for one in ids if since.get(one) is None}})
    for one, at in since.items():
        if at is not None:
            wanted |= Q(**{column: one, "at__gte": at})
    return list(lines.filter(wanted))


def _dormant(controller_id: UUID, fresh: Sequence[Act], before: QuerySet[Line], known: Limits) -> list[Odd]:
    """Of the controller's own staff: others are seen in its log only when they have to do with its patients."""
    looks = [act for act in fresh if act.looks and act.controller == controller_id]
    if not looks:
        return []
    waking = timedelta(hours=known.waking_hours)
    start = min(act.at for act in looks) - waking
    last = before.filter(actor_id=OuterRef("id"), at__lt=start).order_by("-at").values("at")[:1]
    rows = User.objects.filter(id__in={act.actor for act in looks}).annotate(last=Subquery(last))
    newest = max(act.at for act in looks) - timedelta(days=known.dormant_days)
    slept = {user: at for user, at in rows.values_list("id", "last") if at is not None and at <= newest}
    if not slept:
        return []
    since = _newest(before.filter(at__gte=start), "actor_id", slept.keys())
    acts = [act for act in [*fresh, *_acts(since)] if act.actor in slept]
    return odd.dormant(acts, known, before=slept)


def _reviews(controller_id: UUID, acts: Iterable[Act]) -> dict[UUID, UUID]:
    """Which duty answers for which access: its own, or the one that was open when it began."""
    used = [act for act in acts if act.type == odd.EMERGENCY and not act.refused and act.object is not None]
    if not used:
        return {}
    owed = list(
        Duty.objects.filter(
            kind=Kind.EMERGENCY_REVIEW,
            controller_id=controller_id,
            room_id__in={act.room for act in used},
            concerns_id__in={act.actor for act in used},
        ).order_by("created_at", "id")
    )
    found: dict[UUID, UUID] = {}
    for act in used:
        theirs = [one for one in owed if (one.room_id, one.concerns_id) == (act.room, act.actor)]
        own = [one for one in theirs if one.object_id == act.object]
        earlier = [one for one in theirs if one.created_at <= act.at]
        if act.object is not None and (own or earlier):
            found[act.object] = (own or earlier)[-1].id
    return found


def _workplaces(patients: Collection[UUID]) -> dict[UUID, set[UUID]]:
    rows = Engagement.objects.current().filter(user__patient__in=patients)
    found: dict[UUID, set[UUID]] = {}
    for patient, controller in rows.values_list("user__patient", "unit__controller_id"):
        found.setdefault(patient, set()).add(controller)
    return found


def _acts(lines: Iterable[Line]) -> list[Act]:
    """What people did, with what only the log itself says of it; a statement for some thousands of lines."""
    done = [line for line in lines if line.actor_id is not None]
    more: dict[UUID, tuple[UUID | None, UUID | None, str]] = {}
    for start in range(0, len(done), PER_STATEMENT):
        ids = [line.event_id for line in done[start : start + PER_STATEMENT]]
        rows = AuditEvent.objects.filter(id__in=ids).values_list("id", "controller_id", "object_id", "reason")
        more |= {id_: (controller, object_, reason) for id_, controller, object_, reason in rows}
    return [_act(line, *more[line.event_id]) for line in done]


def _act(line: Line, controller: UUID | None, object_: UUID | None, reason: str) -> Act:
    assert line.actor_id is not None, "done by a person"
    return Act(
        event=line.event_id,
        at=line.at,
        type=line.type,
        actor=line.actor_id,
        controller=controller,
        subject=line.subject_id,
        room=line.room_id,
        object=object_,
        basis=line.basis,
        refused=line.outcome == "refused",
        reason=reason,
    )
