"""`manage.py consent verify`: every version of every consent against its seal, its chain, its row and the log. Prints
ids, numbers and codes only."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from server.consent.models import Consent
from server.consent.verify import alarm, faults, lost

UNUSABLE = 2
"""Exit code: the database does not answer."""
NOT_SOUND = 3
"""Exit code: at least one consent cannot be believed."""


class Command(BaseCommand):
    help = "Consents: verify (every version's seal, chain and place in the log)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verify = verbs.add_parser("verify", help=f"verify every version; exit code {NOT_SOUND} when one does not hold")
        verify.add_argument("--quiet", action="store_true", help="say nothing while it goes on")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._verify(quiet=options["quiet"])
        except DatabaseError:
            raise CommandError("the database does not answer", returncode=UNUSABLE) from None

    def _verify(self, *, quiet: bool) -> None:
        total, versions, wrong = Consent.objects.count(), 0, []
        for done, consent in enumerate(Consent.objects.select_related("patient").order_by("id").iterator(), start=1):
            found = faults(consent)
            versions += consent.version
            if found:
                alarm(consent, found)
                wrong += [f"consent {consent.id}, version {one.number}: {one.code}" for one in found]
            if not quiet and done % 1000 == 0:
                self.stdout.write(f"{done} of {total} consents")
        wrong += [f"consent {consent_id}: the log knows it, the database does not" for consent_id in lost()]
        if wrong:
            lines = [f"{len(wrong)} faults; what they are about is shared with nobody:", *wrong]
            raise CommandError("\n".join(lines), returncode=NOT_SOUND)
        self.stdout.write(f"{total} consents, {versions} versions: every seal holds, no version is missing")
