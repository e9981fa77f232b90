"""One call for help, played without a database: a clock that is wound by hand, a log, a roster, and a router.

Whatever is decided is written as `store.save` writes it, and checked (`Wound.check`) against what must always hold; so
each case and each step of the property tests checks that too.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4, uuid5

from server.alerts import deeds
from server.alerts.decide import decide
from server.alerts.facts import Case, Contact, Decision, Endpoint, Limits, Note, Page, Roster, Seen
from server.alerts.policy import (
    BUILT_IN,
    DAY_CONTACT,
    EVERYBODY,
    FINAL,
    ON_CALL_NEXT,
    ON_CALL_NOW,
    TEAM,
    VOICE_S,
    Policy,
)

NIGHT = datetime(2026, 3, 17, 1, 10, 3, tzinfo=UTC)
TOWN = UUID("7c0b8f3e-4a52-5d4b-9a41-6f1f6b3a2c11")
BY_ROUTER = {"received", "paging", "exhausted", "follow_up"}
BY_RESPONDER = {"accepted", "in_contact", "not_reached", "handover_offered", "follow_up"}
SECOND = timedelta(seconds=1)
Deed = Callable[[Case, datetime], Decision]


def who(name: str) -> UUID:
    return uuid5(TOWN, name)


def person(name: str, *channels: str) -> Contact:
    """Somebody with one device, one telephone (both «sms» and «voice»), one mailbox: those that are named."""
    phone, box = uuid5(TOWN, f"{name}/phone"), uuid5(TOWN, f"{name}/email")
    ways = {"push": uuid5(TOWN, f"{name}/push"), "sms": phone, "voice": phone, "email": box}
    return Contact(who(name), tuple(Endpoint(one, ways[one]) for one in channels))


NILS, IDA, MONA, SARA = (person(name, "push", "sms", "voice") for name in ("Nils", "Ida", "Mona", "Sara"))
STAFFED_PHONE = Contact(who("the staffed telephone"), (Endpoint("voice", to="+4799000009"),), is_user=False)
FULL: Roster = {
    ON_CALL_NOW: (NILS,),
    ON_CALL_NEXT: (IDA,),
    DAY_CONTACT: (MONA,),
    TEAM: (NILS, IDA, MONA, SARA),
    FINAL: (STAFFED_PHONE,),
}


def roster(**targets: Iterable[Contact]) -> Roster:
    """`FULL` with these targets in place of its own."""
    return {**FULL, **{name: tuple(contacts) for name, contacts in targets.items()}}


def nobody(roster: Roster) -> bool:
    """Whether no telephone or device of anybody would make a sound."""
    everyone = (contact for target in EVERYBODY.targets for contact in roster.get(target, ()))
    return not any(one.channel != "email" for contact in everyone for one in contact.endpoints)


class Wound:
    """An alert, its log, and what the world is like. `now` moves only when it is wound."""

    def __init__(self, roster: Roster = FULL, *, policy: Policy = BUILT_IN, limits: Limits | None = None) -> None:
        self.now = NIGHT
        self.roster = dict(roster)
        self.log: list[Seen] = []
        self.notes: list[tuple[datetime, Note]] = []
        self.pages: list[tuple[datetime, Page]] = []
        self.version = 0
        self._sent: set[UUID] = set()
        self._had: UUID | None = None
        first = Case(uuid4(), "received", NIGHT, NIGHT, NIGHT, policy=policy, limits=limits or Limits())
        self.case = first

    def restart(self, now: datetime) -> None:
        """A night later: nobody has pressed yet."""
        self.now = now
        self.case = replace(self.case, due_at=now, step_at=now, raised_at=now)

    # --- the clock and the router ----------------------------------------------------------------------

    def wind(self, seconds: float) -> None:
        """Time goes by, and no router is there."""
        self.now += seconds * SECOND

    @property
    def is_due(self) -> bool:
        """What `router.tick` asks the database."""
        stamps = (self.case.step_at, self.case.accepted_at, self.case.calling_at, self.case.offered_at)
        late = self.case.due_at is not None and self.case.due_at <= self.now
        return self.case.state != "closed" and (late or any(one is not None and one > self.now for one in stamps))

    def tick(self) -> Decision:
        """A router looks, and what it decides is committed. Looking again at once finds nothing more to do."""
        decision = self.decided()
        self.write(decision)
        again = self.decided()
        assert (again.pages, again.notes) == ((), ()), "deciding twice did something twice"
        assert again.case == self.case
        assert self.case.due_at is None or self.case.due_at > self.now
        return decision

    def run(self, seconds: float, fate: str = "") -> None:
        """Time goes by, and a router looks whenever something is due. `fate`: what becomes of each page at once."""
        end = self.now + seconds * SECOND
        while True:
            made = len(self.pages)
            if self.is_due:
                self.tick()
            while fate and made < len(self.pages):
                self.tell(fate, self.pages[made][1])
                made += 1
            due = self.case.due_at
            if due is None or due > end:
                break
            assert due > self.now
            self.now = due
        self.now = end

    def decided(self, later: float = 0.0) -> Decision:
        """What a router would decide; nothing is written."""
        return decide(self.case, self._seen(), self._roster(), self.now + later * SECOND)

    def _roster(self) -> Roster:
        """With the responder, or whoever had it last, as `reach.roster_of` tells it."""
        known = {contact.id: contact for contacts in self.roster.values() for contact in contacts}
        return {**self.roster, "responder": (known[self._had],) if self._had in known else ()}

    def _seen(self) -> list[Seen]:
        here = (self.case.generation, self.case.step)
        newest = itertools.takewhile(lambda one: (one.generation, one.step) == here, reversed(self.log))
        return list(newest)[::-1]

    def write(self, decision: Decision) -> None:
        """Commit: the alert, its events and its pages together, or nothing (law 6)."""
        before, case = self.case, decision.case
        begun, ended = {task.kind for task in decision.begun}, {kind for kind, _ in decision.ended}
        owed = {task.kind for task in before.tasks}
        assert {task.kind for task in case.tasks} == (owed | begun) - ended
        assert not begun & owed
        assert ended <= owed, "what was never owed is not ended"
        for page in decision.pages:
            assert page.id not in self._sent, "a page with the id of another one is never sent"
            self._sent.add(page.id)
            assert (page.generation, page.step) == (case.generation, case.step)
            assert page.contact in self._may_be_called(case)
        self.case = case
        self.version += 1
        self.notes += [(self.now, note) for note in decision.notes]
        self.pages += [(self.now, page) for page in decision.pages]
        self._had = case.responder or self._had
        self.log += [self._event(note) for note in decision.notes]
        self.check()

    def _may_be_called(self, case: Case) -> list[Contact]:
        """Whoever has it, alone; while nobody has it, whose turn it is, and whoever had it before."""
        turn = [] if case.responder else [self.roster.get(one, ()) for one in case.policy.step(case.step).targets]
        return [] if case.state == "closed" else [*self._roster()["responder"], *itertools.chain(*turn)]

    def _event(self, note: Note) -> Seen:
        case = self.case
        step = case.step if note.step is None else note.step
        return Seen(note.type, self.now, case.generation, step, note.page, note.contact, note.channel, note.code)

    # --- what people and devices do ----------------------------------------------------------------------

    def press(self) -> Decision:
        """The patient's first press, and step 0 at once."""
        return self.tick()

    def do(self, deed: Callable[..., Decision], *args: object, **kwargs: object) -> Decision:
        """One of `deeds`, committed, and the router woken after it. What is refused is raised, and nothing changes."""
        decision = self.commit(deed, *args, **kwargs)
        self.tick()
        return decision

    def commit(self, deed: Callable[..., Decision], *args: object, **kwargs: object) -> Decision:
        """One of `deeds`, and no router looks yet."""
        decision = deed(self.case, *args, self.now, **kwargs)
        if decision.notes:
            self.write(decision)
        return decision

    def by(self, deed: Callable[..., Decision], contact: Contact, *args: object, **kwargs: object) -> Decision:
        """`do`, by a person."""
        return self.do(lambda case, now: deed(case, contact.id, *args, now, **kwargs))

    def press_again(self) -> Decision:
        return self.do(deeds.press_again)

    def accept(self, contact: Contact, generation: int | None = None) -> Decision:
        return self.do(deeds.accept, contact.id, generation)

    def tell(self, type_: str, page: Page, code: str = "") -> None:
        """What became of a page; written at the step that the alert is in by then, as `pages.Pages` does."""
        self.log.append(self._event(Note(type_, code, page.id, page.contact.id, page.endpoint.channel)))
        if type_ not in ("page_sent", "page_received") and self.case.state != "closed":
            self.tick()

    def receive(self, page: Page) -> None:
        self.tell("page_received", page)

    def decline(self, page: Page) -> None:
        self.tell("page_declined", page)

    def fail(self, page: Page, code: str = "gone", *, final: bool = True) -> None:
        self.tell("page_failed" if final else "page_retried", page, code)

    # --- what is asked afterwards ------------------------------------------------------------------------

    def called(self, since: float = 0.0) -> list[tuple[float, UUID, str]]:
        """Who was called, and how: seconds after the first press, contact, channel."""
        told = [((at - NIGHT).total_seconds(), page.contact.id, page.endpoint.channel) for at, page in self.pages]
        return [one for one in told if one[0] >= since]

    def last(self, contact: Contact, channel: str) -> Page:
        return [page for _, page in self.pages if (page.contact.id, page.endpoint.channel) == (contact.id, channel)][-1]

    def told(self, type_: str) -> list[str]:
        """The codes of the events of this type."""
        return [note.code for _, note in self.notes if note.type == type_]

    # --- what must always hold ---------------------------------------------------------------------------

    def check(self) -> None:
        check(self.case, self.now)
        if self.case.duty == "router" and self.case.step >= 0:
            self._check_rings()

    def _check_rings(self) -> None:
        """The sleeping nurse: at latest 60 s into a step the telephones of all whose turn it is have rung (M3)."""
        case, step = self.case, self.case.policy.step(self.case.step)
        latest = case.step_at + min(VOICE_S, step.voice_after_s, step.wait_s / 2) * SECOND
        log = self._seen()
        rung = {one.contact for one in log if one.channel == "voice" or one.type == "page_declined"}
        turn = {contact.id: contact for target in step.targets for contact in self.roster.get(target, ())}
        asleep = {id_ for id_, one in turn.items() if any(way.channel == "voice" for way in one.endpoints)} - rung
        if asleep and self.now < latest:
            assert case.due_at is not None
            assert case.due_at <= max(latest, self.now + 0.5 * SECOND), "the router looks too late"
        elif asleep:
            then = self.decided()
            if (then.case.generation, then.case.step) == (case.generation, case.step):  # else it is over
                asleep -= {page.contact.id for page in then.pages if page.endpoint.channel == "voice"}
                assert not asleep, "somebody sleeps beside a telephone that does not ring"


