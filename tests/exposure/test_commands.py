"""Commands and loops show nothing of what is written in a room, nor whose room it is."""

import io
from unittest.mock import patch

from django.core.management import call_command

from server.audit import worker
from server.operate.loops import LOOPS
from tests.exposure.walk import WalkTestCase
from tests.support.leaks import captured, leaks
from tests.support.served import sqlite_only

pytestmark = sqlite_only

SHOWN = (["dumpdata"], ["vault", "check"], ["consent", "verify"], ["audit", "status"])
"""Commands that read rows and write something of them. `demo` and `story` make their own, `serve` is what is walked."""


class Commands(WalkTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.person("are").ok("post", f"{self.room.asks}/withdraw", {"remark": self.ids["remark"]})
        written = {*self.stage.words.values(), self.ids["remark"]}
        log = self.stage.log
        log.remember()
        self.enterContext(
            patch.multiple(
                worker, store=lambda: log.store, sequencer=lambda: log.sequencer, standing=worker._Standing()
            )
        )
        self.hidden = written | {self.ids["patient_name"], self.ids["patient_name"].split()[-1]}

    def test_what_they_write(self) -> None:
        for command in SHOWN:
            out = io.StringIO()
            call_command(*command, stdout=out)
            assert out.getvalue(), command
            assert leaks(out.getvalue().encode(), self.hidden) == [], command

    def test_what_loops_log(self) -> None:
        with captured() as log:
            for loop in LOOPS:
                loop.tick()
        assert leaks(log.getvalue().encode(), self.hidden) == []
