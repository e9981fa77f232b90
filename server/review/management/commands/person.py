"""`manage.py person held | erasures | reapply-erasures`: what people may ask for, on the server's shell.

`held` writes a file with everything about one person: it holds content, and so it asks for a reason and is on record.
The other two print ids, codes and counts only.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, transaction

from server.audit.actions import record
from server.audit.entry import SYSTEM, Entry
from server.people.models import Patient, User
from server.review import erasing, erasures
from server.review.erasure_words import words
from server.review.held import orders
from server.review.held.files import lines, page
from server.review.models import Erasure
from server.review.retention import Unusable
from server.vault.errors import MasterKeyFault

UNUSABLE = 2
LEAST = 10
"""Letters of a reason."""


class Command(BaseCommand):
    help = (
        "What people may ask for: held (all that is held about one person, into a file), erasures (how they stand), "
        "reapply-erasures (after a restore: destroy again what was destroyed)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        held = verbs.add_parser("held", help="write all that is held about one person; on record")
        of = held.add_mutually_exclusive_group(required=True)
        of.add_argument("--patient", type=UUID, help="the patient's id")
        of.add_argument("--user", type=UUID, help="the id of the account of somebody who works here")
        held.add_argument("--reason", required=True, help=f"why, in at least {LEAST} letters; stands in the log")
        held.add_argument("--out", type=Path, required=True, help="the file; .html is a page, anything else JSON Lines")
        verbs.add_parser("erasures", help="which are open, and what stands in their way")
        again = verbs.add_parser("reapply-erasures", help="after a restore, before anything is served")
        again.add_argument("--list", type=Path, default=None, help="the list of destroyed keys (ERASED_KEYS_FILE)")

    def handle(self, *args: Any, **options: Any) -> None:
        verbs = {"held": self._held, "erasures": self._erasures, "reapply-erasures": self._reapply}
        try:
            verbs[options["verb"]](options)
        except (Unusable, MasterKeyFault) as fault:
            raise CommandError(str(fault), returncode=UNUSABLE) from None
        except DatabaseError:
            raise CommandError("the database does not answer", returncode=UNUSABLE) from None

    def _held(self, options: dict[str, Any]) -> None:
        if len(options["reason"].strip()) < LEAST:
            raise CommandError(f"--reason needs at least {LEAST} letters", returncode=UNUSABLE)
        patient = Patient.objects.filter(id=options["patient"]).first() if options["patient"] else None
        user = User.objects.filter(id=options["user"]).first() if options["user"] else None
        if patient is None and user is None:
            raise CommandError("there is nobody with this id", returncode=UNUSABLE)
        with transaction.atomic():  # before the first byte
            record(
                Entry(
                    orders.DOWNLOADED,
                    SYSTEM,
                    subject_id=patient.id if patient is not None else None,
                    object_id=user.id if user is not None else None,
                    detail={"reason": options["reason"].strip()},
                )
            )
        language = patient.language if patient is not None else user.language if user is not None else "nb"
        told = [*orders.everything(patient=patient, user=user), None]
        chunks = (
            page(told, name="", controller=None, language=language)
            if options["out"].suffix == ".html"
            else lines(told, controller=None, language=language)
        )
        try:
            with options["out"].open("xb") as out:
                options["out"].chmod(0o600)
                out.writelines(chunks)
        except OSError as error:
            raise CommandError(f"{options['out']}: {error.strerror}", returncode=UNUSABLE) from None
        self.stdout.write(f"{sum(len(one[1]) for one in told if one)} lines written. Hand it over, and delete it here.")

    def _erasures(self, options: dict[str, Any]) -> None:
        rows = Erasure.objects.open().select_related("patient").order_by("asked_at")
        for erasure in rows:
            self.stdout.write(f"{erasure.id}: {'under way' if erasure.begun_at else 'open'}")
            for one in erasures.standing(erasure).obstacles:
                until = f" (until {one.until:%Y-%m-%d})" if one.until else ""
                whose = f" [{one.controller}]" if one.controller else ""
                self.stdout.write(f"  {one.code}{whose}: {words(one)}{until}")
        self.stdout.write(f"{len(rows)} erasures are open.")

    def _reapply(self, options: dict[str, Any]) -> None:
        try:
            done = erasing.reapply(options["list"])
        except OSError as error:
            raise CommandError(f"the list cannot be read: {error.strerror}", returncode=UNUSABLE) from None
        self.stdout.write(
            f"{done.listed} keys are listed; {done.keys} lived again and were destroyed; "
            f"{done.patients} patients were emptied."
        )
        if done.bad or done.missing:
            raise CommandError(
                f"the list is not whole: {done.bad} lines were not written by this installation and were passed over, "
                f"{done.missing} keys that were destroyed are not on it. Find the whole list, and run this again.",
                returncode=UNUSABLE,
            )
