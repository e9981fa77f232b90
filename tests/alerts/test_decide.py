"""The night as it may go, case by case: what the router does next (law 6; M3). Deeds of people are in `test_deeds.py`.

Red when (each tried by hand, one at a time): a device's receipt puts off the telephone, or the router does not look
when it should ring; the telephone waits until a short step is over; a step with nobody waits, or one in which all
failed, or all declined; no round follows the last one, or one in silence; whom only e-mail reaches is waited for; a
page that failed, or that no device received, does not open the next channel, or the router does not look then; a call
that nobody took is not made again, or without end; a further number is called under the id of an earlier call; an id
is without its generation or step; a clock that went back is not noticed, or tasks are put off by it; calling does not
resume, or in the old generation, or without whoever had it, or waits for them; nobody looks when an offer lapses; a
reminder comes after ten hours, or twice.
"""

import itertools
from dataclasses import replace

import pytest

from server.alerts.decide import CALL_AGAIN_S, CALLS, ROUND_S, decide
from server.alerts.facts import Contact, Endpoint
from server.alerts.policy import (
    BUILT_IN,
    DAY_CONTACT,
    FINAL,
    ON_CALL_NEXT,
    ON_CALL_NOW,
    PERSON,
    TEAM,
    Policy,
    Step,
    Unusable,
    parse,
    stored,
)
from tests.alerts.wound import IDA, MONA, NIGHT, NILS, SARA, STAFFED_PHONE, Wound, at_step, person, roster, who
from tests.support.served import sqlite_only

pytestmark = sqlite_only

HOUR = 3600.0


# --- who is called when --------------------------------------------------------------------------------


def test_the_first_page_goes_at_once() -> None:
    wound = Wound()
    wound.press()
    assert wound.called() == [(0, NILS.id, "push")]
    assert (wound.case.state, wound.case.step) == ("paging", 0)


def test_the_sleeping_nurse_with_a_receiving_phone_is_rung_within_a_minute() -> None:
    wound = Wound()
    wound.press()
    wound.run(1)
    wound.receive(wound.last(NILS, "push"))
    wound.run(59)
    assert wound.called() == [(0, NILS.id, "push"), (60, NILS.id, "voice")]


@pytest.mark.parametrize("wait_s", [60, 61, 100, 119, 120, 1800])
def test_the_telephone_rings_before_a_short_step_is_over(wait_s: int) -> None:
    wound = Wound(policy=Policy((Step((ON_CALL_NOW,), wait_s=wait_s), Step((FINAL,)))))
    wound.press()
    wound.receive(wound.last(NILS, "push"))
    wound.run(wait_s - 1)
    rung = [at for at, _, channel in wound.called() if channel == "voice"]
    assert rung[0] == min(60, wait_s / 2)


def test_a_policy_may_ring_earlier_and_a_telephone_rings_whatever_a_step_says() -> None:
    wound = Wound(policy=Policy((Step((ON_CALL_NOW,), channels=("push",), voice_after_s=0),)))
    wound.press()
    assert wound.called() == [(0, NILS.id, "push"), (0, NILS.id, "voice")]


def test_without_a_receipt_the_next_channel_comes_after_thirty_seconds() -> None:
    wound = Wound()
    wound.press()
    wound.run(29)
    assert wound.called(since=1) == []
    wound.run(1)
    assert wound.called(since=1) == [(30, NILS.id, "sms")]
    wound.receive(wound.last(NILS, "sms"))
    wound.run(30)
    assert wound.called(since=31) == [(60, NILS.id, "voice")]


def test_with_a_receipt_there_is_no_short_message() -> None:
    wound = Wound()
    wound.press()
    wound.receive(wound.last(NILS, "push"))
    wound.run(170)
    assert {channel for _, _, channel in wound.called()} == {"push", "voice"}


@pytest.mark.parametrize("final", [True, False])
def test_a_dead_or_troubled_subscription_opens_the_next_channel_now(final: bool) -> None:
    """404 and 410 for good; 429 and 5xx while it is tried again in parallel."""
    wound = Wound()
    wound.press()
    wound.run(2)
    wound.fail(wound.last(NILS, "push"), "404" if final else "429", final=final)
    assert wound.called(since=1) == [(2, NILS.id, "sms")]
    wound.fail(wound.last(NILS, "sms"), "refused")
    assert wound.called(since=1) == [(2, NILS.id, "sms"), (2, NILS.id, "voice")]


