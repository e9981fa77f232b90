"""Routers that are killed between any two of their steps, connections that are cut, tables that are held: of a thousand
calls for help none is lost, each is accepted once, and somebody is called in time."""

import os

import pytest

from tests.faults.nights import night
from tests.faults.routers import POINTS

pytestmark = pytest.mark.prove

CALLS = int(os.environ.get("PROVE_CALLS", "1000"))
FIRST_PAGE_S, RECOVERY_S = 5.0, 15.0


def test_a_thousand_calls_among_kills() -> None:
    with night(seed=5) as here:
        here.arrive(CALLS)
        here.play(rate=4, kill_every_s=5.0)
        report = here.judge()
        print(f"\n  {report}")
        for seconds, why in report.slow:
            print(f"    {seconds:5.2f} s: {', '.join(why)}")
    assert not report.faults, report.faults[:10]
    if len(here.keys) >= 1000:
        assert set(POINTS) <= set(report.kills), "every point had its turn"
    assert report.rank(0.99) <= FIRST_PAGE_S
    assert max(report.recovered_s)[0] <= RECOVERY_S
