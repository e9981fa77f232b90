"""However long a step of the policy is, nobody is called only once (law 6)."""

import itertools

from server.alerts.policy import FINAL, ON_CALL_NOW, Policy, Step
from tests.alerts.wound import NILS, Wound, person, roster
from tests.support.served import sqlite_only

pytestmark = sqlite_only

LONG = Policy((Step((ON_CALL_NOW,), wait_s=1800), Step((FINAL,))))
LONGEST_SILENCE_S = 100


def silences(moments: list[float], until: float) -> list[float]:
    """Seconds between one page and the next."""
    points = sorted({0.0, *moments, until})
    return [later - earlier for earlier, later in itertools.pairwise(points)]


def test_a_call_of_which_nobody_tells_the_end_is_made_again() -> None:
    """Red when only a call that is reported as over is followed by another."""
    wound = Wound(policy=LONG)
    wound.press()
    wound.receive(wound.last(NILS, "push"))
    wound.run(1700)
    voice = [at for at, who, channel in wound.called() if (who, channel) == (NILS.id, "voice")]
    assert len(voice) > 10
    assert max(silences([at for at, _, _ in wound.called()], 1700)) <= LONGEST_SILENCE_S


def test_whoever_has_no_telephone_is_told_again() -> None:
    """Red when a device that has received is left in peace for the rest of the step."""
    kim = person("Kim", "push")
    wound = Wound(roster(on_call_now=[kim]), policy=LONG)
    wound.press()
    wound.receive(wound.last(kim, "push"))
    wound.run(1700)
    assert max(silences([at for at, _, _ in wound.called()], 1700)) <= LONGEST_SILENCE_S


def test_the_telephone_rings_at_latest_after_a_minute_whenever_a_router_looks() -> None:
    wound = Wound(policy=LONG)
    wound.press()
    wound.receive(wound.last(NILS, "push"))
    wound.run(60)
    assert [at for at, _, channel in wound.called() if channel == "voice"] == [60]
