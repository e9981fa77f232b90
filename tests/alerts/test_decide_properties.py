"""`nights.Night`, as often as there is time for in each run; `prove_decide.py` plays far more of them.

Red when (each tried by hand):
"""

import hypothesis

from tests.alerts.nights import Night

TestNight = Night.TestCase
TestNight.settings = hypothesis.settings(max_examples=4 * hypothesis.settings().max_examples, stateful_step_count=30)
