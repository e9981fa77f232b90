"""`nights.Night`, as often as there is time for in each run; `prove_decide.py` plays far more of them.

Red when (each tried by hand, one at a time): a device's receipt puts off the telephone, or the router does not look
when it should ring, or a short step is over before; a step with nobody waits; rounds of everybody end, or are silent;
a clock that went back is not noticed, or puts tasks off; calling does not resume, or in the old generation; a
reminder comes after ten hours; nobody looks when an offer lapses; an id is without its generation or step; a second
one accepts, or is told that they have it themselves; an old button accepts; anybody takes over what is offered to
one; the giver loses it by offering; half an offer stays behind; a cancel closes it; somebody else does what the
responder does.
"""

import hypothesis

from tests.alerts.nights import Night
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class TestNight(Night.TestCase):  # type: ignore[misc,name-defined] # one of its own: `prove_decide.py` has other settings
    settings = hypothesis.settings(max_examples=2 * hypothesis.settings().max_examples, stateful_step_count=25)
