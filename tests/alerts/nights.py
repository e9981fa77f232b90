"""Any night at all (issue 5, Proof): whatever people, devices, routers, rosters and clocks do, in any order.

The machine plays `decide` and `deeds` on a `Wound`, which checks after each commit what must always hold. Here is what
holds between commits: one responder, a loser told who; two routers at once do what one does; after quiet somebody is
being called, or has it and owes nothing.
"""

import itertools
from collections.abc import Callable
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from server.alerts import deeds
from server.alerts.decide import resumed
from server.alerts.deeds import Taken, Unfit
from server.alerts.facts import Case, Contact, Decision
from server.alerts.policy import BUILT_IN, CHANNELS, EVERYBODY, FINAL, TARGETS, Policy, Step, stored
from tests.alerts.wound import STAFFED_PHONE, Wound, nobody, person, who

NAMES = ("Nils", "Ida", "Mona", "Sara")
RESPONDER = "the responder"
FATES = ("page_received", "page_failed", "page_retried", "page_declined", "page_sent")
WAITS_S = (0.0, 0.4, 1.9, 9.0, 29.0, 31.0, 59.0, 61.0, 179.0, 181.0, 301.0, 601.0, 1801.0, 3601.0)
JUMPS_S = (-7200.0, -3600.0, -181.0, -29.0, -2.0, 2.0, 61.0, 3600.0, 90_000.0)
QUIET_S = 2400
"""Longer than anything that somebody may owe (`Limits`), and than an offer."""

names = st.sampled_from(NAMES)
doers = st.sampled_from((*NAMES, RESPONDER, RESPONDER, RESPONDER, RESPONDER))
waits = st.sampled_from(WAITS_S)
channels = st.sets(st.sampled_from(CHANNELS)).map(lambda some: tuple(one for one in CHANNELS if one in some))
targets = st.lists(st.sampled_from(TARGETS), min_size=1, max_size=3, unique=True)
steps = st.fixed_dictionaries(
    {"targets": targets},
    optional={
        "wait_s": st.sampled_from((60, 61, 100, 180, 300)),
        "channels": st.lists(st.sampled_from(CHANNELS), min_size=1, unique=True),
        "voice_after_s": st.sampled_from((0, 10, 60)),
    },
)
policies = st.lists(steps, max_size=3).map(lambda said: stored([*said, {"targets": [FINAL]}] if said else said)[0])
"""Without a step, it is a broken one, for which the one that is built in stands."""


