"""`manage.py backup FILE|FOLDER`: the whole database, encrypted for a key that is not on this machine."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from server.operate import archive, backup, signing
from server.operate.engines import EngineFault, engine

UNUSABLE = 2


class Command(BaseCommand):
    help = (
        "Back the whole database up into one encrypted file, and read it again. Keys are not in it: the command lists "
        "what must be backed up by other hands."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("place", type=Path, nargs="?", help="a file, or a folder, in which it is named by the time")
        for_whom = parser.add_mutually_exclusive_group(required=True)
        for_whom.add_argument("--to-file", type=Path, help="file with the public key that --keygen printed")
        for_whom.add_argument("--passphrase-file", type=Path, help="file with a passphrase of at least 20 characters")
        for_whom.add_argument("--keygen", type=Path, help="write a new private key there, and print the public one")
        for_whom.add_argument("--signer", action="store_true", help="print who signs: restore asks for it")
        parser.add_argument("--sign-file", type=Path, help="the key that signs, if not in its usual place; made if new")
        parser.add_argument("--keep", type=int, default=0, help="afterwards remove all but so many from the folder")
        parser.add_argument("--bin", type=Path, help="folder of pg_dump and pg_restore")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["keygen"] is not None:
                self._keygen(options["keygen"])
            elif options["signer"]:
                self.stdout.write(signing.line_of(_signer(options)))
            else:
                self._make(options)
        except (archive.BadArchive, EngineFault) as fault:
            raise CommandError(f"no back-up was made: {fault}", returncode=UNUSABLE) from None
        except DatabaseError:
            raise CommandError("no back-up was made: the database does not answer", returncode=UNUSABLE) from None
        except (OSError, UnicodeDecodeError) as error:
            said = getattr(error, "strerror", None) or "a file cannot be read"
            raise CommandError(f"no back-up was made: {said}", returncode=UNUSABLE) from None

    def _keygen(self, path: Path) -> None:
        line = archive.new_key(path)
        self.stdout.write(f"{line}\n")
        self.stderr.write(
            f"The private key is {path}. Move it to a medium that is kept away from this machine: whoever has it can "
            "read every back-up, and without it nobody can. The line above goes into the file for --to-file."
        )

    def _make(self, options: dict[str, Any]) -> None:
        place: Path | None = options["place"]
        if place is None:
            raise CommandError("name a file or a folder", returncode=UNUSABLE)
        if options["keep"] < 0 or (options["keep"] and not place.is_dir()):
            raise CommandError("--keep is a number of back-ups in a folder", returncode=UNUSABLE)
        made = backup.make(engine(options["bin"]), place, _recipient(options), _signer(options))
        said = made.manifest
        self.stdout.write(f"{made.path}: {said['bytes']} bytes of {said['engine']}, read again and whole")
        self.stdout.write(f"SHA-256 of what is in it: {said['sha256']}")
        self.stdout.write(f"signed by {signing.line_of(_signer(options))}")
        for old in backup.thin(place, options["keep"]) if options["keep"] else []:
            self.stdout.write(f"removed {old}")
        self.stdout.write("\nNot in it, and to be backed up by other hands, on another medium:")
        for what, where in backup.apart():
            self.stdout.write(f"  {what}: {where}")


def _signer(options: dict[str, Any]) -> Ed25519PrivateKey:
    return signing.own_key(options["sign_file"] or signing.file())


def _recipient(options: dict[str, Any]) -> archive.Recipient:
    if options["to_file"] is not None:
        return archive.Recipient.of_public_key(options["to_file"].read_text())
    return archive.Recipient.of_passphrase(options["passphrase_file"].read_text().rstrip("\n"))
