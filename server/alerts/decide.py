"""What happens next to a call for help (law 6). Pure: no database, no clock; the same arguments, the same decision.

`decide` is asked whenever something is due or has happened. While it is the router's turn it goes through the steps of
the policy; when a responder lets a time pass, calling people resumes. What people do is in `deeds.py`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from server.alerts.facts import Case, Contact, Decision, Endpoint, Note, Page, Roster, Seen, after, page_id
from server.alerts.policy import CHANNELS, VOICE_S, Step

CALL_AGAIN_S = 20
"""Between a call that nobody took and the next one."""
CALLS = 3
"""So many calls in a row; then there is more time between them, and whoever takes none counts as lost."""
REPEAT_S = 60
"""Between later calls, and between messages to whoever has no telephone: however long a step is, nobody is called only
once."""
NO_WORD_S = 90
"""A call of which nobody has told the end is over by then."""
ROUND_S = 30
"""A round in which everybody is called lasts at least so long, even when all of it fails at once."""
REMINDED = ("push", "sms", "voice", "email")


def decide(case: Case, events: Iterable[Seen], roster: Roster, now: datetime) -> Decision:
    """What is to be done at `now`, and in `next_due` when to ask again; it is None only for what is closed.

    `events` are those of the present generation and step; others are passed over.
    """
    if case.state == "closed":
        return Decision(replace(case, due_at=None))
    steady = _steady(case, now)
    if case.responder is None:
        return steady.then(_route(steady.case, list(events), roster, now))
    lapsed = steady.then(_lapse(steady.case, roster, now))
    if lapsed.case.responder is not None:
        return lapsed
    return lapsed.then(_route(lapsed.case, (), roster, now))


def _steady(case: Case, now: datetime) -> Decision:
    """Once the clock has gone back: times that would come too late, or never, hold nothing up."""
    times = {
        "step_at": case.step_at,
        "accepted_at": case.accepted_at,
        "calling_at": case.calling_at,
        "offered_at": case.offered_at,
    }
    ahead: dict[str, Any] = {name: now for name, at in times.items() if at is not None and at > now}
    latest = after(now, max(2 * case.limits.task, case.limits.follow_up))
    if any(task.due_at > latest for task in case.tasks):
        ahead["tasks"] = tuple(replace(task, due_at=min(task.due_at, latest)) for task in case.tasks)
    return Decision(replace(case, **ahead), (Note("clock_back"),)) if ahead else Decision(case)


# --- the router's turn ---------------------------------------------------------------------------------


def _route(case: Case, events: Sequence[Seen], roster: Roster, now: datetime) -> Decision:
    """Go through the steps until one is under way. Ends: each pass is a further step, and the last resort is one."""
    done = Decision(case)
    if case.step < 0:
        done = done.then(_begin(done.case, 0, now))
    while True:
        case = done.case
        stage = _Stage(case, _of_step(events, case), roster, now)
        last_resort = case.policy.is_last_resort(case.step)
        over = stage.over(last_resort)
        if over:
            done = done.then(Decision(case, (Note("step_over", over, step=case.step),)))
            done = done.then(_begin(case, case.step + 1, now))
            continue
        pages = tuple(stage.pages())
        sent = tuple(Note("page", "", one.id, one.contact.id, one.endpoint.channel) for one in pages)
        due = max(stage.next_due(pages, last_resort), after(now, 0.5))
        return done.then(Decision(replace(case, due_at=due), sent, pages))


def _begin(case: Case, step: int, now: datetime) -> Decision:
    """Begin a step. What was cancelled from the phone keeps its own state, and people go on being called."""
    state = "exhausted" if case.policy.is_last_resort(step) else "paging"
    if case.needs_talk_alone:
        state = "follow_up"
    begun = replace(case, step=step, step_at=now, state=state, due_at=now)
    return Decision(begun, (Note("step", state, step=step),))


def _of_step(events: Iterable[Seen], case: Case) -> list[Seen]:
    return [one for one in events if (one.generation, one.step) == (case.generation, case.step)]


@dataclass(frozen=True)
class _Way:
    """One channel to one contact in this step: its pages, and what is known of them."""

    at: datetime
    newest: datetime
    pages: tuple[Seen, ...]
    received: bool
    failed: tuple[Seen, ...]
    """Failed for good."""
    troubled: int
    """Pages that failed, for good or for now."""

    @property
    def lost(self) -> bool:
        return len(self.failed) == len(self.pages)

    def gave_way(self, receipt_s: int, now: datetime) -> bool:
        """Whether the next channel's turn has come."""
        return self.troubled == len(self.pages) or (not self.received and after(self.at, receipt_s) <= now)


