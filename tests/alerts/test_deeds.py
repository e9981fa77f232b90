"""What people may do to a call for help, in each state that it can be in (laws 6 and 7; M3).

Red when (each tried by hand, one at a time): a second one accepts; the loser is not told who has it; an old button
accepts, or takes over what is offered; anybody takes over what is offered to one; the giver loses it by offering; the
giver's deed leaves half an offer behind; a second press does not begin anew, does not hurry, or leaves the talk alone
owed; a cancel closes it; whoever has it need not call again after a cancel; contact that was not alone ends what was
cancelled; it is closed without contact, with 113 owed, or without the talk alone; it is offered, or pressed again, once
closed; a second attempt puts tasks off; somebody else does what the responder does.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from server.alerts import deeds
from server.alerts.deeds import CALL_113, PLAN_CONTACTS, SPEAK_ALONE, Taken, Unfit
from tests.alerts.moments import (
    accepted,
    calling,
    cancelled,
    closed,
    exhausted,
    following_up,
    in_contact,
    not_reached,
    offered,
    paging,
    received,
    then,
)
from tests.alerts.wound import IDA, MONA, NILS, SECOND, Wound
from tests.support.served import sqlite_only

pytestmark = sqlite_only

Begin = Callable[[], Wound]
CALLED: list[Begin] = [received, paging, exhausted, cancelled]
HAD: list[Begin] = [accepted, calling, in_contact, not_reached, offered, following_up]


# --- the patient presses again ---------------------------------------------------------------------------


def test_a_second_press_before_anybody_was_called_adds_nothing() -> None:
    wound = received()
    wound.press_again()
    assert (wound.case.step, wound.case.generation, len(wound.pages)) == (0, 0, 1)


def test_a_second_press_while_people_are_called_begins_the_next_step() -> None:
    wound = paging()
    wound.press_again()
    assert (wound.case.state, wound.case.step, wound.case.generation) == ("paging", 2, 0)


def test_a_second_press_in_a_round_of_everybody_begins_the_next_round_but_not_at_once() -> None:
    wound = exhausted()
    begun = wound.case.step_at
    wound.wind(deeds.HURRY_S - (wound.now - begun).total_seconds() - 1)
    wound.press_again()
    assert wound.case.step == 4
    wound.wind(1)
    wound.press_again()
    assert (wound.case.step, wound.case.state) == (5, "exhausted")


@pytest.mark.parametrize("begin", [*HAD, cancelled])
def test_a_second_press_once_somebody_has_it_begins_anew_with_whoever_had_it(begin: Begin) -> None:
    wound = begin()
    before = len(wound.pages)
    had = wound.case.responder
    wound.press_again()
    assert (wound.case.state, wound.case.generation, wound.case.step) == ("paging", 1, 0)
    assert (wound.case.responder, wound.case.cancelled_at, wound.case.offered_at) == (None, None, None)
    assert SPEAK_ALONE not in {task.kind for task in wound.case.tasks}
    assert NILS.id in {page.contact.id for _, page in wound.pages[before:]}
    assert had in (None, NILS.id)
    with pytest.raises(Unfit, match="old_page"):
        wound.accept(IDA, 0)
    wound.accept(IDA, 1)
    assert wound.case.responder == IDA.id


def test_whoever_had_it_is_called_though_their_turn_is_over() -> None:
    wound = paging()
    wound.accept(MONA, 0)
    before = len(wound.pages)
    wound.press_again()
    assert {page.contact.id for _, page in wound.pages[before:]} == {NILS.id, MONA.id}


def test_what_is_closed_is_not_pressed_again_but_raised_anew() -> None:
    with pytest.raises(Unfit, match="alert_closed"):
        closed().press_again()


# --- the patient cancels ---------------------------------------------------------------------------------


@pytest.mark.parametrize("begin", CALLED[:3])
def test_a_cancel_stops_nobody_from_being_called(begin: Begin) -> None:
    wound = begin()
    wound.do(deeds.cancel)
    assert (wound.case.state, wound.case.duty) == ("follow_up", "router")
    step = wound.case.step
    before = len(wound.pages)
    wound.run(181)
    assert len(wound.pages) > before
    assert wound.case.step > step
    assert wound.case.state == "follow_up"


@pytest.mark.parametrize("begin", CALLED[:3])
def test_who_accepts_what_was_cancelled_owes_a_talk_alone(begin: Begin) -> None:
    wound = begin()
    wound.do(deeds.cancel)
    wound.accept(NILS, 0)
    assert (wound.case.state, wound.case.duty) == ("follow_up", "responder")
    assert [(task.kind, task.due_at - wound.now) for task in wound.case.tasks] == [(SPEAK_ALONE, 1800 * SECOND)]
    wound.run(180)
    assert (wound.case.state, wound.case.duty, wound.told("resumed")) == ("follow_up", "router", ["no_call"])


@pytest.mark.parametrize("begin", HAD[:5])
def test_a_cancel_once_somebody_has_it_is_theirs_to_find_out_about(begin: Begin) -> None:
    wound = begin()
    wound.run(100)
    spoke = wound.case.contact_at is not None
    wound.do(deeds.cancel)
    assert (wound.case.state, wound.case.responder) == ("follow_up", NILS.id)
    assert SPEAK_ALONE in {task.kind for task in wound.case.tasks}
    wound.run(179)
    assert wound.case.responder == NILS.id
    wound.run(1)
    assert (wound.case.responder == NILS.id) == spoke, "who had not spoken with her calls, and now"


def test_contact_that_is_not_alone_does_not_end_what_was_cancelled() -> None:
    wound = following_up()
    wound.by(deeds.calling, NILS)
    assert wound.case.state == "follow_up"
    wound.by(deeds.in_contact, NILS, alone=False)
    assert wound.case.state == "follow_up"
    with pytest.raises(Unfit, match="speak_alone_first"):
        wound.by(deeds.close, NILS, "accident", "none")
    with pytest.raises(Unfit, match="tell_in_contact"):
        wound.by(deeds.task_done, NILS, SPEAK_ALONE)
    wound.by(deeds.in_contact, NILS, alone=True)
    assert (wound.case.state, wound.case.tasks) == ("in_contact", ())
    wound.by(deeds.close, NILS, "accident", "none")
    assert wound.case.state == "closed"


def test_a_talk_alone_that_is_never_had_begins_it_anew() -> None:
    wound = following_up()
    wound.by(deeds.in_contact, NILS, alone=False)
    wound.run(1799)
    assert wound.case.duty == "responder"
    wound.run(1)
    assert (wound.case.state, wound.case.duty, wound.told("resumed")) == ("follow_up", "router", ["task_overdue"])


def test_what_was_cancelled_and_not_reached_is_a_follow_up_when_called_again() -> None:
    wound = following_up()
    wound.by(deeds.not_reached, NILS)
    wound.by(deeds.calling, NILS)
    assert wound.case.state == "follow_up"


@pytest.mark.parametrize("begin", [cancelled, following_up, closed])
def test_a_cancel_that_changes_nothing(begin: Begin) -> None:
    wound = begin()
    before = wound.case
    assert wound.do(deeds.cancel).notes == ()
    assert wound.case == before


# --- accepting -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begin", CALLED)
@pytest.mark.parametrize("generation", [0, None])
def test_one_accepts_and_the_others_are_told_who(begin: Begin, generation: int | None) -> None:
    wound = begin()
    wound.accept(IDA, generation)
    assert (wound.case.responder, wound.case.accepted_at) == (IDA.id, wound.now)
    with pytest.raises(Taken) as taken:
        wound.accept(NILS, generation)
    assert taken.value.by == IDA.id
    assert wound.do(deeds.accept, IDA.id, generation).notes == (), "who has it, has it"


@pytest.mark.parametrize("begin", [one for one in HAD if one is not offered])
@pytest.mark.parametrize("generation", [0, 7, None])
def test_nobody_takes_what_somebody_has(begin: Begin, generation: int | None) -> None:
    wound = begin()
    with pytest.raises(Taken) as taken:
        wound.accept(IDA, generation)
    assert taken.value.by == NILS.id
    assert wound.case.responder == NILS.id


def test_what_is_closed_is_not_accepted() -> None:
    with pytest.raises(Unfit, match="alert_closed"):
        closed().accept(IDA)


# --- handing over ----------------------------------------------------------------------------------------


def test_the_giver_stays_responsible_until_the_receiver_accepts() -> None:
    wound = then(in_contact(), lambda one: one.by(deeds.hand_over, NILS, IDA.id))
    assert (wound.case.state, wound.case.responder) == ("handover_offered", NILS.id)
    with pytest.raises(Taken) as taken:
        wound.accept(MONA)
    assert taken.value.by == NILS.id
    wound.accept(NILS)
    assert wound.case.state == "handover_offered", "the giver has nothing to accept"
    wound.accept(IDA)
    assert (wound.case.state, wound.case.responder, wound.case.offered_to) == ("in_contact", IDA.id, None)
    with pytest.raises(Taken) as taken:
        wound.by(deeds.close, NILS, "handed_on", "none")
    assert taken.value.by == IDA.id


def test_an_old_button_does_not_take_over() -> None:
    wound = accepted()
    wound.press_again()
    wound.accept(NILS, 1)
    wound.by(deeds.hand_over, NILS, None)
    with pytest.raises(Taken):
        wound.accept(IDA, 0)
    wound.accept(IDA, 1)
    assert wound.case.responder == IDA.id


def test_who_takes_over_before_the_call_has_three_minutes_for_it() -> None:
    wound = offered()
    wound.run(170)
    wound.accept(IDA)
    wound.run(179)
    assert (wound.case.state, wound.case.responder) == ("accepted", IDA.id)
    wound.run(1)
    assert wound.told("resumed") == ["no_call"]


@pytest.mark.parametrize(
    ("deed", "then"),
    [("calling", "accepted"), ("in_contact", "in_contact"), ("not_reached", "not_reached")],
)
def test_what_the_giver_does_meanwhile_is_what_the_receiver_takes_over(deed: str, then: str) -> None:
    wound = offered()
    wound.by(getattr(deeds, deed), NILS, **({"alone": False} if deed == "in_contact" else {}))
    assert (wound.case.state, wound.case.offered_from) == ("handover_offered", then)
    wound.accept(IDA)
    assert (wound.case.state, wound.case.responder) == (then, IDA.id)


def test_it_may_be_offered_to_somebody_else_instead_and_to_the_team_at_the_end_of_a_shift() -> None:
    wound = offered()
    wound.by(deeds.hand_over, NILS, MONA.id)
    assert (wound.case.offered_to, wound.case.offered_from) == (MONA.id, "accepted")
    assert wound.do(deeds.hand_over, None, None).notes == (), "what is offered already stays as it is"
    other = in_contact()
    other.do(deeds.hand_over, None, None)
    assert other.told("handover_offered") == ["shift_over"]
    other.accept(MONA)
    assert other.case.responder == MONA.id


@dataclass
class Refused:
    begin: Begin
    giver: bool
    code: str


@pytest.mark.parametrize(
    "refused",
    [
        Refused(paging, True, "accept_first"),
        Refused(paging, False, "nobody_to_hand_over"),
        Refused(closed, True, "alert_closed"),
        Refused(closed, False, "alert_closed"),
    ],
    ids=lambda one: f"{one.begin.__name__} {one.giver}",
)
def test_what_nobody_has_is_not_handed_over(refused: Refused) -> None:
    with pytest.raises(Unfit, match=refused.code):
        refused.begin().do(deeds.hand_over, NILS.id if refused.giver else None, IDA.id)


def test_nobody_offers_it_to_themselves() -> None:
    with pytest.raises(Unfit, match="nobody_to_hand_over"):
        accepted().by(deeds.hand_over, NILS, NILS.id)


# --- the responder's other deeds -------------------------------------------------------------------------


def _deeds_of(contact_id: object) -> list[Callable[[Wound], object]]:
    return [
        lambda wound: wound.do(deeds.calling, contact_id),
        lambda wound: wound.do(deeds.in_contact, contact_id, alone=True),
        lambda wound: wound.do(deeds.not_reached, contact_id),
        lambda wound: wound.do(deeds.task_done, contact_id, CALL_113),
        lambda wound: wound.do(deeds.hand_over, contact_id, MONA.id),
        lambda wound: wound.do(deeds.close, contact_id, "visited", "none"),
    ]


@pytest.mark.parametrize("deed", range(6))
def test_only_the_responder_does_what_the_responder_does(deed: int) -> None:
    for begin in HAD:
        wound = begin()
        with pytest.raises(Taken) as taken:
            _deeds_of(IDA.id)[deed](wound)
        assert taken.value.by == NILS.id
    for begin in CALLED:
        with pytest.raises(Unfit, match="accept_first"):
            _deeds_of(NILS.id)[deed](begin())
    with pytest.raises(Unfit, match="alert_closed"):
        _deeds_of(NILS.id)[deed](closed())


def test_not_reached_twice_begins_each_task_once() -> None:
    wound = not_reached()
    due = {task.kind: task.due_at for task in wound.case.tasks}
    wound.run(100)
    wound.by(deeds.calling, NILS)
    assert wound.case.state == "accepted"
    wound.by(deeds.not_reached, NILS)
    assert {task.kind: task.due_at for task in wound.case.tasks} == due, "a new attempt puts nothing off"


def test_after_contact_nobody_says_that_she_was_not_reached() -> None:
    with pytest.raises(Unfit, match="already_in_contact"):
        in_contact().by(deeds.not_reached, NILS)


def test_contact_after_all_ends_what_was_next() -> None:
    wound = not_reached()
    wound.by(deeds.in_contact, NILS, alone=False)
    assert (wound.case.state, wound.case.tasks) == ("in_contact", ())


def test_what_is_not_owed_is_not_done() -> None:
    with pytest.raises(Unfit, match="no_such_task"):
        accepted().by(deeds.task_done, NILS, PLAN_CONTACTS)


@pytest.mark.parametrize(
    ("begin", "outcome", "children", "code"),
    [
        (accepted, "accident", "none", "contact_first"),
        (calling, "accident", "none", "contact_first"),
        (offered, "accident", "none", "contact_first"),
        (not_reached, "emergency_113", "unknown", "contact_first"),
        (following_up, "accident", "none", "speak_alone_first"),
        (in_contact, "", "none", "outcome"),
        (in_contact, "she was fine", "none", "outcome"),
        (in_contact, "visited", "", "outcome"),
        (in_contact, "visited", "two", "outcome"),
    ],
)
def test_close_is_refused(begin: Begin, outcome: str, children: str, code: str) -> None:
    wound = begin()
    before = wound.case
    with pytest.raises(Unfit, match=code):
        wound.by(deeds.close, NILS, outcome, children)
    assert wound.case == before


def test_who_was_not_reached_is_closed_once_113_was_called() -> None:
    wound = not_reached()
    wound.by(deeds.task_done, NILS, CALL_113)
    wound.by(deeds.close, NILS, "emergency_113", "unknown")
    assert (wound.case.state, wound.case.due_at, wound.case.tasks) == ("closed", None, ())


def test_an_offer_ends_with_the_alert() -> None:
    wound = then(in_contact(), lambda one: one.by(deeds.hand_over, NILS, IDA.id))
    wound.by(deeds.close, NILS, "visited", "present")
    assert (wound.case.state, wound.case.outcome, wound.case.children) == ("closed", "visited", "present")
