"""A back-up comes back, into an empty database only; then the database is made fit to be served.

It is older than the world. Sessions may have been ended since, keys destroyed, calls for help answered or raised, and
what was on its way may have arrived. None of that can be known, so: every session ends (alert keys stay: nobody is
locked out of help), destroyed keys are destroyed again, open calls for help call people anew, and whatever else waited
to be sent is dropped. The log says so itself, and its sequencer stops until `audit adopt`.
"""

from pathlib import Path
from typing import Any, NamedTuple

from django.db import transaction
from django.db.migrations.loader import MigrationLoader

from server.alerts.actions.anew import call_all_anew
from server.audit.actions import record
from server.audit.entry import SYSTEM, Entry
from server.notify.actions import drop_all
from server.operate import preflight
from server.operate.archive import BadArchive, Secret, read, read_head
from server.operate.backup import verify
from server.operate.engines import Engine
from server.people.actions import end_all_sessions
from server.review import erasing
from server.vault import erased

REASON = "restored"


class NotFit(Exception):
    """Something must be done first; the text says what."""


class Settled(NamedTuple):
    """What was done after the load: how many sessions were ended, deliveries dropped, alerts begun anew, keys destroyed
    again. `listed` is None where there is no list of destroyed keys; `doubtful` lines and keys of it could not be read,
    or should stand there and do not."""

    sessions: int
    deliveries: int
    alerts: int
    listed: int | None
    destroyed: int
    doubtful: int


def restore(engine: Engine, path: Path, secret: Secret, signer: str = "") -> dict[str, Any]:
    """Load it, once it has been read to its end and found whole, and made by whom `signer` (a public key) names; its
    manifest.

    Raises BadArchive (also when the database is not empty), EngineFault, OSError.
    """
    if not engine.is_empty():
        raise BadArchive("the database is not empty: a back-up is restored into an empty one only")
    with path.open("rb") as file:
        _, head = read_head(file)
    manifest = verify(engine, path, secret, signer)
    known = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
    if any((app, name) not in known for app, name in manifest["migrations"].items()):
        raise BadArchive("it is of a newer version than this one, or of another product")
    with path.open("rb") as file:
        if read_head(file)[1] != head:
            raise BadArchive("somebody has put another file in its place meanwhile")
        file.seek(0)
        engine.load(read(file, secret).pieces)
    return manifest


def settle(listed: Path | None = None, *, unsigned: bool = False) -> Settled:
    """Everything that must be so before it is served; twice is once. `listed`: the list of destroyed keys, where it is
    not in its usual place; `unsigned`: nobody knows who made the back-up, which the log says. Raises NotFit, OSError,
    DestructionRefused, MasterKeyFault."""
    if waiting := preflight.bring_up_to_date():
        raise NotFit(waiting)
    path = listed or erased.file()
    again = erasing.reapply(path) if listed or path.exists() else None
    with transaction.atomic():
        deliveries = drop_all(code=REASON)
        record(Entry("database.restored", SYSTEM, reason="unsigned" if unsigned else ""))
    sessions = 0
    while ended := end_all_sessions(reason=REASON):
        sessions += ended
    return Settled(
        sessions,
        deliveries,
        call_all_anew(code=REASON),
        again.listed if again else None,
        again.keys if again else 0,
        again.bad + again.missing if again else 0,
    )
