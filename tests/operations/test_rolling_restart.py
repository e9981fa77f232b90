"""One process after another, behind nginx, with people at work (`make prove`), and when the script stops."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.ledger import Ledger
from tests.operations import rolling
from tests.operations.site import HOST, Site
from tests.support.served import ROOT, once

pytestmark = once


@pytest.fixture(autouse=True)
def _trusting(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The phones of this test know the throw-away authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(site.authority))


@pytest.mark.prove
@pytest.mark.parametrize(("rounds", "devices", "pause_s"), [(1, 6, 0.5), (4, 16, 0.5)])
def test_nothing_is_lost_and_everybody_comes_back(
    site: Site, tmp_path: Path, rounds: int, devices: int, pause_s: float
) -> None:
    ledger = Ledger()
    report = asyncio.run(
        rolling.play(site, tmp_path, ledger, rounds=rounds, devices=devices, settle_s=1.0, pause_s=pause_s)
    )
    print(f"\n  {report}")
    rolling.check(site, ledger, report)
    assert report.said == [f"restart samsnakk@{one.instance}.service" for one in site.servers] * rounds


def test_it_stops_before_it_takes_the_last_one_away(site: Site, tmp_path: Path) -> None:
    """Red when something is restarted although another process is not there to take over."""
    script = [sys.executable, str(ROOT / "deploy" / "rolling_restart.py"), "--host", HOST]
    with rolling.Systemctl(site, tmp_path) as systemctl:
        done = subprocess.run(
            [*script, site.servers[0].instance, "1"],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
        )
    assert (done.returncode, systemctl.said) == (1, [])
    assert done.stderr.startswith("the process on port 1 is not ready now")
