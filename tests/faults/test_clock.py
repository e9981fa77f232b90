"""Law 10: the clock is the database's. The process's own may jump by a year, either way, and nobody notices."""

import re
import time
from datetime import datetime, timedelta
from pathlib import Path
from unittest import mock

import server
from server.common.clock import now
from tests.base import TownTransactionTestCase

ROOT = Path(server.__file__).parent
ASKS = re.compile(r"\btime\.(time|time_ns|localtime|gmtime)\(|\b(datetime|timezone|date)\.(now|utcnow|today)\(")
YEAR_S = 365 * 24 * 3600


def test_no_product_code_asks_the_process_clock() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in ROOT.rglob("*.py")
        if path.parent != ROOT / "operate" / "town"  # other people's machines, in the demo
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if ASKS.search(line)
    ]
    assert not found, found


class ClockJumps(TownTransactionTestCase):
    def test_a_jump_changes_nothing(self) -> None:
        room = self.open_shared_room()
        first = self.post(room, "kari")
        real, real_ns = time.time, time.time_ns
        for jump in (YEAR_S, -YEAR_S):
            with (
                self.subTest(jump=jump),
                mock.patch("time.time", lambda jump=jump: real() + jump),
                mock.patch("time.time_ns", lambda jump=jump: real_ns() + jump * 10**9),
            ):
                assert abs(time.time() - real()) > YEAR_S / 2
                event = self.post(room, "frida")  # her session and the consent still hold, neither sooner nor later
                age = now() - datetime.fromisoformat(event["created_at"])
                assert timedelta() <= age < timedelta(minutes=1)
                assert self.sign_in("vera").ok("get", f"{room.path}/events")["results"][-1] == event
        seqs = [event["seq"] for event in self.events(room) if event["type"] == "message"]
        assert seqs == [first["seq"], first["seq"] + 1, first["seq"] + 2]

    def test_after_a_jump_an_ended_session_stays_ended(self) -> None:
        kari = self.sign_in("kari")
        kari.ok("post", "me/sign-out")
        for jump in (YEAR_S, -YEAR_S):
            with mock.patch("time.time", return_value=time.time() + jump):
                assert kari.get("me").status_code == 401
