"""What the patient is told: no more than was confirmed, and nobody's name before they have accepted (M3)."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from server.alerts.view import TOLD, Happened, Line, lines
from tests.support.served import sqlite_only

pytestmark = sqlite_only

T0 = datetime(2026, 11, 22, 1, 10, 3, tzinfo=UTC)
NILS, IDA = UUID(int=1), UUID(int=2)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def codes(events: list[Happened], *, responder: UUID | None, generation: int = 0, after: float = 60) -> list[str]:
    return [one.code for one in lines(events, responder, generation, at(after))]


RAISED = Happened("raised", T0, 0)


def test_step_by_step() -> None:
    told = [RAISED]
    assert codes(told, responder=None) == ["registered"]
    told.append(Happened("page_received", at(5), 0))
    assert codes(told, responder=None) == ["registered", "device_received"]
    told.append(Happened("accepted", at(30), 0, NILS))
    assert lines(told, NILS, 0, at(40)) == [Line("registered", T0), Line("answered", at(30), NILS)]
    told.append(Happened("calling", at(60), 0, NILS))
    told.append(Happened("in_contact", at(90), 0, NILS))
    assert codes(told, responder=NILS) == ["registered", "answered", "calling", "in_contact"]
    told.append(Happened("closed", at(900), 0, NILS))
    assert codes(told, responder=NILS, after=2000)[-1] == "closed"


def test_ten_minutes_without_an_answer() -> None:
    assert codes([RAISED], responder=None, after=599) == ["registered"]
    assert codes([RAISED], responder=None, after=600) == ["registered", "nobody_yet"]


def test_who_accepted_and_did_not_call_is_named_no_longer() -> None:
    """Red when the ten minutes begin anew with each who does not call."""
    told = [RAISED, Happened("accepted", at(540), 0, NILS), Happened("resumed", at(720), 1, NILS)]
    assert codes(told[:2], responder=NILS, after=700)[-1] == "answered", "somebody has it"
    assert codes(told, responder=None, generation=1, after=721) == ["registered", "calling_others", "nobody_now"]


def test_a_receipt_of_an_older_round_is_not_told_again() -> None:
    told = [RAISED, Happened("page_received", at(5), 0), Happened("resumed", at(200), 1, NILS)]
    assert codes(told, responder=None, generation=1, after=201) == ["registered", "calling_others"]


happened = st.builds(
    Happened,
    st.sampled_from([*TOLD[1:], "page_received"]),
    st.integers(1, 3000).map(at),
    st.integers(0, 2),
    st.sampled_from([NILS, IDA, None]),
)


@given(st.lists(happened, max_size=12), st.sampled_from([None, NILS, IDA]), st.integers(0, 2), st.integers(0, 4000))
def test_never_more_than_happened(
    events: list[Happened], responder: UUID | None, generation: int, seconds: int
) -> None:
    """Whatever has happened, in whatever order: the first line is that it is registered, each line has its event, and
    a name stands only where somebody of that name has accepted. Red when a line outlives what it rests on."""
    told = lines([RAISED, *events], responder, generation, at(seconds))
    assert told[0] == Line("registered", T0)
    there = {one.type for one in events}
    accepted = {one.who for one in events if one.type in ("accepted", "handed_over")}
    rests_on = {
        "answered": {"accepted", "handed_over"},
        "calling_others": {"resumed"},
        "device_received": {"page_received"},
        "duty_phone_told": {"duty_phone_answered"},
        "nobody_now": {"resumed"},
    }
    for line in told[1:]:
        if line.code != "nobody_yet":
            assert rests_on.get(line.code, {line.code}) & there, line
        if line.code == "answered":
            assert line.who in accepted
        if line.code in ("nobody_yet", "nobody_now"):
            assert responder is None
            assert seconds >= 600