def test_of_two_devices_one_that_works_is_enough_until_the_telephone_rings() -> None:
    two = Contact(NILS.id, (*NILS.endpoints, Endpoint("push", who("his tablet"))))
    wound = Wound(roster(on_call_now=[two]))
    wound.press()
    tablet, phone = [page for _, page in wound.pages]
    wound.fail(tablet, "410")
    wound.receive(phone)
    wound.run(59)
    assert [channel for _, _, channel in wound.called()] == ["push", "push"]
    wound.run(1)
    assert wound.called(since=1) == [(60, NILS.id, "voice")]


def test_the_steps_of_a_night_in_which_nobody_answers() -> None:
    wound = Wound()
    wound.press()
    wound.run(12 * 60)
    begun = [((at - NIGHT).total_seconds(), note.code) for at, note in wound.notes if note.type == "step"]
    assert begun == [(0, "paging"), (180, "paging"), (360, "paging"), (540, "paging"), (720, "exhausted")]
    assert wound.told("step_over") == ["time"] * 4
    assert {whom for at, whom, _ in wound.called() if 360 <= at < 540} == {NILS.id, IDA.id, MONA.id, SARA.id}
    assert {one[1:] for one in wound.called() if 540 <= one[0] < 720} == {(STAFFED_PHONE.id, "voice")}


def test_exhausted_goes_on_for_a_whole_night_and_is_never_silent() -> None:
    wound = at_step(Wound(), 4)
    assert wound.case.state == "exhausted"
    wound.run(7 * HOUR)
    times = [at for at, _, _ in wound.called(720)]
    assert max(b - a for a, b in itertools.pairwise(times)) <= 120
    rung = [at for at, whom, channel in wound.called(720) if (whom, channel) == (STAFFED_PHONE.id, "voice")]
    assert len(rung) >= 7 * 30 + 1
    assert wound.case.state == "exhausted"
    wound.accept(SARA, wound.case.generation)
    assert wound.case.responder == SARA.id


# --- steps with nobody -----------------------------------------------------------------------------------


def test_a_step_with_nobody_begins_the_next_one_at_once_and_says_why() -> None:
    wound = Wound(roster(on_call_now=[]))
    wound.press()
    assert (wound.case.step, wound.told("step_over")) == (1, ["nobody"])
    assert wound.called() == [(0, IDA.id, "push"), (0, MONA.id, "push")]


def test_whom_nothing_reaches_is_not_waited_for() -> None:
    wound = Wound(roster(on_call_now=[person("Nils")]))
    wound.press()
    assert (wound.case.step, wound.told("step_over")) == (1, ["nobody_reachable"])


def test_everyone_excluded_goes_to_the_final_target_at_once() -> None:
    wound = Wound({FINAL: (STAFFED_PHONE,)})
    wound.press()
    assert wound.case.policy.step(wound.case.step).targets == (FINAL,)
    assert wound.told("step_over") == ["nobody"] * 3
    assert wound.called() == [(0, STAFFED_PHONE.id, "voice")]


def test_with_nobody_at_all_the_rounds_go_on_and_find_whoever_comes() -> None:
    wound = Wound({})
    wound.press()
    assert (wound.case.state, wound.case.step) == ("exhausted", 4)
    wound.run(HOUR)
    assert wound.called() == []
    assert wound.told("step_over")[-1] == "nobody"
    wound.roster = roster()
    wound.run(ROUND_S)
    assert {whom for _, whom, _ in wound.called()} == {NILS.id, IDA.id, MONA.id, SARA.id, STAFFED_PHONE.id}


def test_a_team_of_one() -> None:
    wound = Wound(dict.fromkeys((ON_CALL_NOW, TEAM), (NILS,)))
    wound.press()
    wound.run(4 * 180)
    assert wound.called(since=540)[0] == (540, NILS.id, "push"), "no final target: round after round"
    assert {whom for _, whom, _ in wound.called()} == {NILS.id}
    assert wound.case.state == "exhausted"
    times = [at for at, _, _ in wound.called()]
    assert max(b - a for a, b in itertools.pairwise(times)) <= 120


