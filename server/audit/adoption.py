"""After a deliberate restore: the log goes on under a new origin, and says of itself what it continues.

A database that was put back has lost acts that somebody may hold a proof of. Going on as if nothing had happened would
give two logs of one name; so the old name ends, and the first leaf of the new tree holds the last checkpoint that was
signed under it, word for word.
"""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import Max

from server.audit.actions import record
from server.audit.entry import SYSTEM, Actor, Entry
from server.audit.merkle import Range
from server.audit.models import AuditEvent, Head, Tree
from server.audit.note import Signer
from server.audit.reading import latest
from server.audit.sequencer import Next, Sequencer, alone
from server.audit.store import Store
from server.audit.verify import Checkpoint


class NothingToAdopt(Exception):
    """Nothing has ever been sealed: the sequencer begins by itself."""


class Busy(Exception):
    """A sequencer is at work; stop it first."""


def adopt(*, store: Store, signers: Sequence[Signer], reason: str, actor: Actor = SYSTEM) -> Next:
    """Begin a new tree whose first leaf names the old checkpoint; returns what was sealed and signed.

    `reason` is the operator's words (at most 60 characters, no personal data); it stands in the leaf.
    Raises NothingToAdopt, Busy, StoreFault, StoreMoved.
    """
    sequencer = Sequencer(store, signers)
    with transaction.atomic():
        if not alone():
            raise Busy
        old = store.read()
        known = latest()
        follows = old.current or (known.note if known else None)
        if follows is None:
            raise NothingToAdopt
        number = 1 + max(Tree.objects.aggregate(Max("number"))["number__max"] or 0, _number(follows, signers[0].name))
        tree = Tree.objects.create(number=number, origin=f"{signers[0].name}/{number}", follows=follows)
        head, _ = Head.objects.update_or_create(id=1, defaults={"tree": tree, "size": 0, "root": Range().root()})
        entry = Entry(type="audit.adopted", actor=actor, reason=reason, follows=follows)
        event = record(entry)
        text = AuditEvent.objects.values_list("leaf", flat=True).get(id=event)
        coming = sequencer.extend(head, [(event, text)], old)
    sequencer.finish(coming.tree, coming.said)
    return coming


def _number(note: str, name: str) -> int:
    """The number of the tree that a checkpoint is of: the store may remember one that the database has lost."""
    origin = Checkpoint.parse(note.partition("\n\n")[0] + "\n").origin
    ending = origin.removeprefix(name + "/")
    return int(ending) if ending != origin and ending.isdecimal() else 1
