"""`manage.py audit keygen | sequence | status | verify | export | adopt`: looking after the sealed log. Prints ids,
numbers and codes only."""

import os
import signal
import sys
import threading
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, transaction

from server.audit import adoption, checking, exporting, keeping, keys, mailing, metrics, reading, rows, worker
from server.audit.actions import record
from server.audit.entry import SYSTEM, Entry
from server.audit.models import Pending, Tree, VerifierKey
from server.audit.note import Signer
from server.audit.store import StoreFault, StoreMoved
from server.audit.verify import VerifierKey as Key
from server.operate import loops, preflight
from server.review import lines
from server.vault.errors import MasterKeyFault, VaultError

UNUSABLE = 2
"""Exit code: the database, the store, a key or a folder cannot be used; nothing is known."""
ALTERED, UNACCOUNTED, LINES, LATE = 3, 4, 5, 6
"""Exit codes of `verify`, the worst that was found."""
REFUSED = 7
"""Exit code: it was not confirmed, or there is nothing to do it to."""
SHOWN = 200
"""Faults that are printed; the rest is counted."""
MOST_DISCLOSED = 1_000
"""Events whose details one export gives out; each is an event of its own."""
EVERY_S = 2.0
"""Between two lines of progress."""

PUBLISH = """
Everything that is signed with this key is verified with this line, which is no secret:

  {verifier}

Hand it to every controller's officer on another way than this server: on paper, in person. A log is believed because
its key is known from elsewhere; whoever can change the server can change what it says of its own key.
Keep {path} as you keep the master keys: readable by the sequencer alone, and a copy in a safe.
"""
ROTATED = """
There are {count} keys now, and every checkpoint is signed with each of them once the sequencer has been restarted.
Officers who know an earlier key can go on with it: hand them the new line, and take the old line out of the file when
they all have it.
"""
PERSONAL = """This export holds every entry of the log: who acted, for whom, when, on which basis. These are personal
data of staff and patients of every controller. Give it to officers appointed as log verifiers and to nobody else, on
an encrypted medium, and delete it when the log has been verified. (--no-entries leaves them out.)"""


