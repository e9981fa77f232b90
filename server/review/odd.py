"""What in the log is worth a question: small rules, each with what it compares and when it trips. Pure.

A rule gets acts of one controller's log, in any order, and its limits; it answers which of them a person should look
at. None of them knows whether something wrong was done: each finds what has usually a good reason and sometimes none.
No rule compares people with each other, counts what somebody does at work, or knows what time of day it is.

None goes through all acts again for each of them (`windows.py`): whoever floods the log must not keep it from being
asked.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from uuid import UUID

from server.review.windows import ByOthers, by_actor, grouped, moment, runs, some, span

LOOKS = frozenset(
    {
        "patient.viewed",
        "room.viewed",
        "events.viewed",
        "members.viewed",
        "receipts.viewed",
        "consent.viewed",
        "consent.text_viewed",
        "consent.receipt_viewed",
        "consent.history_viewed",
        "emergency_access.viewed",
        "emergency_access.rooms_viewed",
        "review.revealed",
    }
)
"""Somebody opened something about one patient. What a client does by itself (following, lists, marks) is none."""
UNASKED = frozenset(
    {
        *("room.listed", "room.followed", "room.unfollowed", "read.marked", "duty.viewed", "answer.repeated"),
        *("alert.followed", "alert.unfollowed"),
    }
)
"""What a client does by itself."""
TRIES = LOOKS | {"emergency_access.begun", "own_posts.exported"}
"""What is denied to whoever has no access. Writing is not among them: that may be refused to whoever has."""
NO_DENIAL = frozenset({"step_up_needed"})
"""Reasons of refusals that only ask for a fresh sign-in."""
RELATED, REGISTERED = "relation.recorded", "patient.registered"
ROOM_DOORS = frozenset({"room.opened", "ground.recorded", "member.proposed"})
ANSWERS = frozenset({"consent.given", "consent.changed", "consent.renewed"})
WITHDRAWN = "consent.withdrawn"
EMERGENCY = "emergency_access.begun"
NO_WORK = LOOKS | UNASKED | {RELATED, REGISTERED, EMERGENCY, "ground.recorded"}
"""Looking, and opening the door."""

CHOSEN = frozenset({"self", "consent"})
"""The patient has let this person in, which answers the question before it is asked."""
REVIEWED = frozenset({"emergency", "duty", "officer", "own_posts"})
"""Somebody else asks already, or the look is a part of asking."""


class Kind(StrEnum):
    """What is asked about."""

    LOOK_WITHOUT_ACT = "look_without_act"
    MANY_PATIENTS = "many_patients"
    SAME_SURNAME = "same_surname"
    COLLEAGUE = "colleague"
    SELF_GRANTED = "self_granted"
    EMERGENCY = "emergency"
    WITHDRAWAL = "withdrawal"
    DENIED = "denied"
    DORMANT = "dormant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a rule trips. Defaults, and the reason of each, stand in `server/settings/odd.py`."""

    act_days: int
    """Days after a look within which something done for the patient explains it."""
    patients: int
    """Different patients that somebody opened …"""
    patients_minutes: int
    """… within so many minutes."""
    own_door_hours: int
    """Hours between opening the door for oneself and looking."""
    before_minutes: int
    """Minutes before a withdrawal …"""
    before_pages: int
    """… in which somebody read so many pages of the timeline."""
    after_hours: int
    """Hours after a withdrawal …"""
    after_tries: int
    """… in which somebody was denied so many times."""
    denied: int
    """Denials …"""
    denied_minutes: int
    """… within so many minutes."""
    dormant_days: int
    """Days without any act of an account."""
    again_days: int
    """Days after which what stays as it is (a name, a place of work) is asked about again."""
    waking_hours: int = 24
    """Hours that count as one awakening: signing in this morning is no sign that the account was in use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One line of the log, done by a person. `subject` is the patient, `controller` for whom they acted (None for
    patients), `object` the row that was touched; none in a list of several patients."""

    event: UUID
    at: datetime
    type: str
    actor: UUID
    controller: UUID | None = None
    subject: UUID | None = None
    room: UUID | None = None
    object: UUID | None = None
    basis: str = ""
    refused: bool = False
    reason: str = ""

    @property
    def looks(self) -> bool:
        """Somebody at work opened something about one patient, and was shown it."""
        return self.type in LOOKS and not self.refused and self.at_work and not self.in_a_list

    @property
    def denied(self) -> bool:
        return self.refused and self.type in TRIES and self.at_work and self.reason not in NO_DENIAL

    @property
    def at_work(self) -> bool:
        return self.controller is not None

    @property
    def in_a_list(self) -> bool:
        return self.type == "patient.viewed" and self.object is None

    @property
    def works(self) -> bool:
        """Something was done for the patient: more than looking, and more than opening the door."""
        return not self.refused and self.type not in NO_WORK