def check(case: Case, now: datetime) -> None:
    """What the constraints of `models.Alert` say, and what its due time must be (law 6)."""
    closed = case.state == "closed"
    assert closed == (case.due_at is None) == (case.closed_at is not None) == (case.duty == "")
    if not closed:
        assert case.state in (BY_ROUTER if case.duty == "router" else BY_RESPONDER)
        assert (case.duty == "router") == (case.responder is None)
    if case.state == "handover_offered":
        assert case.offered_from in BY_RESPONDER - {"handover_offered"}
        assert case.offered_at is not None
    else:
        assert (case.offered_from, case.offered_at, case.offered_to) == ("", None, None)
    assert len({task.kind for task in case.tasks}) == len(case.tasks)
    if case.due_at is not None:
        longest = max(case.limits.remind, EVERYBODY.wait_s, *(step.wait_s for step in case.policy.steps))
        assert case.due_at <= now + longest * SECOND, "nobody looks for too long"
    if case.needs_talk_alone and case.responder is not None and not closed:
        assert deeds.SPEAK_ALONE in {task.kind for task in case.tasks}
    if not case.needs_talk_alone:
        assert deeds.SPEAK_ALONE not in {task.kind for task in case.tasks}


def at_step(wound: Wound, step: int) -> Wound:
    """Nobody answers until this step."""
    wound.press()
    while wound.case.step < step:
        wound.run(1)
    return wound