def test_a_named_person_is_called_and_one_who_left_is_nobody() -> None:
    policy = Policy((Step((f"{PERSON}{who('Tor')}",)), Step((f"{PERSON}{SARA.id}",)), Step((FINAL,))))
    wound = Wound(roster(**{f"{PERSON}{SARA.id}": [SARA]}), policy=policy)
    wound.press()
    assert wound.called() == [(0, SARA.id, "push")]


def test_email_alone_wakes_nobody() -> None:
    with pytest.raises(Unusable, match="email_alone"):
        parse([{"targets": [FINAL], "channels": ["email"]}])
    wound = Wound(roster(on_call_now=[person("Nils", "email")]), policy=_with_email())
    wound.press()
    assert (wound.case.step, wound.told("step_over")) == (1, ["nobody_reachable"])


def test_nobody_waits_for_whom_only_email_reaches() -> None:
    wound = Wound(roster(on_call_now=[person("Nils", "email"), person("Ida", "push")]), policy=_with_email())
    wound.press()
    assert sorted(channel for _, _, channel in wound.called()) == ["email", "push"]
    wound.run(5)
    wound.fail(wound.last(person("Ida"), "push"))
    assert (wound.case.step, wound.told("step_over")) == (1, ["failed"])


def test_email_goes_beside_and_holds_nothing_up() -> None:
    wound = Wound(roster(on_call_now=[person("Nils", "push", "sms", "email")]), policy=_with_email())
    wound.press()
    wound.run(30)
    assert [(at, channel) for at, _, channel in wound.called()] == [(0, "push"), (0, "email"), (30, "sms")]


def _with_email() -> Policy:
    return Policy((Step((ON_CALL_NOW,), channels=("push", "sms", "voice", "email")), Step((FINAL,))))


# --- steps in which all goes wrong -----------------------------------------------------------------------


def test_all_failed_begins_the_next_step_at_once() -> None:
    wound = Wound(roster(on_call_now=[person("Nils", "push")]))
    wound.press()
    wound.run(3)
    wound.fail(wound.last(NILS, "push"), "410")
    assert (wound.case.step, wound.told("step_over")) == (1, ["failed"])
    assert {at for at, _, _ in wound.called(since=1)} == {3}


def test_all_declined_begins_the_next_step_at_once() -> None:
    wound = Wound(roster(on_call_now=[NILS, SARA]))
    wound.press()
    wound.run(10)
    wound.decline(wound.last(NILS, "push"))
    assert wound.case.step == 0
    wound.run(60)
    assert NILS.id not in {whom for _, whom, _ in wound.called(since=1)}, "who has said no is left in peace"
    wound.decline(wound.last(SARA, "voice"))
    assert (wound.case.step, wound.told("step_over")) == (1, ["declined"])


def test_who_declined_is_asked_again_in_the_next_step() -> None:
    wound = Wound(roster(on_call_next=[], day_contact=[]))
    wound.press()
    wound.decline(wound.last(NILS, "push"))
    assert wound.called() == [(0, NILS.id, "push")] * 2


def test_a_call_that_nobody_took_is_made_again() -> None:
    wound = Wound()
    wound.press()
    wound.run(60)
    for n in range(CALLS):
        assert [at for at, _, channel in wound.called() if channel == "voice"][n] == 60 + n * (CALL_AGAIN_S + 5)
        wound.run(5)
        wound.fail(wound.last(NILS, "voice"), "no_answer")
        wound.run(CALL_AGAIN_S)
    assert len([1 for _, _, channel in wound.called() if channel == "voice"]) == CALLS
    assert wound.case.step == 0, "the device may still be looked at"


def test_a_step_is_over_when_its_last_call_has_failed() -> None:
    wound = Wound(roster(on_call_now=[person("Nils", "voice")]))
    wound.press()
    for _ in range(CALLS):
        wound.fail(wound.last(NILS, "voice"), "no_answer")
        wound.run(CALL_AGAIN_S)
    assert wound.case.step == 1
    assert [at for at, whom, _ in wound.called() if whom == NILS.id] == [0, 20, 40, 40]
    assert wound.told("step_over") == ["failed"]


