"""What whoever keeps watch is told, and who may read the numbers."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test import override_settings

from server.audit import keeping, metrics, worker
from server.audit.models import Pending
from server.audit.sequencer import Stopped
from server.common.clock import now
from server.operate import watch
from tests.audit.sealing import Log, act
from tests.base import Client, TownTestCase

TOKEN = "a-token-of-enough-characters"
LABELS = {"le", "area", "channel", "code", "loop", "protocol", "state", "status"}


class Watched(TownTestCase):
    def setUp(self) -> None:
        super().setUp()
        watch.forget()
        self.addCleanup(watch.forget)
        self.log = Log()
        self.addCleanup(self.log.close)
        act()
        self.log.seal()

    def warnings(self) -> list[str]:
        watch.forget()
        answer = Client().get("/health/ready")
        assert answer.status_code == 200, "a warning never takes a server out of service"
        found: list[str] = answer.json()["warnings"]
        return found

    def numbers(self, **headers: str) -> dict[str, float]:
        answer = Client().get("/metrics", headers=headers)
        assert answer.status_code == 200
        lines = [line for line in answer.content.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    # --- health ---
    def test_all_is_well(self) -> None:
        assert self.warnings() == []

    def test_an_event_that_waits_too_long(self) -> None:
        act()
        assert self.warnings() == []
        Pending.objects.update(since=now() - timedelta(seconds=6))
        assert self.warnings() == ["audit_sealing_late"]

    def test_a_sequencer_that_was_refused(self) -> None:
        before = metrics.ALARMS._value.get()
        with patch.object(worker, "standing", worker._Standing()):
            with patch.object(worker, "_work", side_effect=Stopped("rolled_back")):
                for _ in range(2):
                    with pytest.raises(Stopped):
                        metrics.tick()
            assert self.warnings() == ["audit_sequencer_stopped"]
            assert self.numbers()["samsnakk_audit_sequencer_stopped"] == 1
        assert metrics.ALARMS._value.get() - before == 1, "an alarm once, not with each try"
        assert self.warnings() == ["audit_sequencer_stopped"], "every process tells, whichever it stopped in"
        act()
        self.log.seal()
        assert self.warnings() == []

    def test_an_event_that_is_neither_sealed_nor_waiting(self) -> None:
        act()
        Pending.objects.all().delete()
        with patch("server.audit.rows.SETTLED_S", 0.0):
            assert self.warnings() == ["audit_unaccounted"]

    def test_copies_that_fail(self) -> None:
        nowhere = settings.ENV.model_copy(update={"audit_checkpoint_dir": Path("nowhere")})
        with patch.object(keeping, "standing", keeping._Standing()), override_settings(ENV=nowhere):
            with pytest.raises(FileNotFoundError):
                keeping.keep_copies()
            with patch.object(keeping, "LATE_S", 0):
                assert self.warnings() == ["checkpoint_copies_failing"]

    def test_asking_often_costs_little(self) -> None:
        self.warnings()
        with self.assertNumQueries(1):
            Client().get("/health/ready")

    # --- metrics ---
    def test_the_numbers(self) -> None:
        act(3)
        found = self.numbers()
        assert found["samsnakk_audit_pending"] == 3
        assert 0 <= found["samsnakk_audit_pending_oldest_seconds"] < 60
        assert found["samsnakk_audit_tree_size"] == self.log.seal().size - 3
        assert found["samsnakk_audit_sequencer_stopped"] == 0
        assert "samsnakk_audit_alarms_total" in found
        with patch.object(worker, "_work", return_value=3):
            metrics.tick()
        after = self.numbers()
        assert (
            after["samsnakk_audit_sealing_lag_seconds_count"] == found["samsnakk_audit_sealing_lag_seconds_count"] + 1
        )
        labels = {label for name in after for label in re.findall(r"(\w+)=\"", name)}
        assert labels <= LABELS, "histograms' own, and stable words"

    def test_only_for_this_machine_or_with_the_token(self) -> None:
        def answer(remote: str, **headers: str) -> Any:
            return Client(REMOTE_ADDR=remote).get("/metrics", headers=headers)

        nothing = Client().get("/nothing-here").content
        with override_settings(ENV=settings.ENV.model_copy(update={"metrics_token": TOKEN})):
            assert answer("192.0.2.7", Authorization=f"Bearer {TOKEN}").status_code == 200
            assert answer("127.0.0.1").status_code == answer("::1").status_code == 200
            for given in ("", "Bearer ", f"Bearer {TOKEN}x", TOKEN, "Bearer æ"):
                refused = answer("192.0.2.7", Authorization=given)
                assert (refused.status_code, refused.content) == (404, nothing), given
        assert answer("192.0.2.7", Authorization="Bearer ").status_code == 404, "no token is set"
        for name in ("X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "Via"):
            assert answer("127.0.0.1", **{name: "x"}).status_code == 404, "through a proxy on this machine"

    def test_without_the_database(self) -> None:
        with patch.object(connection, "cursor", side_effect=OperationalError):
            assert Client().get("/metrics").status_code == 503