@dataclass(frozen=True, slots=True)
class Odd:
    """What one rule asks about. `case` says when it is the same again: met once more no later than `again_after` its
    last act it is no new question, and never one when that is None. `parameters` are what was compared, and the limit
    that it reached: numbers and codes, never a name."""

    kind: Kind
    case: str
    actor: UUID
    subject: UUID | None
    acts: tuple[Act, ...]
    again_after: timedelta | None
    parameters: Mapping[str, int] = field(default_factory=dict)

    @property
    def first_at(self) -> datetime:
        return self.acts[0].at

    @property
    def last_at(self) -> datetime:
        return self.acts[-1].at


def look_without_act(acts: Iterable[Act], limits: Limits, *, until: datetime) -> list[Odd]:
    """A look on no choice of the patient's, and nothing done for that patient by the same person in `act_days` after
    it. Judged when those days are over: everything before `until` is known."""
    wait = timedelta(days=limits.act_days)
    found = []
    for (actor, subject), theirs in _by_pair(acts):
        worked = [act for act in theirs if act.works]
        idle = [
            act
            for act in theirs
            if _uninvited(act) and act.at + wait < until and not span(worked, act.at, act.at + wait, with_last=True)
        ]
        if idle:
            case = f"{actor}/{subject}"
            said = {"days": limits.act_days, "looks": len(idle)}
            found.append(Odd(Kind.LOOK_WITHOUT_ACT, case, actor, subject, tuple(idle), wait, said))
    return found


def many_patients(acts: Iterable[Act], limits: Limits) -> list[Odd]:
    """Somebody opened `patients` different patients, one by one, within `patients_minutes`."""
    window = timedelta(minutes=limits.patients_minutes)
    found = []
    for actor, theirs in by_actor(act for act in acts if act.looks and act.subject and act.basis != "self"):
        for run, most in runs(theirs, window, limits.patients, attrgetter("subject")):
            said = {"patients": most, "limit": limits.patients, "minutes": limits.patients_minutes}
            found.append(Odd(Kind.MANY_PATIENTS, str(actor), actor, None, run, window, said))
    return found


def same_surname(
    acts: Iterable[Act], limits: Limits, *, surnames: Mapping[UUID, str], common: Collection[str]
) -> list[Odd]:
    """Who looked and the patient have the same last name. `surnames` (of people and of patients) and `common` are
    folded alike. A common name asks no less; the question says that it is common."""
    found = []
    for (actor, subject), theirs in _by_pair(act for act in acts if _uninvited(act) or _relates(act)):
        name = surnames.get(actor, "")
        if name and name == surnames.get(subject):
            again, said = timedelta(days=limits.again_days), {"common": int(name in common)}
            found.append(Odd(Kind.SAME_SURNAME, f"{actor}/{subject}", actor, subject, tuple(theirs), again, said))
    return found