class Command(BaseCommand):
    help = (
        "The sealed log: keygen (a signing key), sequence (seal in a process of its own), status, verify (every row), "
        "export (files for verify.py), adopt (go on after a deliberate restore)."
    )
    requires_system_checks: list[str] = []  # the sequencer has no master keys, and keygen comes before everything

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        keygen = verbs.add_parser("keygen", help="make a signing key, and say what to publish")
        keygen.add_argument("--name", help="the log's name, for instance log.samsnakk.example; never changed again")
        keygen.add_argument("--out", type=Path, help="file to write (default: where the sequencer looks for it)")
        keygen.add_argument("--rotate", action="store_true", help="add a key to a file that has one already")
        verbs.add_parser("sequence", help="seal until stopped: where SEQUENCER is off for the serving processes")
        verbs.add_parser("status", help="how far the log is sealed, published and kept elsewhere")
        verify = verbs.add_parser("verify", help="hold every row of the log against every other")
        verify.add_argument(
            "--key", action="append", default=[], type=_key, metavar="LINE", help="a verifier key that may have signed"
        )
        verify.add_argument("--no-details", action="store_true", help="leave details closed: needs no master keys")
        verify.add_argument("--quiet", action="store_true", help="say nothing while it goes on")
        export = verbs.add_parser(
            "export", help="write the log as files that verify.py reads; goes on where it stopped"
        )
        export.add_argument("folder", type=Path)
        export.add_argument(
            "--disclose", nargs="+", type=UUID, default=[], metavar="EVENT", help="give out details too"
        )
        export.add_argument("--tree", type=int, help="number of an older tree (default: the newest)")
        export.add_argument("--no-entries", action="store_true", help="hashes only, which are public anyway")
        export.add_argument("--quiet", action="store_true", help="say nothing while it goes on")
        adopt = verbs.add_parser("adopt", help="begin a new tree that names the old one's last checkpoint")
        adopt.add_argument("--reason", required=True, help="why, at most 60 characters; stands in the log for ever")
        adopt.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        verbs = {
            "keygen": self._keygen,
            "sequence": self._sequence,
            "status": self._status,
            "verify": self._verify,
            "export": self._export,
            "adopt": self._adopt,
        }
        try:
            verbs[options["verb"]](options)
        except DatabaseError:
            raise CommandError("the database does not answer", returncode=UNUSABLE) from None
        except (keys.KeyFault, StoreFault, MasterKeyFault) as fault:
            raise CommandError(str(fault), returncode=UNUSABLE) from None

    # --- keys ---
    def _keygen(self, options: dict[str, Any]) -> None:
        path: Path = options["out"] or keys.file()
        known = keys.read(path) if path.exists() else []
        if known and not options["rotate"]:
            raise CommandError(f"{path} holds a key, which is not overwritten; --rotate adds one", returncode=REFUSED)
        name = options["name"] or (known[0].name if known else "")
        if not name:
            raise CommandError("--name is missing: the name that the log is to have for ever", returncode=REFUSED)
        if known and name != known[0].name:
            raise CommandError(f"{path}: its keys are of another name, and a log has one", returncode=REFUSED)
        try:
            signer = Signer.new(name)
            keys.write(path, signer)
            path.chmod(0o600)  # one that was there may be readable by others
        except ValueError as fault:
            raise CommandError(str(fault), returncode=REFUSED) from None
        except OSError as error:
            raise CommandError(f"cannot write {path}: {error.strerror}", returncode=UNUSABLE) from None
        self.stdout.write(PUBLISH.format(verifier=signer.verifier.line, path=path))
        if known:
            self.stdout.write(ROTATED.format(count=len(known) + 1))

    # --- sealing ---
    def _sequence(self, options: dict[str, Any]) -> None:
        """SIGTERM and Ctrl-C end it between two steps; being killed is safe too."""
        stop = threading.Event()
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, lambda *_: stop.set())
        if fault := preflight.store_fault():
            raise CommandError(fault, returncode=UNUSABLE)
        keys.signers()  # what is missing is said at once
        self.stdout.write("Sealing. Ctrl-C or SIGTERM stops.")
        for thread in loops.start(stop, (loops.Loop("audit", metrics.tick, worker.EVERY_S),)):
            thread.join()

    def _status(self, options: dict[str, Any]) -> None:
        newest, waiting = reading.latest(), Pending.objects.count()
        if newest is None:
            self.stdout.write("nothing has been published yet")
        else:
            self.stdout.write(f"log: {reading.origin(newest.tree)} (tree {newest.tree})")
            self.stdout.write(f"published: {newest.size} entries, root {newest.root.hex()}")
        self.stdout.write(f"waiting to be sealed: {waiting}, the oldest for {rows.oldest_pending_s():.1f} s")
        self.stdout.write(f"neither sealed nor waiting, of the last hour: {rows.lost(3600.0)}")
        for line in VerifierKey.objects.order_by("since").values_list("line", flat=True):
            self.stdout.write(f"key: {line}")
        if settings.ENV.sequencer:  # elsewhere the store is another user's
            remembered = worker.store().read()
            same = newest is not None and remembered.current == newest.note
            said = "the published checkpoint" if same else "another checkpoint" if remembered.current else "nothing"
            self.stdout.write(
                f"the sequencer's store remembers: {said}{', and a step begun' if remembered.next else ''}"
            )
        self.stdout.write(f"copies: {keeping.said()}; mail: {mailing.said()}")

    # --- looking ---
    def _verify(self, options: dict[str, Any]) -> None:
        tell = _Teller(self, "entries", quiet=options["quiet"])
        shown, found = list[str](), Counter[int]()
        trusted, whose = _trusted(options["key"])
        self.stdout.write(whose)
        codes = {checking.Kind.ALTERED: ALTERED, checking.Kind.UNACCOUNTED: UNACCOUNTED, checking.Kind.LATE: LATE}
        for fault in checking.check(trusted, tell, details=not options["no_details"]):
            if fault.kind == checking.Kind.KNOWN:
                self.stdout.write(f"known: {fault.text}")
                continue
            found[codes[fault.kind]] += 1
            shown += [f"{fault.kind}: {fault.text}"] if len(shown) < SHOWN else []
        for controller, position in lines.wrong():
            found[LINES] += 1
            shown += [f"lines: controller {controller}, position {position}"] if len(shown) < SHOWN else []
        if found[LINES]:
            shown.append("lines are only a copy for officers: `manage.py review rebuild` makes them anew")
        if found:
            total = sum(found.values())
            raise CommandError("\n".join([f"{total} faults:", *shown]), returncode=min(found))
        self.stdout.write(f"{tell.total} entries: every event, hash, checkpoint and line is as it should be")

    def _export(self, options: dict[str, Any]) -> None:
        published = reading.latest(options["tree"])
        if published is None:
            raise CommandError("nothing has been published yet, or there is no such tree", returncode=REFUSED)
        with_entries, disclosed = not options["no_entries"], list(dict.fromkeys(options["disclose"]))
        if len(disclosed) > MOST_DISCLOSED:
            raise CommandError(f"--disclose takes at most {MOST_DISCLOSED} events", returncode=REFUSED)
        if with_entries:
            self.stdout.write(PERSONAL)
        said = {"tree": published.tree, "size": published.size, "entries": with_entries, "details": len(disclosed)}
        try:
            exporting.details(disclosed)  # what is not there is told before anything is on record
            with transaction.atomic():
                record(Entry("audit.exported", SYSTEM, detail=said))
                exporting.record_disclosed(disclosed)
            tell = _Teller(self, "files", quiet=options["quiet"])
            exporting.export(published, options["folder"], tell, with_entries=with_entries, disclosed=disclosed)
        except exporting.NoSuchEvent as fault:
            raise CommandError(f"there is no event {fault}", returncode=REFUSED) from None
        except exporting.WrongFolder as fault:
            raise CommandError(str(fault), returncode=REFUSED) from None
        except OSError as error:
            raise CommandError(
                f"cannot write there: {error.strerror}. Run it again to go on", returncode=UNUSABLE
            ) from None
        except (reading.Missing, VaultError) as fault:
            raise CommandError(f"the log is not whole ({fault}): run `audit verify`", returncode=ALTERED) from None
        self.stdout.write(f"{published.size} entries. To check: python verify.py {options['folder']} --key KEY")

    def _adopt(self, options: dict[str, Any]) -> None:
        if not 0 < len(options["reason"]) <= 60:
            raise CommandError("--reason has at most 60 characters", returncode=REFUSED)
        name = keys.signers()[0].name
        if not options["yes"]:
            self.stdout.write(
                "A new tree begins, whose first entry names the last checkpoint of the old one. Acts that were sealed\n"
                "there and are not in this database stay unproved by it: keep the old log's exports and checkpoints.\n"
                "Every officer has to be told why. Do this only after a restore that was meant, or a lost store.\n"
            )
            self.stdout.write(f"Type the log's name, {name}, to go on: ", ending="")
            self.stdout.flush()
            if sys.stdin.readline().strip() != name:
                raise CommandError("nothing was changed", returncode=REFUSED)
        try:
            coming = adoption.adopt(store=worker.store(), signers=keys.signers(), reason=options["reason"])
        except adoption.NothingToAdopt:
            raise CommandError(
                "nothing has ever been sealed: the sequencer begins by itself", returncode=REFUSED
            ) from None
        except (adoption.Busy, StoreMoved):
            raise CommandError("a sequencer is at work: stop it, and try again", returncode=REFUSED) from None
        self.stdout.write(f"The log goes on as {coming.said.origin}. Hand this line to every officer, on paper:\n")
        for signer in keys.signers():
            self.stdout.write(f"  {signer.named(coming.said.origin).verifier.line}")
        self.stdout.write("\nRestart every process that seals.")


