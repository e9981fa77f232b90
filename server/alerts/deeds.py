"""What people do to a call for help, as pure decisions; `actions/alerts.py` writes them (laws 6 and 7).

Each takes the alert as it stands and answers how it stands then, or raises: `Taken` when somebody else has it, `Unfit`
with a stable code when the deed does not fit the state.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from server.alerts.decide import look_again, resumed
from server.alerts.facts import Case, Decision, Note, Task, after

PLAN_CONTACTS, CALL_113, SPEAK_ALONE = "plan_contacts", "call_113", "speak_alone"
OUTCOMES = (
    "helped_by_phone",
    "visited",
    "came_in",
    "admitted",
    "out_of_hours_doctor",
    "emergency_113",
    "handed_on",
    "accident",
    "other",
)
CHILDREN = ("none", "present", "unknown")
HURRY_S = 10
"""Everybody is being called already: a further press within so many seconds of a round adds nothing to it."""


class Unfit(Exception):
    """The deed does not fit; the message is a stable code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Taken(Exception):
    """Somebody else has accepted."""

    by: UUID


# --- the patient, or somebody for the patient ------------------------------------------------------------


def press_again(case: Case, now: datetime) -> Decision:
    """A further call for help while this one is open: it hurries the alert on, or begins anew when somebody has it."""
    if case.state == "closed":
        raise Unfit("alert_closed")
    if case.state in ("received", "paging", "exhausted"):
        soon = case.state == "exhausted" and now < after(case.step_at, HURRY_S)
        if case.state == "received" or soon:
            return Decision(replace(case, due_at=now), (Note("pressed_again"),))
        late = replace(case, step_at=after(now, -case.policy.step(case.step).wait_s), due_at=now)
        return Decision(late, (Note("pressed_again", "hurried"),))
    kept = tuple(task for task in case.tasks if task.kind != SPEAK_ALONE)
    fresh = replace(case, cancelled_at=None, alone_at=None, tasks=kept)
    ended = ((SPEAK_ALONE, "needless"),) if _owes(case, SPEAK_ALONE) else ()
    return Decision(fresh, (Note("pressed_again"),), ended=ended).then(resumed(fresh, "pressed_again", now))


def cancel(case: Case, now: datetime) -> Decision:
    """«It was an accident.» Staff speak with the patient alone all the same: a cancel may be forced. Until somebody has
    accepted, people go on being called."""
    if case.state == "closed" or case.cancelled_at is not None:
        return Decision(case)
    cancelled = replace(
        case,
        state="follow_up",
        cancelled_at=now,
        alone_at=None,
        offered_from="",
        offered_to=None,
        offered_at=None,
    )
    note = Note("cancelled")
    if case.responder is None:
        return Decision(replace(cancelled, due_at=now), (note,))
    # Whoever has it begins anew as well: they call, and find out if it is true.
    mine = replace(cancelled, accepted_at=now, calling_at=None)
    return _owing(mine, (note,), now, begun=() if _owes(case, SPEAK_ALONE) else (_alone(case, now),))


# --- whoever answers -------------------------------------------------------------------------------------


def accept(case: Case, who: UUID, generation: int | None, now: datetime) -> Decision:
    """Take it. One wins: a responder is there from then on; who has it already, has it.

    `generation` is the one of the button that was pressed, None for whoever looks at the alert itself.
    """
    if case.state == "closed":
        raise Unfit("alert_closed")
    if case.responder == who:
        return Decision(case)
    old = generation is not None and generation != case.generation
    if case.responder is not None:
        if case.state != "handover_offered" or case.offered_to not in (None, who) or old:
            raise Taken(case.responder)
        return _take_over(case, who, now)
    if old:
        raise Unfit("old_page")
    mine = replace(
        case,
        state="follow_up" if case.needs_talk_alone else "accepted",
        responder=who,
        accepted_at=now,
        calling_at=None,
        contact_at=None,
    )
    begun = (_alone(case, now),) if case.needs_talk_alone and not _owes(case, SPEAK_ALONE) else ()
    return _owing(
        replace(mine, tasks=_in_time(case, now)), (Note("accepted", contact=who, actor=who),), now, begun=begun
    )


def accept_page(case: Case, who: UUID, generation: int, now: datetime) -> Decision:
    """As `accept`, from a notification or in a call. What is offered meanwhile is taken over in the app, where it can
    be seen what it is."""
    if case.state == "handover_offered" and case.responder != who:
        raise Unfit("old_page")
    return accept(case, who, generation, now)


def calling(case: Case, who: UUID, now: datetime) -> Decision:
    """«I am calling now.»"""
    _responsible(case, who)
    state = case.offered_from or case.state
    if state == "not_reached":
        state = "follow_up" if case.needs_talk_alone else "accepted"
    return _owing(replace(_standing(case, state), calling_at=now), (Note("calling", actor=who),), now)


def in_contact(case: Case, who: UUID, now: datetime, *, alone: bool) -> Decision:
    """The two have spoken. After a cancel it counts when they were alone."""
    _responsible(case, who)
    spoke = replace(case, contact_at=case.contact_at or now, alone_at=now if alone else case.alone_at)
    ended = [(PLAN_CONTACTS, "needless"), (CALL_113, "needless")]
    if alone:
        ended.append((SPEAK_ALONE, "done"))
    spoke = _standing(spoke, "follow_up" if spoke.needs_talk_alone else "in_contact")
    note = Note("in_contact", "alone" if alone else "", actor=who)
    return _owing(spoke, (note,), now, ended=[one for one in ended if _owes(case, one[0])])