class _Stage:
    """One step, under way: who is called, over what, and what has come of it."""

    def __init__(self, case: Case, events: list[Seen], roster: Roster, now: datetime) -> None:
        self.case, self.now = case, now
        self.step: Step = case.policy.step(case.step)
        self.elapsed = (now - case.step_at).total_seconds()
        named = {one.id: one for target in self.step.targets for one in roster.get(target, ())}
        self.contacts = [one for one in named.values() if self._wakes(one)]
        """Those whose turn it is. Whom only e-mail reaches is told, but nobody waits for them."""
        self.nobody = "nobody" if not named else "nobody_reachable"
        before = {one.id: one for one in roster.get("responder", ()) if case.generation}
        self.called = [one for one in (before | named).values() if self._channels(one)]
        """They, and whoever had it before calling began anew; nobody waits for those either."""
        self._pages: dict[tuple[UUID | None, str], list[Seen]] = defaultdict(list)
        self._told: dict[UUID | None, list[Seen]] = defaultdict(list)
        self._said = {(one.type, one.contact) for one in events}
        for one in events:
            if one.type == "page":
                self._pages[one.contact, one.channel].append(one)
            elif one.page is not None:
                self._told[one.page].append(one)

    def over(self, last_resort: bool) -> str:
        """Why the step is over, as a code; empty while it is not."""
        if self.elapsed >= self.step.wait_s:
            return "time"
        if not self.contacts:
            return self.nobody if not last_resort or self.elapsed >= ROUND_S else ""
        if all(self._declined(one) or self._lost(one) for one in self.contacts):
            declined = all(self._declined(one) for one in self.contacts)
            return ("declined" if declined else "failed") if not last_resort or self.elapsed >= ROUND_S else ""
        return ""

    def pages(self) -> Iterator[Page]:
        """What is to be sent now and has not been."""
        for contact in self.called:
            if not self._declined(contact):
                yield from self._pages_to(contact)

    def next_due(self, sent: Iterable[Page], last_resort: bool) -> datetime:
        """When time alone may change something; what happens asks at once."""
        moments = [after(self.case.step_at, self.step.wait_s)]
        if last_resort:
            moments.append(after(self.case.step_at, ROUND_S))
        fresh = {(page.contact.id, page.endpoint.channel) for page in sent}
        for contact in self.called:
            if self._declined(contact):
                continue
            channels = self._channels(contact)
            if "voice" in channels:
                moments.append(self._rings_at())
            for channel in channels:
                way = self._way(contact, channel)
                if (contact.id, channel) in fresh:  # sent once more, too: it may have to be yet again
                    moments.append(after(self.now, NO_WORD_S if channel == "voice" else REPEAT_S))
                elif way is not None:
                    moments.append(self._again_at(contact, channel, way) or self.case.step_at)
                opened = way.at if way else self.now if (contact.id, channel) in fresh else None
                if opened is not None:
                    moments.append(after(opened, self.case.limits.receipt))
        return min(one for one in moments if one > self.now)

    # --- one contact -----------------------------------------------------------------------------------

    def _channels(self, contact: Contact) -> list[str]:
        """Those of the step that reach the contact, in their order; a telephone rings whatever the step says."""
        there = {one.channel for one in contact.endpoints}
        return [one for one in CHANNELS if one in there and (one in self.step.channels or one == "voice")]

    def _wakes(self, contact: Contact) -> bool:
        return any(channel != "email" for channel in self._channels(contact))

    def _pages_to(self, contact: Contact) -> Iterator[Page]:
        turn = True
        for channel in self._channels(contact):
            way = self._way(contact, channel)
            rings = channel == "voice" and self._rings_at() <= self.now
            if way is None and (turn or rings or channel == "email"):
                yield from self._page(contact, channel, "0")
            again = self._again_at(contact, channel, way) if way is not None else None
            if way is not None and again is not None and again <= self.now:
                yield from self._page(contact, channel, str(len(way.pages)))
            if channel != "email":
                turn = turn and way is not None and way.gave_way(self.case.limits.receipt, self.now)

    def _page(self, contact: Contact, channel: str, what: str) -> Iterator[Page]:
        case = self.case
        for endpoint in contact.endpoints:
            if endpoint.channel == channel:
                id_ = page_id(case, contact, endpoint, what)
                yield Page(id_, contact, endpoint, case.generation, case.step, self.step.wait_s)

    def _rings_at(self) -> datetime:
        """The latest moment for the telephone, whatever a device has received (M3). A short step is half over then, so
        that there is time to answer before the next one."""
        return after(self.case.step_at, min(self.step.voice_after_s, VOICE_S, self.step.wait_s / 2))

    def _again_at(self, contact: Contact, channel: str, way: _Way) -> datetime | None:
        """When it is tried once more: a call that nobody took; a message to whoever has no telephone. A duty telephone
        where somebody has been told is left in peace for the rest of the step."""
        if ("duty_phone_answered", contact.id) in self._said:
            return None
        if channel == "voice":
            few = _calls(contact, way) < CALLS
            ended = max((one.at for one in way.failed), default=way.newest)
            again = after(ended, CALL_AGAIN_S if few else REPEAT_S) if way.lost else after(way.newest, NO_WORD_S)
        elif channel == "email" or way.lost or any(one.channel == "voice" for one in contact.endpoints):
            return None
        else:
            again = after(way.newest, REPEAT_S)
        return again if again < after(self.case.step_at, self.step.wait_s) else None

    def _way(self, contact: Contact, channel: str) -> _Way | None:
        pages = self._pages.get((contact.id, channel))
        if not pages:
            return None
        told = [one for page in pages for one in self._told.get(page.page, ())]
        return _Way(
            min(one.at for one in pages),
            max(one.at for one in pages),
            tuple(pages),
            any(one.type == "page_received" for one in told),
            tuple({one.page: one for one in told if one.type == "page_failed"}.values()),
            len({one.page for one in told if one.type in ("page_failed", "page_retried")}),
        )

    def _declined(self, contact: Contact) -> bool:
        return ("page_declined", contact.id) in self._said

    def _lost(self, contact: Contact) -> bool:
        """Every way to the contact was tried, and failed for good; a telephone more than once."""
        ways = {one: self._way(contact, one) for one in self._channels(contact) if one != "email"}
        if any(way is None or not way.lost for way in ways.values()):
            return False
        voice = ways.get("voice")
        return voice is None or _calls(contact, voice) >= CALLS


