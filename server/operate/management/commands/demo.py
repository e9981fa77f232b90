"""`manage.py demo town` and `manage.py demo crowd`: invented people and rooms, in demo mode only."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from server.operate.crowd import build_crowd
from server.operate.preflight import bring_up_to_date
from server.people.demo import build_town, personas


class Command(BaseCommand):
    help = "Invented people and rooms, for trying out and for load (demo mode only)."

    def add_arguments(self, parser: CommandParser) -> None:
        kinds = parser.add_subparsers(dest="kind", required=True)
        kinds.add_parser("town", help="the demo town and its personas; a second run changes nothing")
        crowd = kinds.add_parser("crowd", help="many rooms with consent given, with a session for each member")
        crowd.add_argument("--rooms", type=int, required=True)
        crowd.add_argument("--members", type=int, required=True, help="in each room, the patient among them")
        crowd.add_argument("--out", type=Path, required=True, help="JSON file to write; it holds session tokens")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("invented people belong in demo mode; set MODE=demo for an installation of its own.")
        try:
            bring_up_to_date()
            if options["kind"] == "town":
                self._town()
            else:
                self._crowd(options["rooms"], options["members"], options["out"])
        except DatabaseError as error:
            # The class only: a database's message may quote a row.
            reason = type(error).__name__
            raise CommandError(f"the database is not ready ({reason}).") from None

    def _town(self) -> None:
        build_town()
        self.stdout.write(f"The demo town is there. Sign in as: {', '.join(personas())}")

    def _crowd(self, rooms: int, members: int, out: Path) -> None:
        try:
            # Before the work, so that an unwritable place costs nothing; 0600, for it will hold session tokens.
            opened = os.open(out, os.O_WRONLY | os.O_CREAT, 0o600)
            if out.is_file():
                os.fchmod(opened, 0o600)  # a file that was there may be readable by others
        except OSError as error:
            raise CommandError(f"cannot write {out}: {error.strerror}") from None
        with os.fdopen(opened, "w", encoding="utf-8") as file:
            try:
                made = [room.view() for room in build_crowd(rooms=rooms, members=members)]
            except ValueError as error:
                raise CommandError(str(error)) from None
            with contextlib.suppress(OSError):  # a pipe has nothing to cut off
                file.truncate()
            json.dump({"rooms": made}, file)
        self.stdout.write(f"{len(made)} rooms of {members} written to {out}")
