"""Law 6 over many nights: `tests/alerts/nights.py`, drawn anew each time, and longer. A failure prints how to play it
again."""

import hypothesis
import pytest

from tests.alerts.nights import Night

pytestmark = pytest.mark.prove


class TestManyNights(Night.TestCase):  # type: ignore[misc,name-defined]
    settings = hypothesis.settings(
        max_examples=1500, stateful_step_count=60, derandomize=False, print_blob=True, report_multiple_bugs=False
    )