def _calls(contact: Contact, way: _Way) -> int:
    """How often the contact has been called in this step."""
    return len(way.pages) // max(1, sum(one.channel == "voice" for one in contact.endpoints))


# --- the responder's turn ------------------------------------------------------------------------------


def _lapse(case: Case, roster: Roster, now: datetime) -> Decision:
    """What a responder's time that has passed brings; until then, nothing."""
    owed = owed_by(case, now)
    if case.state == "handover_offered":
        assert case.offered_at is not None
        lasts_until = after(case.offered_at, case.limits.offer)
        if owed.at > now and lasts_until > now:
            return Decision(replace(case, due_at=look_again(case, now)))
        back = replace(case, state=case.offered_from, offered_from="", offered_to=None, offered_at=None)
        if owed.at > now:
            note = Note("offer_lapsed", contact=case.responder)
            return _remind(replace(back, due_at=look_again(back, now)), note, roster, of=case.offered_at)
        return Decision(back, (Note("offer_lapsed", contact=case.responder),)).then(_lapse(back, roster, now))
    if owed.at <= now:
        return resumed(case, owed.code, now)
    due, next_due = case.due_at or now, look_again(case, now)
    if due > now:
        return Decision(replace(case, due_at=min(due, next_due)))
    note = Note("reminded", case.state, contact=case.responder)
    return _remind(replace(case, due_at=next_due), note, roster, of=due)


@dataclass(frozen=True, slots=True)
class Owed:
    """When calling people resumes unless the responder has done what is owed; far away when nothing is."""

    at: datetime
    code: str = ""


def owed_by(case: Case, now: datetime) -> Owed:
    """What the responder owes next. Having spoken, they owe the end of it, of which they are only reminded."""
    state = case.offered_from or case.state
    owed = [Owed(task.due_at, "task_overdue") for task in case.tasks]
    if state in ("accepted", "follow_up") and case.contact_at is None:
        if case.calling_at is not None:
            owed.append(Owed(after(case.calling_at, case.limits.contact), "no_contact"))
        elif case.accepted_at is not None:
            owed.append(Owed(after(case.accepted_at, case.limits.calling), "no_call"))
    return min(owed, key=lambda one: one.at, default=Owed(after(now, 10 * case.limits.remind)))


def look_again(case: Case, now: datetime) -> datetime:
    """When time alone changes something while somebody has it; at latest they are reminded then."""
    moments = [owed_by(case, now).at, after(now, case.limits.remind)]
    if case.offered_at is not None:
        moments.append(after(case.offered_at, case.limits.offer))
    return min(moments)


def resumed(case: Case, code: str, now: datetime) -> Decision:
    """Calling people begins anew: a new generation, in which older buttons do nothing (law 7); whoever had it too."""
    again = replace(
        case,
        state="follow_up" if case.needs_talk_alone else "paging",
        generation=case.generation + 1,
        step=-1,
        step_at=now,
        due_at=now,
        responder=None,
        offered_to=None,
        offered_from="",
        offered_at=None,
        accepted_at=None,
        calling_at=None,
        contact_at=None,
    )
    return Decision(again, (Note("resumed", code, contact=case.responder),))


def _remind(case: Case, note: Note, roster: Roster, *, of: datetime) -> Decision:
    """Tell the responder. `of`: the time that has passed; with it the reminder's id is the same whoever decides."""
    pages = tuple(
        Page(
            page_id(case, contact, endpoint, f"{note.type}/{of}"),
            contact,
            endpoint,
            case.generation,
            case.step,
            900,
        )
        for contact in roster.get("responder", ())
        for endpoint in _quiet(contact)
    )
    sent = tuple(Note("page", note.type, one.id, one.contact.id, one.endpoint.channel) for one in pages)
    return Decision(case, (note, *sent), pages)


def _quiet(contact: Contact) -> list[Endpoint]:
    """The first channel that reaches somebody who is awake."""
    for channel in REMINDED:
        found = [one for one in contact.endpoints if one.channel == channel]
        if found:
            return found
    return []