def test_a_second_number_that_comes_later_is_called_too_each_time_anew() -> None:
    """Mona writes down the number of Nils's other telephone while the first one rings in vain."""
    wound = Wound(roster(on_call_now=[person("Nils", "voice")]))
    wound.press()
    first = wound.last(NILS, "voice")
    two = Contact(NILS.id, (*person("Nils", "voice").endpoints, Endpoint("voice", to="+4799000002")))
    wound.roster = roster(on_call_now=[two])
    wound.fail(first, "no_answer")
    wound.run(CALL_AGAIN_S)
    assert [at for at, _, _ in wound.called()] == [0, 20, 20]


def test_a_round_of_everybody_lasts_a_while_even_when_all_of_it_fails() -> None:
    wound = Wound({FINAL: (person("Vakt", "push"),)})
    wound.press()
    for _ in range(3):
        wound.fail(wound.last(person("Vakt"), "push"))
    times = {at for at, _, _ in wound.called()}
    assert times == {0}
    wound.run(ROUND_S)
    assert {at for at, _, _ in wound.called()} == {0, ROUND_S}


def test_a_device_that_vanishes_leaves_the_telephone() -> None:
    wound = Wound()
    wound.press()
    wound.roster = roster(on_call_now=[person("Nils", "sms", "voice")])
    wound.run(30)
    assert wound.called(since=1) == [(30, NILS.id, "sms")]


def test_who_comes_on_call_in_the_middle_of_a_step_is_called() -> None:
    wound = Wound()
    wound.press()
    wound.run(29)
    wound.roster = roster(on_call_now=[SARA])
    wound.run(1)
    assert wound.called(since=1) == [(30, SARA.id, "push")]
    wound.run(30)
    assert (60, SARA.id, "voice") in wound.called()


# --- the clock -------------------------------------------------------------------------------------------


def test_a_late_router_goes_on_from_where_it_is() -> None:
    wound = Wound()
    wound.press()
    wound.wind(7 * HOUR)
    wound.tick()
    assert (wound.case.step, wound.case.step_at) == (1, wound.now)
    assert {whom for _, whom, _ in wound.called(since=1)} == {NILS.id, IDA.id, MONA.id}


def test_the_clock_goes_back_by_an_hour_while_people_are_called() -> None:
    wound = Wound()
    wound.press()
    wound.run(10)
    wound.wind(-HOUR)
    assert wound.is_due
    wound.tick()
    assert wound.told("clock_back") == [""]
    begun = len(wound.pages)
    wound.run(60)
    assert [page.endpoint.channel for _, page in wound.pages[begun:]] == ["voice"], "an hour later is never"
    wound.run(120)
    assert wound.case.step == 1


@pytest.mark.parametrize(
    "broken",
    [
        None,
        {},
        [],
        "ring Nils",
        [{}],
        [{"targets": ["nobody i know"]}],
        [{"targets": [TEAM]}],
        [{"targets": [FINAL]}] * 11,
    ],
)
def test_a_broken_policy_is_the_one_that_is_built_in(broken: object) -> None:
    assert stored(broken) == (BUILT_IN, False)


def test_events_of_other_steps_and_generations_say_nothing() -> None:
    wound = Wound()
    wound.press()
    wound.log += [
        replace(event, type="page_declined", generation=event.generation + g, step=event.step + s)
        for event in wound.log
        if event.type == "page"
        for g, s in ((1, 0), (0, 1), (0, -1))
    ]
    assert decide(wound.case, wound.log, wound.roster, wound.now).pages == ()
    assert decide(wound.case, wound.log, wound.roster, wound.now).case.step == 0


def test_the_policys_targets_are_called_together() -> None:
    policy = Policy((Step((ON_CALL_NOW, ON_CALL_NEXT, DAY_CONTACT, TEAM)),))
    wound = Wound(policy=policy)
    wound.press()
    assert wound.called() == [(0, one.id, "push") for one in (NILS, IDA, MONA, SARA)], "each once"
