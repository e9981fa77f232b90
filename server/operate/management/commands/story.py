"""`make story`: Are's story and Trine's night against the running server, each step shown as it happens."""

import asyncio
import sys
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from server.operate import night
from server.operate.players import StoryFailed
from server.operate.story import play


class Command(BaseCommand):
    help = "Play Are's story and Trine's night against the running server (demo mode)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default=f"http://{settings.ENV.host}:{settings.ENV.port}")

    def handle(self, *args: Any, **options: Any) -> None:
        def tell(line: str) -> None:
            self.stdout.write(line)
            self.stdout.flush()

        try:
            checks = asyncio.run(play(options["url"], tell))
            if settings.ENV.town_port:
                tell("\n— Trine's night —")
                checks += asyncio.run(night.play(options["url"], tell))
        except StoryFailed as failure:
            self.stderr.write(f"\n✗ {failure}")
            sys.exit(1)
        except (httpx.HTTPError, OSError) as error:
            self.stderr.write(f"No server answers at {options['url']} ({type(error).__name__}). Start it: make run")
            sys.exit(1)
        self.stdout.write(f"\n{checks} checks held.")
