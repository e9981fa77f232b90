"""What a responder who lets time pass brings, case by case: calling begins anew, offers lapse, reminders go out."""

import pytest

from server.alerts import deeds
from server.alerts.decide import decide
from server.alerts.policy import (
    DAY_CONTACT,
    FINAL,
    TEAM,
)
from tests.alerts.wound import IDA, NIGHT, NILS, SARA, SECOND, STAFFED_PHONE, Wound, at_step
from tests.support.served import sqlite_only

pytestmark = sqlite_only

HOUR = 3600.0


def _accepted() -> Wound:
    wound = Wound()
    wound.press()
    wound.run(20)
    wound.accept(NILS, 0)
    return wound


def _in_contact(case, now):  # type: ignore[no-untyped-def]
    return deeds.in_contact(case, NILS.id, now, alone=False)


def _calling(case, now):  # type: ignore[no-untyped-def]
    return deeds.calling(case, NILS.id, now)


def _not_reached(case, now):  # type: ignore[no-untyped-def]
    return deeds.not_reached(case, NILS.id, now)


def test_after_acceptance_nobody_is_called() -> None:
    wound = _accepted()
    before = wound.called()
    wound.run(179)
    assert wound.called() == before


def test_accepted_without_a_call_for_three_minutes_begins_anew_from_step_0() -> None:
    wound = at_step(Wound(), 2)
    wound.accept(SARA, 0)
    at = (wound.now - NIGHT).total_seconds()
    wound.run(180)
    assert (wound.case.state, wound.case.generation, wound.case.step) == ("paging", 1, 0)
    assert wound.case.responder is None
    assert wound.told("resumed") == ["no_call"]
    assert wound.called(since=at + 1) == [(at + 180, SARA.id, "push"), (at + 180, NILS.id, "push")]


def test_whoever_had_it_is_called_too_but_not_waited_for() -> None:
    wound = at_step(Wound(), 2)
    wound.accept(SARA, 0)
    wound.roster = {DAY_CONTACT: (SARA,), FINAL: (STAFFED_PHONE,)}
    wound.run(179)
    before = len(wound.pages)
    wound.roster = {TEAM: (SARA,), FINAL: (STAFFED_PHONE,)}
    wound.run(1)
    assert wound.case.step == 2, "steps with nobody are over at once, though she is called in each"
    wound.run(181)
    called = [page.contact.id for _, page in wound.pages[before:] if page.step == 3]
    assert set(called) == {SARA.id, STAFFED_PHONE.id}


def test_calling_for_five_minutes_without_contact_begins_anew() -> None:
    wound = _accepted()
    wound.run(179)
    wound.do(_calling)
    wound.run(299)
    assert wound.case.responder == NILS.id
    wound.run(1)
    assert (wound.case.state, wound.case.generation) == ("paging", 1)
    assert wound.told("resumed") == ["no_contact"]


def test_the_patient_does_not_pick_up() -> None:
    wound = _accepted()
    wound.do(_calling)
    wound.do(_not_reached)
    assert wound.case.state == "not_reached"
    assert [(task.kind, task.due_at - wound.now) for task in wound.case.tasks] == [
        ("plan_contacts", 600 * SECOND),
        ("call_113", 1200 * SECOND),
    ]
    wound.run(500)
    wound.do(lambda case, now: deeds.task_done(case, NILS.id, "plan_contacts", now))
    wound.run(500)
    wound.do(lambda case, now: deeds.task_done(case, NILS.id, "call_113", now))
    wound.run(12 * HOUR)
    assert (wound.case.state, wound.case.responder) == ("not_reached", NILS.id), "it never closes by itself"
    assert len(wound.told("reminded")) == 12


@pytest.mark.parametrize(("done", "after"), [((), 600), (("plan_contacts",), 1200)])
def test_tasks_that_nobody_does_begin_it_anew(done: tuple[str, ...], after: int) -> None:
    wound = _accepted()
    wound.do(_not_reached)
    for kind in done:
        wound.do(lambda case, now, kind=kind: deeds.task_done(case, NILS.id, kind, now))
    wound.run(after - 1)
    assert wound.case.responder == NILS.id
    wound.run(1)
    assert (wound.told("resumed"), wound.case.state) == (["task_overdue"], "paging")


