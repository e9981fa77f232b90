"""`manage.py vault rotate | check | keygen`: looking after the master keys. Prints ids, versions and counts only.

`manage.py vault seal-key` prints the public key with which anybody verifies what was signed.
"""

from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from server.vault import ring
from server.vault.actions import check, public_key, rotate, seal_key
from server.vault.errors import MasterKeyFault, Unreadable
from server.vault.models import DataKey
from server.vault.upkeep import KeyFault

UNUSABLE = 2
"""Exit code: the master keys are missing or malformed, or the database does not answer."""
NOT_OPENING = 3
"""Exit code: at least one stored data key does not open."""


class Command(BaseCommand):
    help = (
        "Master keys: rotate (re-wrap every data key), check (open every data key), keygen (a new key line). "
        "Seals: seal-key (the public key that verifies them)."
    )
    requires_system_checks: list[str] = []  # what is wrong with the keys is what these commands are for

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        rotation = verbs.add_parser("rotate", help="re-wrap every data key under the highest master key version")
        rotation.add_argument("--batch", type=int, default=200, help="keys per transaction (default 200)")
        verbs.add_parser("check", help=f"open every data key; exit code {NOT_OPENING} when one does not open")
        keygen = verbs.add_parser("keygen", help="print a new `version:base64` line")
        keygen.add_argument("--number", type=int, help="version of the key (default: one above any given or stored)")
        seals = verbs.add_parser("seal-key", help="print the public key of the installation's seals (PEM)")
        seals.add_argument("--purpose", default="consent.version", help="what was signed (default consent.version)")

    def handle(self, *args: Any, **options: Any) -> None:
        verbs = {"rotate": self._rotate, "check": self._check, "keygen": self._keygen, "seal-key": self._seal_key}
        try:
            verbs[options["verb"]](options)
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

    def _seal_key(self, options: dict[str, Any]) -> None:
        """The lines above the PEM block are skipped by whoever reads it: the whole output is a key file."""
        key, purpose = seal_key(), options["purpose"]
        try:
            public = Ed25519PublicKey.from_public_bytes(public_key(key, purpose))
        except Unreadable as fault:
            raise CommandError(str(fault), returncode=NOT_OPENING) from None
        self.stdout.write(f"Ed25519, purpose {purpose}, data key {key}")
        self.stdout.write(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(), ending="")

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
