"""`manage.py watchdog`: keep watch over calls for help, where it is not a child of `manage.py serve` (WATCHDOG=0)."""

import signal
import threading
from argparse import ArgumentParser
from contextlib import closing
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from server.operate import watchdog
from server.operate.own_sql import FAULTS, connect

UNUSABLE, URGENT = 2, 3
"""Exit codes of `--once`: the database does not answer; something urgent was found."""


class Command(BaseCommand):
    help = "Keep watch over calls for help until stopped; --once: look, say what is wrong, and change nothing."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="look once; nothing is reported, and nobody pinged")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            self._once()
            return
        stop = threading.Event()
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, lambda *_: stop.set())
        self.stdout.write("Keeping watch. Ctrl-C or SIGTERM stops.")
        self.stdout.flush()
        watchdog.run(stop.wait)

    def _once(self) -> None:
        try:
            with closing(connect(settings.DATABASES["default"])) as database:
                found = watchdog.Watch().look(database)
        except FAULTS:
            raise CommandError("the database does not answer", returncode=UNUSABLE) from None
        for one in found:
            self.stdout.write(f"{one.code} {one.count}{' urgent' if one.is_urgent else ''}")
        if not found:
            self.stdout.write("all is well")
        if any(one.is_urgent for one in found):
            raise CommandError("somebody may be calling for help and not be heard", returncode=URGENT)