def not_reached(case: Case, who: UUID, now: datetime) -> Decision:
    """No answer. It never ends by itself: the plan's contacts come next, then 113."""
    _responsible(case, who)
    if case.contact_at is not None:
        raise Unfit("already_in_contact")
    waits = ((PLAN_CONTACTS, case.limits.task), (CALL_113, 2 * case.limits.task))
    begun = tuple(Task(kind, after(now, wait)) for kind, wait in waits if not _owes(case, kind))
    tried = replace(_standing(case, "not_reached"), calling_at=None)
    return _owing(tried, (Note("not_reached", actor=who),), now, begun=begun)


def task_done(case: Case, who: UUID, kind: str, now: datetime) -> Decision:
    """One of the next things is done. That one has spoken alone is told by `in_contact`."""
    _responsible(case, who)
    if kind == SPEAK_ALONE:
        raise Unfit("tell_in_contact")
    if not _owes(case, kind):
        raise Unfit("no_such_task")
    return _owing(case, (Note("task_done", kind, actor=who),), now, ended=[(kind, "done")])


def hand_over(case: Case, giver: UUID | None, to: UUID | None, now: datetime) -> Decision:
    """Offer it to somebody, or to the team; the giver stays responsible until it is accepted. `giver` None: offered
    because the shift is over."""
    if giver is not None:
        _responsible(case, giver)
    if case.state == "closed":
        raise Unfit("alert_closed")
    if case.state == "handover_offered" and (giver is None or case.offered_to == to):
        return Decision(case)
    if case.responder is None or case.responder == to:
        raise Unfit("nobody_to_hand_over")
    offered = replace(
        case,
        state="handover_offered",
        offered_from=case.offered_from or case.state,
        offered_to=to,
        offered_at=now,
    )
    note = Note("handover_offered", "" if giver else "shift_over", contact=to, actor=giver)
    return Decision(replace(offered, due_at=look_again(offered, now)), (note,))


def close(case: Case, who: UUID, outcome: str, children: str, now: datetime) -> Decision:
    """Only staff close, with an outcome, and never before somebody has spoken with the patient or called 113."""
    if case.responder is None and case.state != "closed":
        raise Unfit("accept_first")
    _responsible(case, who)
    if outcome not in OUTCOMES or children not in CHILDREN:
        raise Unfit("outcome")
    if case.needs_talk_alone:
        raise Unfit("speak_alone_first")
    not_reached = "not_reached" in (case.state, case.offered_from)
    if case.contact_at is None and (not not_reached or _owes(case, CALL_113)):
        raise Unfit("contact_first")
    return _closed(case, Note("closed", outcome, actor=who), outcome, children, now)


def end_synthetic(case: Case, code: str, now: datetime) -> Decision:
    """The hourly trial is over: answered, or not."""
    assert case.synthetic
    return _closed(case, Note("closed", code), code, "", now)


# --- parts -----------------------------------------------------------------------------------------------


def _closed(case: Case, note: Note, outcome: str, children: str, now: datetime) -> Decision:
    over = replace(
        case,
        state="closed",
        due_at=None,
        closed_at=now,
        outcome=outcome,
        children=children,
        offered_from="",
        offered_to=None,
        offered_at=None,
        tasks=(),
    )
    return Decision(over, (note,), ended=tuple((task.kind, "needless") for task in case.tasks))


def _responsible(case: Case, who: UUID) -> None:
    if case.state == "closed":
        raise Unfit("alert_closed")
    if case.responder is None:
        raise Unfit("accept_first")
    if case.responder != who:
        raise Taken(case.responder)


def _take_over(case: Case, who: UUID, now: datetime) -> Decision:
    """The receiver accepts: from now on it is theirs, with time enough to do what is owed."""
    mine = replace(
        case,
        state=case.offered_from,
        responder=who,
        offered_from="",
        offered_to=None,
        offered_at=None,
        accepted_at=now,
        calling_at=None,
        tasks=_in_time(case, now),
    )
    return _owing(mine, (Note("handed_over", contact=who, actor=who),), now)


def _owing(
    case: Case,
    notes: tuple[Note, ...],
    now: datetime,
    *,
    begun: tuple[Task, ...] = (),
    ended: list[tuple[str, str]] | None = None,
) -> Decision:
    """With its tasks as they are then, and the time at which the responder must have done something (law 6)."""
    over = {kind for kind, _ in ended or ()}
    tasks = tuple(task for task in case.tasks if task.kind not in over) + begun
    owing = replace(case, tasks=tasks)
    return Decision(replace(owing, due_at=look_again(owing, now)), notes, begun=begun, ended=tuple(ended or ()))


def _standing(case: Case, state: str) -> Case:
    """In this state; while a handover is offered, that is the state which whoever has it then finds it in."""
    if case.state == "handover_offered":
        return replace(case, offered_from=state)
    return replace(case, state=state)


def _in_time(case: Case, now: datetime) -> tuple[Task, ...]:
    """Tasks that were begun, for whoever has them now: with time to call first, and to find out."""
    least = after(now, case.limits.calling + case.limits.contact)
    return tuple(replace(task, due_at=max(task.due_at, least)) for task in case.tasks)


def _alone(case: Case, now: datetime) -> Task:
    return Task(SPEAK_ALONE, after(now, case.limits.follow_up))


def _owes(case: Case, kind: str) -> bool:
    return any(task.kind == kind for task in case.tasks)
