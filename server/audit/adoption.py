"""After a deliberate restore: the log goes on under a new origin, and says of itself what it continues.

A database that was put back has lost acts that somebody may hold a proof of. Going on as if nothing had happened would
give two logs of one name; so the old name ends, and the first leaf of the new tree holds the last checkpoint that was
signed under it, word for word.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from django.db import transaction
from django.db.models import Max

from server.audit.actions import record
from server.audit.entry import SYSTEM, Actor, Entry
from server.audit.merkle import Range
from server.audit.models import AuditEvent, Head, Tree
from server.audit.note import Signer
from server.audit.reading import latest
from server.audit.sequencer import Elsewhere, Next, Sequencer, Stopped, locked_head
from server.audit.store import Store
from server.audit.verify import BadNote, Checkpoint, open_checkpoint

MOST_TREES = (1 << 15) - 1
"""A node's place has room for so many."""


class NothingToAdopt(Exception):
    """No checkpoint that a key of ours has signed is known: nothing was ever sealed, or the keys are others."""


class Busy(Exception):
    """A sequencer is at work; stop it first."""


class Old(NamedTuple):
    """What is continued: the signed note, and what it says."""

    note: str
    said: Checkpoint


def adopt(*, store: Store, signers: Sequence[Signer], reason: str, actor: Actor = SYSTEM) -> Next:
    """Begin a new tree whose first leaf names the old checkpoint; returns what was sealed and signed.

    What a killed sequencer left behind is finished first, so that nothing which was sealed stays without a signature.
    Named is what the store remembers; where no key of ours has signed that, the newest in the database that one has.
    `reason` is the operator's words (at most 60 characters, no personal data); it stands in the leaf.
    Raises NothingToAdopt, Busy, StoreFault, StoreMoved.
    """
    sequencer = Sequencer(store, signers)
    with suppress(Stopped):
        sequencer.settle()
    try:
        with transaction.atomic(durable=True):
            locked_head()
            kept, name = store.read(), signers[0].name
            old = _continued(kept.current, signers)
            trees = Tree.objects.aggregate(Max("number"))["number__max"] or 0
            number = 1 + max(trees, _number(old.said.origin, name))
            tree = Tree.objects.create(number=number, origin=f"{name}/{number}", follows=old.note)
            head, _ = Head.objects.update_or_create(id=1, defaults={"tree": tree, "size": 0, "root": Range().root()})
            event = record(Entry(type="audit.adopted", actor=actor, reason=reason, follows=old.note))
            text = AuditEvent.objects.values_list("leaf", flat=True).get(id=event)
            coming = sequencer.extend(head, [(event, text)], kept)
    except Elsewhere:
        raise Busy from None
    sequencer.finish(coming.tree, coming.said)
    return coming


def _continued(remembered: str | None, signers: Sequence[Signer]) -> Old:
    published = latest()
    for note in (remembered, published.note if published else None):
        with suppress(BadNote, ValueError):
            if note:
                keys = [signer.named(note.partition("\n")[0]).verifier for signer in signers]
                said = open_checkpoint(note, keys)
                if _number(said.origin, signers[0].name) < MOST_TREES:
                    return Old(note, said)
    raise NothingToAdopt


def _number(origin: str, name: str) -> int:
    """The number of the tree that a checkpoint is of: the store may remember one that the database has lost."""
    ending = origin.removeprefix(name + "/")
    return int(ending) if ending != origin and ending.isdecimal() else 1
