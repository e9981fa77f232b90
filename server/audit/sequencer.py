"""Sealing the log: pending events get consecutive places in a tree, and the tree a signed checkpoint (law 8).

One step at a time holds the head's lock, so there is one sequencer, however many try: a row's lock, for which a role
needs the right to write, so that nobody else can keep it. The order of the four writes is what makes it safe to kill at
any moment:

1. `next` (unsigned root and the ordered events) goes to the store, on disk, while the transaction is open.
   Killed before: nothing has happened. Killed after: the database still equals `current`, and `next` is dropped.
2. The transaction commits.
   Killed after: the database equals `next`, and the start finishes from 3, once the events that `next` names, put
   behind the tree that `current` signs, give its root: whoever can write both may add to the log, and not rewrite it.
   No other root of this size can be signed: a swap of the store by anybody who has not seen `next` fails, and a
   checkpoint's size is a primary key.
3. The root is signed; the signed note replaces `current` in the store, on disk, and `next` goes.
   Killed after: the database equals `current`, but the note is not in it yet; the start writes it.
4. Only now is the note published, by being written to the checkpoint's row.
   So whatever anybody outside has seen, the store knows.

Pending rows are taken by being there, and never by "greater than the last id": ids commit out of order.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from server.audit.merkle import Range
from server.audit.models import Checkpoint, Head, Tree, VerifierKey, position
from server.audit.note import Signer, sign_note
from server.audit.reading import Missing, place, reader
from server.audit.rows import claim, follows, insert_leaves, insert_nodes, take_off, texts
from server.audit.store import State, Store, StoreMoved
from server.audit.verify import BadNote, leaf_hash, open_checkpoint
from server.audit.verify import Checkpoint as Said

BATCH = 5_000
"""Events of one step."""


class Stopped(Exception):
    """The database and the store do not agree, or the store cannot be believed: nothing is sealed until somebody has
    looked. `code` is one of the words below.

    `rolled_back`: the database is not as it was when the last checkpoint was signed; `no_memory`: the store is empty
    and the tree is not; `memory_forged`: `current` is not signed by a key of ours; `head_damaged`: the kept hashes do
    not give the head's root.
    """

    def __init__(self, code: str) -> None:
        super().__init__(WORDS[code])
        self.code = code


WORDS = {
    "rolled_back": "the database is not as it was when the last checkpoint was signed: it was put back or changed",
    "no_memory": "there is a sealed log, and the sequencer's store remembers none",
    "memory_forged": "the checkpoint in the sequencer's store is not signed by a key of this installation",
    "head_damaged": "the hashes kept in the database do not give the root that it states",
}


@dataclass(frozen=True, slots=True)
class Next:
    """What is about to be committed; stands in the store before it stands in the database."""

    tree: int
    said: Said
    events: Sequence[UUID]

    def text(self) -> str:
        return json.dumps(
            {
                "tree": self.tree,
                "origin": self.said.origin,
                "size": self.said.size,
                "root": self.said.root.hex(),
                "events": [str(event) for event in self.events],
            }
        )


class Elsewhere(Exception):
    """Somebody else is at work."""


def reached(point: str) -> None:
    """A named point between two writes. Does nothing; proofs end the process here."""


class Sequencer:
    """Seals pending events, `step` by `step`, with these keys and this memory. Any number may run; one works."""

    def __init__(self, store: Store, signers: Sequence[Signer], *, batch: int = BATCH) -> None:
        self.store = store
        self.signers = signers
        self.batch = batch
        self._range: tuple[int, Range] | None = None
        self._believed: tuple[str, Said] | None = None
        self._shown = ""
        self._announced = False
        self.strange = 0
        """How many pending rows the last step could not seal: without an event, sealed already, or not of our form."""

    def step(self) -> int:
        """Seal one batch; returns how many events that were, 0 when there was nothing or somebody else is at work.

        Raises Stopped, StoreFault, and what the database raises.
        """
        if not self._announced:
            self._announce()
        try:
            with transaction.atomic(durable=True):
                head, known = self._settled(locked_head())
                waiting, self.strange = claim(self.batch)
                if not waiting:
                    return 0
                coming = self.extend(head, waiting, known)
            reached("committed")
            self.finish(coming.tree, coming.said)
        except (Elsewhere, StoreMoved):
            return 0  # another sequencer is at work, or took over from here and finishes what we began
        return len(coming.events)

    def settle(self) -> None:
        """Finish what a sequencer that was killed has left behind. Raises as `step` does."""
        with suppress(Elsewhere, StoreMoved), transaction.atomic(durable=True):
            self._settled(locked_head())

    def extend(self, head: Head, waiting: Sequence[tuple[UUID, str]], known: State) -> Next:
        """In the caller's transaction: give the events places after the head, having told the store first.

        `known` is the store as it was read under the head's lock. A connection that breaks gives up that lock before we
        hear of it: were the store read again here, the `next` of who has the lock by then would be overwritten.
        """
        tree, first = head.tree_id, head.size
        growing = self._grown(head)
        leaves, nodes = [], []
        for offset, (event, text) in enumerate(waiting):
            hash_ = leaf_hash(text.encode())
            leaves.append((position(tree, first + offset), event, hash_))
            nodes += [(place(tree, level, number), kept) for level, number, kept in growing.append(hash_)]
        events = [event for event, _ in waiting]
        coming = Next(tree, Said(head.tree.origin, growing.size, growing.root()), events)
        self.store.swap(known, known._replace(next=coming.text()))
        reached("next_written")
        insert_leaves(leaves)
        insert_nodes(nodes)
        take_off(events)
        Checkpoint.objects.create(position=position(tree, growing.size), root=coming.said.root)
        Head.objects.filter(id=head.id).update(size=growing.size, root=coming.said.root, stopped="")
        self._range = (tree, growing)
        reached("inserted")
        return coming

    def finish(self, tree: int, said: Said) -> None:
        """Sign, remember, publish: what follows the commit. Raises StoreMoved when another has done it."""
        note = sign_note(said.text, self._signing_as(said.origin))
        reached("signed")
        self.store.swap(self._expecting(said), State(current=note))
        reached("remembered")
        publish(tree, said.size, note)
        if not connection.in_atomic_block:  # else it may yet be rolled back
            self._shown = note
        reached("published")

    def _settled(self, head: Head | None) -> tuple[Head, State]:
        """The locked head and the store, after making sure that they tell the same story."""
        state = self.store.read()
        if head is None:
            if state.current is not None:
                raise Stopped("rolled_back")
            if state.next is not None:
                self.store.swap(state, State())
            return self._begun(), State()
        stands = (head.tree.origin, head.size, bytes(head.root))
        current = self._opened(state.current) if state.current is not None else None
        if current is not None and (current.origin, current.size, current.root) == stands:
            if state.current != self._shown:
                publish(head.tree_id, head.size, str(state.current))
        elif state.next is not None and _of(state.next) == stands:
            self._follows(current, state, head)
            self.finish(head.tree_id, Said(*stands))
            state = self.store.read()
        elif current is not None:
            raise Stopped("rolled_back")
        elif head.size:
            raise Stopped("no_memory")
        settled = state._replace(next=None)
        if state != settled:
            self.store.swap(state, settled)
        return head, settled

    def _follows(self, before: Said | None, state: State, head: Head) -> None:
        """Make sure that the committed head is what `current` signs, with the events of `next` behind it: `next` itself
        bears no signature. An adopted tree begins with the one event that names `current`. Raises Stopped."""
        events = _events(state.next or "")
        entries = texts(events)
        if before is not None and before.origin == head.tree.origin:
            growing = self._range_at(head.tree_id, before.size)
            if growing.root() != before.root:
                raise Stopped("rolled_back")
        else:
            growing = Range()
            if before is not None and [follows(text) for text in entries] != [state.current]:
                raise Stopped("rolled_back")
        for text in entries:
            for _ in growing.append(leaf_hash(text.encode())):
                pass
        if (growing.size, growing.root()) != (head.size, bytes(head.root)):
            raise Stopped("head_damaged")

    @staticmethod
    def _range_at(tree: int, size: int) -> Range:
        try:
            return Range.at(size, reader(tree))
        except Missing:
            raise Stopped("head_damaged") from None

    def _expecting(self, said: Said) -> State:
        """The store as it must be for `said` to become current: with exactly this as `next`."""
        state = self.store.read()
        if state.next is None or _of(state.next) != (said.origin, said.size, said.root):
            raise StoreMoved
        return state

    def _opened(self, note: str) -> Said:
        """What it says; byte for byte the same is verified once. Raises Stopped when none of our keys has signed it."""
        if self._believed is None or self._believed[0] != note:
            try:
                origin = note.partition("\n")[0]
                said = open_checkpoint(note, [signer.verifier for signer in self._signing_as(origin)])
            except (BadNote, ValueError):
                raise Stopped("memory_forged") from None
            self._believed = note, said
        return self._believed[1]

    def _grown(self, head: Head) -> Range:
        """The range at the head: a copy of the one at hand, or read again and held against the head's root."""
        root = bytes(head.root)
        if self._range is not None and self._range[0] == head.tree_id and self._range[1].root() == root:
            return self._range[1].copy()
        found = self._range_at(head.tree_id, head.size)
        if found.root() != root:
            raise Stopped("head_damaged")
        return found

    def _begun(self) -> Head:
        """The first tree of an installation, empty."""
        if Tree.objects.exists():
            raise Stopped("head_damaged")
        tree = Tree.objects.create(number=1, origin=self.signers[0].name)
        return Head.objects.create(tree=tree, size=0, root=Range().root())

    def _signing_as(self, origin: str) -> list[Signer]:
        return [signer.named(origin) for signer in self.signers]

    def _announce(self) -> None:
        """Put the keys on record, so that others can be told by which to verify."""
        origins = Tree.objects.values_list("origin", flat=True)
        wanted = {
            signer.named(origin).verifier.line for signer in self.signers for origin in [self.signers[0].name, *origins]
        }
        known = set(VerifierKey.objects.filter(line__in=wanted).values_list("line", flat=True))
        VerifierKey.objects.bulk_create([VerifierKey(line=line) for line in wanted - known], ignore_conflicts=True)
        self._announced = True


