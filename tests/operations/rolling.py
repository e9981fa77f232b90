"""deploy/rolling_restart.py behind the real nginx, with clients that post over sockets and REST all the while."""

import asyncio
import subprocess
import sys
import threading
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.clients import Phone, Times, Writer, caught_up, compare_bodies, keep_posting, until
from tests.faults.kills import everybody
from tests.faults.ledger import Ledger
from tests.operations.helped import helping
from tests.operations.site import HOST, Site
from tests.support.served import ROOT

PATIENCE_S = 90.0
SHIM = """#!{python}
import pathlib, sys, time
asked, done = pathlib.Path({asked!r}), pathlib.Path({done!r})
done.unlink(missing_ok=True)
asked.write_text(" ".join(sys.argv[1:]))
while not done.exists():
    time.sleep(0.02)
sys.exit(int(done.read_text() or 0))
"""


class Systemctl:
    """What the script finds as `systemctl` on its PATH: it asks this thread, which does with the unit's process what
    systemd would do."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site, self.asked, self.done = site, folder / "asked", folder / "done"
        self.said: list[str] = []
        shim = folder / "systemctl"
        shim.write_text(SHIM.format(python=sys.executable, asked=str(self.asked), done=str(self.done)))
        shim.chmod(0o755)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Systemctl":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(PATIENCE_S)

    def _serve(self) -> None:
        while not self._over.wait(0.02):
            if self.asked.exists() and (words := self.asked.read_text()):
                self.asked.unlink()
                self.said.append(words)
                self.done.write_text(str(self._do(words)))

    def _do(self, words: str) -> int:
        verb, _, unit = words.partition(" ")
        named = [one for one in self.site.servers if unit == one.name.replace("@", f"@{one.instance}")]
        if verb != "restart" or len(named) != 1:
            return 1
        [one] = named
        if one.stop() != 0:
            self.site.faults.append(f"{unit} did not end in good order: {one.log.read_text()[-2000:]}")
        one.start()
        return 0


@dataclass
class Report:
    said: list[str] = field(default_factory=list)
    closes: dict[int, int] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    connections: list[int] = field(default_factory=list)
    answers: Times = field(default_factory=Times)
    figures: dict[str, Any] = field(default_factory=dict)
    helped: str = ""

    def __str__(self) -> str:
        return (
            f"{len(self.said)} restarts; sockets closed with {self.closes}; REST answered {self.statuses} "
            f"{self.errors or ''}; posts over REST {self.answers}; {self.figures}; {self.helped}"
        )


def restart(site: Site, folder: Path, settle_s: float) -> subprocess.CompletedProcess[str]:
    """The script, as an operator runs it."""
    ports = [one.instance for one in site.servers]
    command = [sys.executable, str(ROOT / "deploy" / "rolling_restart.py"), "--host", HOST]
    return subprocess.run(
        [*command, "--settle", str(settle_s), *ports],
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=300,
    )


async def play(
    site: Site, folder: Path, ledger: Ledger, *, rounds: int, devices: int, settle_s: float, pause_s: float
) -> Report:
    """`rounds` times all processes, one after another; everything that was sent is held against the tables."""
    report = Report()
    rooms = [place.id for place, _ in everybody(site.rooms, devices)]
    async with AsyncExitStack() as keep:
        phones = [
            await keep.enter_async_context(Phone(who, lambda: site.socket_url, ledger, seed=number))
            for number, (_, who) in enumerate(everybody(site.rooms, devices))
        ]
        writers = [
            await keep.enter_async_context(Writer(who, lambda: site.base, ledger))
            for _, who in everybody(site.rooms, devices)
        ]
        await until(lambda: all(phone.synced.is_set() for phone in phones), PATIENCE_S, "every phone's first hello")
        stop = asyncio.Event()
        work = [
            asyncio.create_task(keep_posting(one, [room], stop, pause_s))
            for group in (phones, writers)
            for one, room in zip(group, rooms, strict=True)
        ]
        async with helping(site, ledger, patients=60 * rounds, pause_s=1.0) as helped:
            with Systemctl(site, folder) as systemctl:
                for _ in range(rounds):
                    done = await asyncio.to_thread(restart, site, folder, settle_s)
                    assert done.returncode == 0, done.stderr
                    await until(lambda: all(one.synced.is_set() for one in phones), PATIENCE_S, "every phone is back")
                report.said = systemctl.said
        stop.set()
        await asyncio.wait_for(asyncio.gather(*work), PATIENCE_S)
        await until(caught_up(phones, ledger), PATIENCE_S, "every phone has everything")
        compared = compare_bodies(phones, ledger)
    for one in phones:
        for code, count in one.closes.items():
            report.closes[code] = report.closes.get(code, 0) + count
        report.connections.append(one.connections)
    for writer in writers:
        report.answers.all += writer.answers.all
        for status, count in writer.statuses.items():
            report.statuses[status] = report.statuses.get(status, 0) + count
        for name, count in writer.errors.items():
            report.errors[name] = report.errors.get(name, 0) + count
    report.helped = str(helped)
    assert min(len(helped.calls), helped.refreshed) > len(report.said), "help and tokens were asked for all the while"
    report.figures = ledger.check(site.database.address("samsnakk")) | {"bodies_compared": compared}
    return report


def check(site: Site, ledger: Ledger, report: Report) -> None:
    """Nothing lost, nothing doubled, everybody back, and nobody dropped without a word."""
    assert not ledger.faults, ledger.faults[:10]
    assert not site.faults, site.faults
    assert report.figures["acknowledged"] == report.figures["sent"] > 0
    assert set(report.closes) == {1012}, report.closes
    assert min(report.connections) >= 2, "somebody never had to come back: both processes were restarted"
    assert set(report.statuses) <= {200, 201, 429, 503}, report.statuses
    told_to_come_again = report.statuses.get(503, 0)
    assert told_to_come_again <= 6 * len(report.said), "hardly anybody is turned away while one of them serves"