def test_who_accepts_with_tasks_overdue_has_time_to_call_first() -> None:
    wound = _accepted()
    wound.do(_not_reached)
    wound.run(700)
    wound.accept(IDA, 1)
    wound.run(179)
    wound.do(lambda case, now: deeds.calling(case, IDA.id, now))
    wound.run(299)
    assert wound.case.responder == IDA.id
    wound.do(lambda case, now: deeds.in_contact(case, IDA.id, now, alone=False))
    assert wound.case.tasks == ()


def test_in_contact_there_are_reminders_to_end_it() -> None:
    wound = _accepted()
    wound.do(_in_contact)
    before = len(wound.pages)
    wound.run(3 * HOUR)
    assert wound.case.state == "in_contact"
    assert [page.endpoint.channel for _, page in wound.pages[before:]] == ["push"] * 3
    assert wound.told("reminded") == ["in_contact"] * 3


def test_two_routers_remind_once() -> None:
    wound = _accepted()
    wound.do(_in_contact)
    wound.wind(HOUR)
    [one], [other] = wound.decided().pages, wound.decided(later=1.5).pages
    assert one.id == other.id


def test_without_a_way_to_the_responder_they_keep_it_all_the_same() -> None:
    wound = _accepted()
    wound.do(_in_contact)
    wound.roster = {}
    wound.run(2 * HOUR)
    assert (wound.case.state, wound.case.responder) == ("in_contact", NILS.id)


def test_an_offer_that_nobody_takes_lapses_and_the_giver_is_told() -> None:
    wound = _accepted()
    wound.do(_in_contact)
    wound.do(lambda case, now: deeds.hand_over(case, NILS.id, IDA.id, now))
    before = len(wound.pages)
    wound.run(599)
    assert (wound.case.state, wound.case.responder) == ("handover_offered", NILS.id)
    wound.run(1)
    assert (wound.case.state, wound.case.responder) == ("in_contact", NILS.id)
    assert [page.contact.id for _, page in wound.pages[before:]] == [NILS.id]
    wound.run(HOUR)
    assert wound.told("reminded") == ["in_contact"], "an hour later, not ten"


def test_an_offer_does_not_put_off_what_the_giver_owes() -> None:
    wound = _accepted()
    wound.run(100)
    wound.do(lambda case, now: deeds.hand_over(case, NILS.id, None, now))
    wound.run(79)
    assert wound.case.responder == NILS.id
    wound.run(1)
    assert (wound.case.state, wound.case.generation) == ("paging", 1)


def test_an_offer_lapses_in_time_whatever_the_giver_does_meanwhile() -> None:
    wound = _accepted()
    wound.do(_calling)
    wound.do(lambda case, now: deeds.hand_over(case, NILS.id, IDA.id, now))
    wound.run(100)
    wound.do(_in_contact)
    assert (wound.case.state, wound.case.offered_from) == ("handover_offered", "in_contact")
    wound.run(500)
    assert wound.case.state == "in_contact"


# --- the rest --------------------------------------------------------------------------------------------


def test_the_clock_goes_back_by_an_hour_while_nils_owes_a_call() -> None:
    wound = _accepted()
    wound.wind(-HOUR)
    assert wound.is_due
    wound.run(179)
    assert wound.case.responder == NILS.id
    wound.run(1)
    assert (wound.case.state, wound.case.generation) == ("paging", 1)


@pytest.mark.parametrize("seconds", [-HOUR, HOUR])
def test_the_clock_jumps_while_a_handover_is_offered(seconds: float) -> None:
    wound = _accepted()
    wound.do(_in_contact)
    wound.do(lambda case, now: deeds.hand_over(case, NILS.id, IDA.id, now))
    wound.wind(seconds)
    wound.run(600)
    assert (wound.case.state, wound.case.responder) == ("in_contact", NILS.id)


def test_the_clock_goes_back_while_a_talk_alone_is_owed() -> None:
    wound = _accepted()
    wound.do(deeds.cancel)
    wound.do(_in_contact)
    wound.wind(-2 * HOUR)
    wound.run(1799)
    assert wound.case.responder == NILS.id
    wound.run(1)
    assert (wound.case.state, wound.case.duty) == ("follow_up", "router")


def test_what_is_closed_is_left_alone() -> None:
    wound = _accepted()
    wound.do(_in_contact)
    wound.do(lambda case, now: deeds.close(case, NILS.id, "helped_by_phone", "none", now))
    for hours in (-5, 0, 5):
        decision = decide(wound.case, wound.log, wound.roster, wound.now + hours * HOUR * SECOND)
        assert (decision.case, decision.notes, decision.pages) == (wound.case, (), ())