def publish(tree: int, size: int, note: str) -> None:
    """Write the signed note to its checkpoint's row; doing it again changes nothing."""
    Checkpoint.objects.filter(position=position(tree, size), note="").update(note=note)


def _of(text: str) -> tuple[str, int, bytes]:
    said = _read(text)
    return said["origin"], said["size"], bytes.fromhex(said["root"])


def _events(text: str) -> list[UUID]:
    return [UUID(event) for event in _read(text)["events"]]


def _read(text: str) -> dict[str, Any]:
    """What `Next.text` wrote. Raises Stopped for anything else."""
    try:
        said = json.loads(text)
        return {
            "origin": str(said["origin"]),
            "size": int(said["size"]),
            "root": bytes.fromhex(said["root"]).hex(),
            "events": [str(UUID(event)) for event in said["events"]],
        }
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Stopped("memory_forged") from None


def locked_head() -> Head | None:
    """The head, locked until the transaction ends; None where nothing was ever sealed. Raises Elsewhere."""
    found = Head.objects.select_for_update(of=("self",), skip_locked=True).select_related("tree").first()
    if found is None and (Head.objects.exists() or not _first()):
        raise Elsewhere
    return found


def _first() -> bool:
    """Whether this transaction may begin the log: there is no row to lock yet."""
    if connection.vendor == "sqlite":
        return True  # IMMEDIATE transactions exclude each other
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])


LOCK = int.from_bytes(hashlib.sha256(b"samsnakk audit sequencer").digest()[:8], signed=True)