class Night(RuleBasedStateMachine):
    """One alert after another, and a world that changes meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.reached_by: dict[str, tuple[str, ...]] = dict.fromkeys(NAMES, ("push", "sms", "voice"))
        self.targets: dict[str, list[str]] = {"on_call_now": ["Nils"], "on_call_next": ["Ida"], "team": list(NAMES)}
        self.excluded: set[str] = set()
        self.staffed = True
        self.policy: Policy = BUILT_IN
        self.jumps = 0

    @initialize(policy=policies)
    def evening(self, policy: Policy) -> None:
        self.policy = policy
        self.press()

    # --- the patient -----------------------------------------------------------------------------------

    def press(self) -> None:
        """A new alert: the policy of this moment is pinned."""
        before = getattr(self, "wound", None)
        self.wound = Wound(policy=self.policy)
        self.pinned = self.policy
        if before is not None:
            self.wound.restart(before.now)
        self._tell_roster()

    @rule()
    def press_again(self) -> None:
        if self.case.state == "closed":
            return self.press()
        generation, responder = self.case.generation, self.case.responder
        self._do(deeds.press_again)
        assert self.case.responder is None
        assert self.case.generation >= generation + (responder is not None)
        return None

    @rule()
    def cancel(self) -> None:
        closed, responder = self.case.state == "closed", self.case.responder
        self._do(deeds.cancel)
        assert closed == (self.case.state == "closed"), "a cancel may be forced"
        assert self.case.responder == responder

    # --- routers ---------------------------------------------------------------------------------------

    @rule()
    def look(self) -> None:
        """Early, late, or woken for nothing."""
        self.wound.tick()

    @rule(seconds=waits)
    def time_goes_by(self, seconds: float) -> None:
        self.wound.run(seconds)

    @rule(seconds=waits)
    def no_router(self, seconds: float) -> None:
        """All are down, or one dies between deciding and committing, which is the same: nothing was written."""
        self.wound.decided()
        self.wound.wind(seconds)

    @rule(later=st.sampled_from((0.0, 0.3, 1.9)), second=st.booleans())
    def two_routers(self, later: float, second: bool) -> None:
        """Both decide from the same row; one commits, and the other finds another version and decides again."""
        one, other = self.wound.decided(), self.wound.decided(later)
        if not later:
            assert one == other
        if (one.case.generation, one.case.step) == (other.case.generation, other.case.step):
            assert _ids(one) <= _ids(other), "the same page has the same id, whoever decides"
        if second:
            self.wound.wind(later)
        self.wound.write(other if second else one)
        self.wound.tick()

    # --- people and devices ------------------------------------------------------------------------------

    @rule(name=names, button=st.sampled_from((None, 0, 0, -1, 1)))
    def accept(self, name: str, button: int | None) -> None:
        """`button`: how much newer than the alert's generation that of the button is; None: without one."""
        before, whom = self.case, who(name)
        generation = None if button is None else before.generation + button
        offered = before.state == "handover_offered" and before.offered_to in (None, whom)
        refused = self._refused(deeds.accept, whom, generation)
        if isinstance(refused, Taken):
            assert refused.by == before.responder != whom
            assert not (offered and button in (None, 0))
        elif refused:
            assert before.state == "closed" or (before.responder is None and button not in (None, 0))
        else:
            assert self.case.responder == whom, "who is told that they have it, has it"
            assert before.responder in (None, whom) or offered
            assert before.responder == whom or button in (None, 0), "an old button does nothing"

    @rule(people=st.lists(names, min_size=2, max_size=3))
    def several_accept(self, people: list[str]) -> None:
        """At once, each with the button of the newest page."""
        for name in people:
            self.accept(name=name, button=0)

    @rule(name=names, alone=st.booleans())
    def answered_and_spoken(self, name: str, alone: bool) -> None:
        self.accept(name=name, button=None)
        self.in_contact(doer=name, alone=alone)

    @rule(doer=doers)
    def calling(self, doer: str) -> None:
        self._by(doer, deeds.calling)

    @rule(doer=doers, alone=st.booleans())
    def in_contact(self, doer: str, alone: bool) -> None:
        self._by(doer, lambda case, whom, now: deeds.in_contact(case, whom, now, alone=alone))

    @rule(doer=doers)
    def not_reached(self, doer: str) -> None:
        self._by(doer, deeds.not_reached)

    @rule(doer=doers, kind=st.sampled_from((deeds.PLAN_CONTACTS, deeds.CALL_113, deeds.SPEAK_ALONE)))
    def task_done(self, doer: str, kind: str) -> None:
        self._by(doer, deeds.task_done, kind)

    @rule(doer=doers, to=st.sampled_from((None, *NAMES)))
    def hand_over(self, doer: str, to: str | None) -> None:
        responder = self.case.responder
        self._by(doer, deeds.hand_over, None if to is None else who(to))
        assert self.case.responder == responder, "the giver stays responsible"

    @precondition(lambda self: self.case.duty == "responder")
    @rule()
    def responder_gone(self) -> None:
        """They have left the team, or the patient has excluded them (`router.replace_responder`)."""
        self._do(lambda case, now: resumed(case, "responder_gone", now))
        assert self.case.duty == "router"

    @rule()
    def shift_over(self) -> None:
        responder = self.case.responder
        self._do(deeds.hand_over, None, None)
        assert self.case.responder == responder

    @precondition(lambda self: self.case.contact_at or self.case.state in ("not_reached", "accepted"))
    @rule(doer=doers, outcome=st.sampled_from(("visited", "")))
    def close(self, doer: str, outcome: str) -> None:
        before = self.case
        self._by(doer, deeds.close, outcome, "none")
        if self.case.state == "closed" and before.state != "closed":
            assert not before.needs_talk_alone
            assert before.contact_at or "not_reached" in (before.state, before.offered_from)

    @rule(fate=st.sampled_from(FATES), back=st.integers(1, 6))
    def page_has(self, fate: str, back: int) -> None:
        """News of a page, perhaps of an earlier step, generation or alert."""
        if self.wound.pages and self.case.state != "closed":
            self.wound.tell(fate, self.wound.pages[-min(back, len(self.wound.pages))][1])

    # --- the world ---------------------------------------------------------------------------------------

    @rule(whose=st.sampled_from([one for one in TARGETS if one != FINAL]), people=st.lists(names, unique=True))
    def roster_changes(self, whose: str, people: list[str]) -> None:
        self.targets[whose] = people
        self._tell_roster()

    @rule(name=names, ways=channels)
    def reached_otherwise(self, name: str, ways: tuple[str, ...]) -> None:
        self.reached_by[name] = ways
        self._tell_roster()

    @rule(name=names)
    def excluded_or_not(self, name: str) -> None:
        self.excluded ^= {name}
        self._tell_roster()

    @rule()
    def staffed_or_not(self) -> None:
        self.staffed = not self.staffed
        self._tell_roster()

    @rule(policy=policies)
    def policy_changes(self, policy: Policy) -> None:
        """For the next alert."""
        self.policy = policy

    @rule(seconds=st.sampled_from(JUMPS_S))
    def clock_jumps(self, seconds: float) -> None:
        self.jumps += 1
        self.wound.wind(seconds + self.jumps * 0.00123)  # no two moments of a night are the same

    # --- quiet -------------------------------------------------------------------------------------------

    @rule(fate=st.sampled_from(("", "", "page_received", "page_failed", "page_declined")))
    def quiet(self, fate: str) -> None:
        """From now on people do nothing: then somebody is being called all the time, or has it and owes nothing."""
        wound = self.wound
        wound.tick()
        if self.case.duty == "responder":
            wound.run(QUIET_S)
        if self.case.duty == "responder":
            assert self.case.state in ("in_contact", "not_reached")
            assert self.case.tasks == ()
        if self.case.duty == "router" and not nobody(wound.roster):
            begun, made = wound.now, len(wound.pages)
            longest = max(one.wait_s for one in (EVERYBODY, *_from(self.case)))
            wound.run(2 * longest + 1, fate)
            times = [begun, *(at for at, _ in wound.pages[made:]), wound.now]
            gaps = [(b - a).total_seconds() for a, b in itertools.pairwise(times)]
            assert max(gaps) <= longest + 1, "silence"

    # --- always ------------------------------------------------------------------------------------------

    @invariant()
    def policy_is_pinned(self) -> None:
        if hasattr(self, "wound"):
            assert self.case.policy is self.pinned

    def teardown(self) -> None:
        if hasattr(self, "wound"):
            self.quiet("")

    # --- parts -------------------------------------------------------------------------------------------

    @property
    def case(self) -> Case:
        return self.wound.case

    def _do(self, deed: Callable[..., Decision], *args: object) -> None:
        """Commit a deed; that it does not fit is no fault."""
        assert not isinstance(self._refused(deed, *args), Taken)

    def _refused(self, deed: Callable[..., Decision], *args: object) -> Taken | Unfit | None:
        """Commit a deed; None, or why it was refused, and then nothing has changed."""
        before = self.case
        try:
            self.wound.commit(deed, *args)
        except (Taken, Unfit) as refused:
            assert self.case is before
            return refused
        return None

    def _by(self, doer: str, deed: Callable[..., Decision], *args: object) -> None:
        """A responder's deed: anybody else is told who has it, and nothing has changed."""
        before = self.case
        whom = before.responder or who("Nils") if doer == RESPONDER else who(doer)
        refused = self._refused(deed, whom, *args)
        assert isinstance(refused, Taken) == (before.state != "closed" and before.responder not in (None, whom))
        assert not isinstance(refused, Taken) or refused.by == before.responder

    def _tell_roster(self) -> None:
        known = {name: person(name, *self.reached_by[name]) for name in NAMES}
        roster: dict[str, tuple[Contact, ...]] = {
            target: tuple(known[name] for name in people if name not in self.excluded)
            for target, people in self.targets.items()
        }
        self.wound.roster = roster | {FINAL: (STAFFED_PHONE,) if self.staffed else ()}


def _ids(decision: Decision) -> set[UUID]:
    return {page.id for page in decision.pages}


def _from(case: Case) -> tuple[Step, ...]:
    """Steps of the policy that are still to come, and the present one."""
    return case.policy.steps[max(case.step, 0) :]