def colleague(acts: Iterable[Act], limits: Limits, *, workplaces: Mapping[UUID, Collection[UUID]]) -> list[Odd]:
    """The patient works for the same controller as who looked; `workplaces` has each patient's."""
    again = timedelta(days=limits.again_days)
    found = []
    for (actor, subject), theirs in _by_pair(act for act in acts if _uninvited(act) or _relates(act)):
        of_one_house = tuple(act for act in theirs if act.controller in workplaces.get(subject, ()))
        if of_one_house:
            found.append(Odd(Kind.COLLEAGUE, f"{actor}/{subject}", actor, subject, of_one_house, again))
    return found


def self_granted(acts: Iterable[Act], limits: Limits) -> list[Odd]:
    """Somebody opened the door for themself and looked within `own_door_hours`: they recorded the relation and then
    looked on it; or they opened the room, proposed themself or recorded a ground in law, and then looked in that room
    without the patient having answered in between. An answer that they wrote down themself is no answer of another."""
    within = timedelta(hours=limits.own_door_hours)
    known = list(acts)
    given = grouped((act for act in known if act.type in ANSWERS and not act.refused), lambda act: act.subject)
    answers = {patient: ByOthers(theirs) for patient, theirs in given.items()}
    found = []
    for (actor, subject), theirs in _by_pair(known):
        looks = grouped((act for act in theirs if act.looks), _seen_through)
        for door in (act for act in theirs if _own_door(act)):
            through = looks.get(_opens(door), [])
            seen = span(through, door.at, door.at + within, with_last=True)
            answer = answers[subject].first(door.at, but=actor) if subject in answers else None
            if answer is not None and door.type != RELATED:
                before = span(through, door.at, answer.at, with_last=False)
                seen = range(seen.start, min(seen.stop, before.stop))
            if seen:
                said = {"hours": limits.own_door_hours}
                case = f"{actor}/{subject}/{door.event}"
                found.append(Odd(Kind.SELF_GRANTED, case, actor, subject, (door, *some(through, seen)), None, said))
    return found


def emergency(acts: Iterable[Act], limits: Limits, *, reviews: Mapping[UUID, UUID]) -> list[Odd]:
    """Emergency access was used. `reviews` says which duty to review answers for which access; accesses that one
    review answers for are one case."""
    used = [act for act in acts if act.type == EMERGENCY and not act.refused and act.object is not None]
    by_case = grouped(used, lambda act: str(reviews.get(act.object or act.event, act.object)))
    return [
        Odd(Kind.EMERGENCY, case, one[0].actor, one[0].subject, tuple(sorted(one, key=moment)), None)
        for case, one in by_case.items()
    ]


def around_withdrawal(acts: Iterable[Act], limits: Limits) -> list[Odd]:
    """Shortly before a patient stopped sharing, somebody read `before_pages` pages of that timeline within
    `before_minutes`; or within `after_hours` after it they looked in that room by law or emergency, or were denied
    `after_tries` times. Seeing the patient's card by relation is none of it: somebody is to offer a call (M4)."""
    before, after = timedelta(minutes=limits.before_minutes), timedelta(hours=limits.after_hours)
    known = list(acts)
    ends = [act for act in known if act.type == WITHDRAWN and not act.refused and act.subject]
    places = {(end.subject, end.room) for end in ends}
    there = grouped((act for act in known if (act.subject, act.room) in places), lambda act: (act.subject, act.room))
    people = {place: [(actor, *_around(theirs)) for actor, theirs in by_actor(all_)] for place, all_ in there.items()}
    found = []
    for end in ends:
        for actor, pages, denials, by_law in people[end.subject, end.room]:
            if actor == end.actor:
                continue
            read = span(pages, end.at - before, end.at, with_last=False)
            tries = span(denials, end.at, end.at + after, with_last=True)
            looks = span(by_law, end.at, end.at + after, with_last=True)
            of_note = [
                *(some(pages, read) if len(read) >= limits.before_pages else ()),
                *(some(denials, tries) if len(tries) >= limits.after_tries else ()),
                *some(by_law, looks),
            ]
            if of_note:
                said = {
                    "pages": len(read),
                    "pages_limit": limits.before_pages,
                    "minutes": limits.before_minutes,
                    "tries": len(tries),
                    "tries_limit": limits.after_tries,
                    "looks": len(looks),
                    "hours": limits.after_hours,
                }
                case = f"{actor}/{end.event}"
                together = tuple(sorted([end, *of_note], key=moment))
                found.append(Odd(Kind.WITHDRAWAL, case, actor, end.subject, together, None, said))
    return found


