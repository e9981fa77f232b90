"""`manage.py vault rotate | check | keygen`: looking after the master keys. Prints ids, versions and counts only."""

from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from server.vault import ring
from server.vault.actions import check, rotate
from server.vault.errors import MasterKeyFault
from server.vault.models import DataKey
from server.vault.upkeep import KeyFault

UNUSABLE = 2
"""Exit code: the master keys are missing or malformed, or the database does not answer."""
NOT_OPENING = 3
"""Exit code: at least one stored data key does not open."""


class Command(BaseCommand):
    help = "Master keys: rotate (re-wrap every data key), check (open every data key), keygen (a new key line)."
    requires_system_checks: list[str] = []  # what is wrong with the keys is what these commands are for

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        rotation = verbs.add_parser("rotate", help="re-wrap every data key under the highest master key version")
        rotation.add_argument("--batch", type=int, default=200, help="keys per transaction (default 200)")
        verbs.add_parser("check", help=f"open every data key; exit code {NOT_OPENING} when one does not open")
        keygen = verbs.add_parser("keygen", help="print a new `version:base64` line")
        keygen.add_argument("--number", type=int, help="version of the key (default: one above any given or stored)")

    def handle(self, *args: Any, **options: Any) -> None:
        verb = {"rotate": self._rotate, "check": self._check, "keygen": self._keygen}[options["verb"]]
        try:
            verb(options)
        except MasterKeyFault as fault:
            raise CommandError(str(fault), returncode=UNUSABLE) from None
        except DatabaseError:
            raise CommandError("the database does not answer", returncode=UNUSABLE) from None

    def _rotate(self, options: dict[str, Any]) -> None:
        if options["batch"] < 1:
            raise CommandError("--batch must be at least 1", returncode=UNUSABLE)
        step = None
        for step in rotate(options["batch"]):
            self.stdout.write(f"master key version {step.version}: {step.done} of {step.total} data keys re-wrapped")
        if step is not None and step.failed:
            self._refuse(step.failed)
        self.stdout.write("Done. Run `vault check`; keep older master keys until it counts nothing under them.")

    def _check(self, options: dict[str, Any]) -> None:
        found = check()
        for version, count in sorted(found.versions.items()):
            self.stdout.write(f"under master key version {version}: {count} data keys")
        if found.demo:
            self.stdout.write(f"wrapped under a demo master key: {found.demo}")
        self.stdout.write(f"destroyed: {found.destroyed}")
        if found.faults:
            self._refuse(found.faults)
        self.stdout.write(f"all {found.opened} data keys open")

    def _keygen(self, options: dict[str, Any]) -> None:
        number = options["number"]
        if number is None:
            number = 1 + max([0, *self._given(), *self._stored()])
        if not 0 < number < 2**31:
            raise CommandError("--number must be at least 1", returncode=UNUSABLE)
        self.stdout.write(ring.new_line(number))

    def _given(self) -> Iterable[int]:
        """Versions in the ring, whatever else is wrong with it: a key may be made before anything works."""
        try:
            return ring.inspect().keys
        except MasterKeyFault:
            return []

    def _stored(self) -> Iterable[int]:
        try:
            return list(DataKey.objects.order_by("-master_version").values_list("master_version", flat=True)[:1])
        except DatabaseError:
            return []

    def _refuse(self, faults: Iterable[KeyFault]) -> None:
        lines = [
            f"{fault.key} ({fault.scope} {fault.owner}, master key version {fault.version}): {fault.reason}"
            for fault in faults
        ]
        raise CommandError("\n".join([f"{len(lines)} data keys do not open:", *lines]), returncode=NOT_OPENING)