class _Teller:
    """How far it is, a line every two seconds."""

    def __init__(self, command: Command, what: str, *, quiet: bool) -> None:
        self._command, self._what, self._quiet = command, what, quiet
        self._said = time.monotonic()
        self.total = 0

    def __call__(self, done: int, total: int) -> None:
        self.total = total
        if not self._quiet and time.monotonic() - self._said >= EVERY_S:
            self._said = time.monotonic()
            self._command.stdout.write(f"{done} of {total} {self._what}")


def _trusted(given: Sequence[Key]) -> tuple[list[Key], str]:
    """Keys that checkpoints may be signed with, under the name of every tree, and in words whose they are. The database
    is asked only when there is nobody else: whoever can rewrite the log in it can put a key of their own there.

    Raises KeyFault.
    """
    path, origins = keys.file(), list(Tree.objects.values_list("origin", flat=True))
    if os.access(path, os.R_OK):
        given = [*given, *(signer.verifier for signer in keys.read(path))]
        whose = f"keys: of {path}, and those that were given"
    elif given:
        whose = "keys: those that were given"
    else:
        found = []
        for line in VerifierKey.objects.values_list("line", flat=True):
            with suppress(ValueError):
                found.append(Key.parse(line))
        return found, (
            "KEYS: TAKEN FROM THE DATABASE THAT IS CHECKED, for want of a key file. Whoever rewrote the log there "
            "could have signed it with a key of their own. Give --key."
        )
    named = [Key(origin, key.public) for key in given for origin in origins]
    return list(dict.fromkeys([*given, *named])), whose


def _key(line: str) -> Key:
    try:
        return Key.parse(line)
    except ValueError:
        raise ArgumentTypeError("this is not a verifier key, or it was mistyped") from None