def denied(acts: Iterable[Act], limits: Limits) -> list[Odd]:
    """Somebody was denied `denied` times within `denied_minutes`, whatever they asked for."""
    window = timedelta(minutes=limits.denied_minutes)
    found = []
    for actor, theirs in by_actor(act for act in acts if act.denied):
        for run, most in runs(theirs, window, limits.denied, attrgetter("event")):
            said = {"times": most, "limit": limits.denied, "minutes": limits.denied_minutes}
            about = {act.subject for act in run}
            subject = about.pop() if len(about) == 1 else None
            found.append(Odd(Kind.DENIED, str(actor), actor, subject, run, window, said))
    return found


def dormant(acts: Iterable[Act], limits: Limits, *, before: Mapping[UUID, datetime]) -> list[Odd]:
    """An account without any act for `dormant_days` looks at a patient. `before` is each person's last act known from
    before these; who never acted has no silence to end. `acts` are all of whoever is judged, whatever they did."""
    silence, waking = timedelta(days=limits.dormant_days), timedelta(hours=limits.waking_hours)
    found = []
    for actor, theirs in by_actor(act for act in acts if act.at_work):
        moments = sorted([*(act.at for act in theirs), *([before[actor]] if actor in before else [])])
        waking_up = tuple(act for act in theirs if act.looks and _slept(act.at, moments, silence, waking))
        if waking_up:
            said = {"days": limits.dormant_days}
            found.append(Odd(Kind.DORMANT, str(actor), actor, None, waking_up, silence, said))
    return found


def _slept(at: datetime, moments: Sequence[datetime], silence: timedelta, waking: timedelta) -> bool:
    earlier = bisect_left(moments, at - waking)
    return earlier > 0 and at - moments[earlier - 1] >= silence


def _uninvited(act: Act) -> bool:
    return act.looks and act.subject is not None and act.basis not in CHOSEN | REVIEWED


def _relates(act: Act) -> bool:
    return act.type == RELATED and not act.refused and act.at_work


def _pages(act: Act) -> bool:
    return act.type == "events.viewed" and act.looks


def _own_door(act: Act) -> bool:
    if act.refused or not act.at_work:
        return False
    return act.type == RELATED or (
        act.type in ROOM_DOORS and (act.type != "member.proposed" or act.object == act.actor)
    )


def _opens(door: Act) -> tuple[str, UUID | None]:
    return ("card", None) if door.type == RELATED else ("room", door.room)


def _seen_through(look: Act) -> tuple[str, UUID | None]:
    """What somebody opens who can look there. By a relation one sees of a room that it has been asked for, and nothing
    that is in it."""
    if look.basis == "relation":
        return "card" if look.room is None else "", look.room
    return "" if look.basis == "self" else "room", look.room


def _around(theirs: Sequence[Act]) -> tuple[list[Act], list[Act], list[Act]]:
    """What a withdrawal makes worth a question: pages that were read, denials, looks by law."""
    by_law = [act for act in theirs if act.looks and act.basis in ("statute", "emergency", "alert")]
    return [act for act in theirs if _pages(act)], [act for act in theirs if act.denied], by_law


def _by_pair(acts: Iterable[Act]) -> Iterator[tuple[tuple[UUID, UUID], list[Act]]]:
    for (actor, subject), theirs in grouped(acts, lambda act: (act.actor, act.subject)).items():
        if subject is not None:
            yield (actor, subject), sorted(theirs, key=moment)
