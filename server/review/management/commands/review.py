"""`manage.py review status | rebuild`: the lines that officers read, which are a copy of the sealed log in other order.

`manage.py review retention`: what of them is older than it needs to be kept. Prints counts and positions only.
"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from server.audit.models import index_of, tree_of
from server.people.models import Controller
from server.review import keeping, retention
from server.review.lines import rebuild, standing

UNUSABLE = 2
"""Exit code: the database does not answer, or not to this role."""
DENIED = "42501"
"""PostgreSQL's insufficient_privilege."""
AS_OWNER = (
    "this role may not do it, and nothing was changed: lines are deleted and made anew, and the server's role may not "
    "delete. Run it with a DATABASE_URL of the role that owns the tables (samsnakk_owner)"
)
TOLD_EVERY = 50_000
"""Leaves between two lines on the terminal."""


class Command(BaseCommand):
    help = (
        "Officers' lines: status (how far they have followed the log), rebuild (make all of them anew), retention "
        "(what is older than it needs to be kept)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("status", help="how far the lines have followed the sealed log")
        verbs.add_parser("rebuild", help="make all lines anew, batch by batch in their place")
        verbs.add_parser("retention", help="what each controller has of lines older than their period; removes nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            {"status": self._status, "rebuild": self._rebuild, "retention": self._retention}[options["verb"]]()
        except retention.Unusable as fault:
            raise CommandError(str(fault), returncode=UNUSABLE) from None
        except DatabaseError as error:
            if getattr(error.__cause__, "sqlstate", "") == DENIED:
                raise CommandError(AS_OWNER, returncode=UNUSABLE) from None
            raise CommandError("the database does not answer", returncode=UNUSABLE) from None

    def _status(self) -> None:
        now = standing()
        at = f"tree {tree_of(now.position)}, index {index_of(now.position)}" if now.position else "the beginning"
        self.stdout.write(f"followed to: {at}\nsealed events that wait: {now.waiting}\nlines: {now.lines}")

    def _rebuild(self) -> None:
        told = 0
        for done in rebuild():
            if done - told >= TOLD_EVERY:
                told = done
                self.stdout.write(f"{done} sealed events followed")
        self.stdout.write(f"Done: {standing().lines} lines.")

    def _retention(self) -> None:
        found = {one: retention.due(one.id) for one in Controller.objects.order_by("org_number")}
        for controller, lines in found.items():
            for line in lines:
                kept = f"kept {line.period.years} years: {line.period.reason}"
                self.stdout.write(
                    f"{controller.org_number} {line.type}: {line.count}, the oldest of {line.oldest:%Y-%m-%d} ({kept})"
                )
            for past in keeping.past(controller.id):
                kept = f"kept {past.rule.years} years: {past.rule.statute}"
                self.stdout.write(
                    f"{controller.org_number} held {past.rule.kind}: {past.count}, "
                    f"the oldest of {past.oldest:%Y-%m-%d} ({kept})"
                )
        count = sum(line.count for lines in found.values() for line in lines)
        self.stdout.write(f"{count} lines are due. Nothing was removed.")
