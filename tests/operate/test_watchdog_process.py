"""The watchdog as a process: whom it pings, who keeps it, and the command. What it finds: `test_watchdog.py`."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import psutil
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import SimpleTestCase, override_settings

from server.alerts.models import RouterBeat
from server.common.clock import now
from server.operate import child, watchdog
from server.operate.dead_man import DeadMan
from server.operate.models import WatchReport
from server.operate.watchdog import Finding, Rounds, Watch
from tests.support.served import environment, once, serve
from tools.processes import lives


class Alone(SimpleTestCase):
    """What needs no rows."""

    def test_the_switch_is_pinged_now_and_then_and_not_while_something_is_urgent(self) -> None:
        clock, found = [100.0], list[Finding]()
        with pings() as (url, came), override_settings(ENV=settings.ENV.model_copy(update={"dead_man_url": url})):
            switch = DeadMan(url, 30, lambda: clock[0])
            rounds = Rounds(switch)

            def go() -> int:
                rounds.go()
                switch.wait(5)
                return len(came)

            with (
                mock.patch.object(watchdog, "connect"),
                mock.patch.object(watchdog, "report"),
                mock.patch.object(Watch, "look", return_value=found),
            ):
                assert go() == 1
                assert go() == 1
                clock[0] += 31
                found.append(Finding("roster_gap"))
                assert go() == 2
                clock[0] += 31
                found.append(Finding("alerts_overdue", 3))
                assert go() == 2
                found.clear()
                assert go() == 3
                clock[0] += 31
                with mock.patch.object(Watch, "look", side_effect=OSError):
                    assert go() == 3
                assert go() == 4
        assert set(came) == {"/ping?key=1"}

    def test_a_switch_that_fails_stops_nothing(self) -> None:
        clock = [100.0]
        with pings(status=500) as (url, came):
            for address in (url, "http://127.0.0.1:1/", "https://127.0.0.1:1/secret", ""):
                switch = DeadMan(address, 30, lambda: clock[0])
                switch.ping()
                switch.wait(5)
        assert came == ["/ping?key=1"]

    def test_the_child_is_started_again_and_ends_with_us(self) -> None:
        """A real process, which waits as the watchdog does."""
        waits = "import os, select\nselect.select([0], [], [])\nos.read(0, 1)"
        born: list[subprocess.Popen[bytes]] = []

        def start() -> "subprocess.Popen[bytes]":
            born.append(subprocess.Popen([sys.executable, "-S", "-c", waits], stdin=subprocess.PIPE))
            return born[-1]

        stop = threading.Event()
        with mock.patch.object(child, "start", start), mock.patch.multiple(child, SOONEST_S=0.05, LOOK_S=0.02):
            thread = child.keep(stop)
            wait_for(lambda: len(born) == 1)
            born[0].kill()
            wait_for(lambda: len(born) == 2)
            assert born[1].poll() is None
            stop.set()
            thread.join(5)
        assert not thread.is_alive()
        assert born[1].returncode == 0, "it ended by itself"

    def test_a_child_that_cannot_be_started_stops_nothing(self) -> None:
        stop, tried = threading.Event(), []
        with (
            mock.patch.object(child, "start", side_effect=lambda: tried.append(1) or raise_(OSError())),
            mock.patch.multiple(child, SOONEST_S=0.01),
        ):
            thread = child.keep(stop)
            wait_for(lambda: len(tried) > 1)
            stop.set()
            thread.join(5)
        assert not thread.is_alive()


def raise_(error: Exception) -> None:
    raise error


def wait_for(done: Callable[[], bool], timeout_s: float = 10) -> None:
    until = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < until
        time.sleep(0.01)


@contextmanager
def pings(status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """A switch that notes what it is asked."""
    came: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            came.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/ping?key=1", came
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.django_db(transaction=True)
def test_once_and_for_real(tmp_path: Path) -> None:
    """The command, and the process that `serve` starts, each over a connection of its own."""
    said = io.StringIO()
    with pytest.raises(CommandError) as ended:
        call_command("watchdog", "--once", stdout=said)
    assert (ended.value.returncode, said.getvalue()) == (3, "router_silent 1 urgent\n")
    assert not WatchReport.objects.exists(), "it only looks"
    RouterBeat.objects.create(name="router", at=now())
    call_command("watchdog", "--once", stdout=(said := io.StringIO()))
    assert said.getvalue() == "all is well\n"
    rounds = Rounds(DeadMan("", 1))
    rounds.go()
    rounds.go()
    rounds.close()
    assert WatchReport.objects.get().findings == []
    nowhere = {**settings.DATABASES["default"], "NAME": str(tmp_path / "nothing"), "PORT": "1"}
    with mock.patch.dict(settings.DATABASES, default=nowhere), pytest.raises(CommandError) as ended:
        call_command("watchdog", "--once")
    assert ended.value.returncode == 2


@pytest.mark.prove
@once
def test_beside_a_server_and_gone_with_it(tmp_path: Path) -> None:
    """A real `manage.py serve`: its watchdog looks, is started again when it is killed, and ends with it, however that
    ends."""
    with serve(tmp_path, environment(tmp_path, MODE="demo", WATCHDOG="1")) as served:

        def children() -> list[psutil.Process]:
            found = psutil.Process(served.process.pid).children()
            return [one for one in found if lives(one) and "server.operate.watchdog" in one.cmdline()]

        wait_for(lambda: "samsnakk_watchdog_report_age_seconds" in httpx.get(f"{served.url}/metrics").text, 30)
        assert "watchdog_silent" not in httpx.get(f"{served.url}/health/ready").json()["warnings"]
        [first] = children()
        first.kill()
        wait_for(lambda: [one for one in children() if one.pid != first.pid])
        [second] = children()
        os.kill(served.process.pid, signal.SIGKILL)
        wait_for(lambda: not lives(second))
