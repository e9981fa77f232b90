"""`manage.py restore FILE`: a back-up into an empty database, and what must be so before it is served."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from server.operate import archive, backup, restoring
from server.operate.engines import EngineFault, engine
from server.vault import erased
from server.vault.errors import DestructionRefused, MasterKeyFault

UNUSABLE = 2
AFTERWARDS = """
Now, in this order, before anybody is let in:
  1. PostgreSQL: run deploy/sql/roles.sql as superuser.
  2. manage.py vault check         every key opens with the master keys that you have
  3. manage.py consent verify      every seal holds
  4. manage.py audit adopt         as the sequencer's user: the log goes on under a new name, and says why
  5. manage.py audit verify        the log is what it was at the time of the back-up
  6. Tell every officer: what is newer than the back-up is gone, consents and withdrawals too."""


class Command(BaseCommand):
    help = "Restore a back-up into an empty database, end what may not live on, and say what comes next."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, nargs="?")
        parser.add_argument("--key-file", type=Path, help="the private key")
        parser.add_argument("--passphrase-file", type=Path)
        parser.add_argument("--signer-file", type=Path, help="file with what backup --signer printed: who made it")
        parser.add_argument("--unsigned", metavar="WHY", help="restore it although nobody knows who made it")
        parser.add_argument("--look", action="store_true", help="read the file to its end, say what it is, and stop")
        parser.add_argument("--settle", action="store_true", help="only what comes after the load; twice is once")
        parser.add_argument("--erased-keys", type=Path, help="the list of destroyed keys, if not in its usual place")
        parser.add_argument("--bin", type=Path, help="folder of pg_restore")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if not options["settle"]:
                self._load(options)
            if not options["look"]:
                self._settle(options["erased_keys"], unsigned=bool(options["unsigned"]))
        except (archive.BadArchive, EngineFault) as fault:
            raise CommandError(f"nothing was restored: {fault}", returncode=UNUSABLE) from None
        except DatabaseError as error:
            said = f"the database does not answer, or refuses ({type(error).__name__})"
            raise CommandError(f"{said}. Run it again: manage.py restore --settle", returncode=UNUSABLE) from None
        except (OSError, UnicodeDecodeError) as error:
            said = getattr(error, "strerror", None) or "a file cannot be read"
            raise CommandError(f"not done: {said}", returncode=UNUSABLE) from None

    def _load(self, options: dict[str, Any]) -> None:
        path, chosen = options["file"], engine(options["bin"])
        if path is None:
            raise CommandError("name the file", returncode=UNUSABLE)
        secret = _secret(options)
        signer = options["signer_file"].read_text() if options["signer_file"] is not None else ""
        if secret.private is not None and not (signer.strip() or options["unsigned"] or options["look"]):
            raise archive.BadArchive("give --signer-file: anybody can make a back-up for this key")
        act = backup.verify if options["look"] else restoring.restore
        said = act(chosen, path, secret, signer)
        self.stdout.write(f"{path}: {said['engine']} as of {said['made_at']}, {said['bytes']} bytes, whole")
        if signer:
            self.stdout.write("signed by the installation that you named")
        elif secret.private is not None:
            self.stdout.write(f"NOBODY KNOWS WHO MADE IT: {options['unsigned'] or '--signer-file was not given'}")
        if said["log"]:
            self.stdout.write(f"the log had {said['log']['size']} entries:\n{said['log']['checkpoint']}")

    def _settle(self, listed: Path | None, *, unsigned: bool) -> None:
        try:
            done = restoring.settle(listed, unsigned=unsigned)
        except (restoring.NotFit, DestructionRefused, MasterKeyFault) as fault:
            said = f"it is loaded, and not fit to be served: {fault}. Then: manage.py restore --settle"
            raise CommandError(said, returncode=UNUSABLE) from None
        self.stdout.write(f"{done.sessions} sessions ended: everybody signs in again (alert keys live on)")
        self.stdout.write(f"{done.deliveries} deliveries dropped, {done.alerts} open calls for help begun anew")
        if done.listed is None:
            self.stdout.write(
                f"NO LIST OF DESTROYED KEYS at {listed or erased.file()}: if anybody was ever erased, find it and run "
                "manage.py restore --settle --erased-keys FILE before anything is served."
            )
        else:
            self.stdout.write(
                f"{done.destroyed} of {done.listed} destroyed keys had come back, and are destroyed again"
            )
            if done.doubtful:
                self.stdout.write(
                    f"THE LIST IS NOT WHOLE: {done.doubtful} lines cannot be read, or are missing. Find the whole one, "
                    "and run manage.py restore --settle --erased-keys FILE before anything is served."
                )
        self.stdout.write(AFTERWARDS)


def _secret(options: dict[str, Any]) -> archive.Secret:
    if options["key_file"] is not None:
        return archive.Secret(private=archive.private_key(options["key_file"]))
    if options["passphrase_file"] is not None:
        return archive.Secret(passphrase=options["passphrase_file"].read_text().rstrip("\n"))
    raise archive.BadArchive("give --key-file or --passphrase-file")
