"""The whole log against itself, inside the database: every event, leaf, node and checkpoint (law 8).

What `verify.py` asks of an export is asked here of the rows that exports are made of, and more: the columns beside a
leaf, the details under their commitment, and that no event is missing from both the tree and the list of those that
wait. Each fault is named with the event's id and its index. Whoever could rewrite all of it together, with the key, is
found out by a checkpoint that was kept elsewhere, and by nothing in here.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from server.audit import detail_checking, following, leaf
from server.audit.merkle import HEIGHT, Range
from server.audit.models import AuditEvent, Checkpoint, Head, Leaf, Node, Pending, Tree, index_of, position, tree_of
from server.audit.models import VerifierKey as KeyRow
from server.audit.reading import place
from server.audit.rows import oldest_pending_s
from server.audit.verify import BadNote, VerifierKey, leaf_hash, open_checkpoint
from server.common.sql import rfc3339, uuid_in, uuid_out

CHUNK = 2_000
NAMED = 100
"""At most so many rows of one kind are named; the rest is counted."""
LATE_S = 5.0
SPAN = 20_000
"""Events of one statement that looks for what is missing."""

Progress = Callable[[int, int], None]
"""(entries done, entries in all)."""


class Kind(StrEnum):
    """How bad it is, the worst first; what is known is no fault."""

    ALTERED = "altered"
    UNACCOUNTED = "unaccounted"
    LATE = "late"
    KNOWN = "known"


class Fault(NamedTuple):
    """`text` names ids, numbers and codes only."""

    kind: Kind
    text: str


class Sealed(NamedTuple):
    """A leaf's row."""

    position: int
    event_id: UUID
    hash: bytes


class Whole(NamedTuple):
    """A tree as far as it is checked: up to `size` when the check began."""

    tree: Tree
    size: int
    newest: bool


def check(keys: Sequence[VerifierKey], progress: Progress, *, details: bool = True) -> Iterator[Fault]:
    """Everything that is wrong, in the order it is met. `keys` are those that checkpoints may be signed with; `details`
    are opened and compared unless it says otherwise, which takes the master keys.

    What the database itself says of the keys is believed of none: a row that is not among `keys` is a fault. Raises
    MasterKeyFault, and what the database raises.
    """
    yield from _strangers(keys)
    trees = _trees()
    total, done = sum(one.size for one in trees), 0
    for one in trees:
        for size, faults in _tree(one, keys, details):
            yield from faults
            progress(done + size, total)
        done += one.size
    yield from (Fault(Kind.ALTERED if told.altered else Kind.KNOWN, told.text) for told in following.compare(keys))
    yield from _beyond(trees)
    yield from _accounts()


def _strangers(keys: Sequence[VerifierKey]) -> Iterator[Fault]:
    known = {key.line for key in keys}
    for line in KeyRow.objects.order_by("since", "line").values_list("line", flat=True):
        if line not in known:
            yield _altered(f"the verifier key {line!a} in the database is none of those that may have signed")


def _trees() -> list[Whole]:
    head = Head.objects.first()
    found = []
    for tree in Tree.objects.order_by("number"):
        newest = head is not None and head.tree_id == tree.number
        found.append(Whole(tree, head.size if head is not None and newest else _last_size(tree.number), newest))
    return found


def _last_size(tree: int) -> int:
    """Of the last checkpoint that the tree has leaves for."""
    within = {"position__gte": position(tree, 0), "position__lt": position(tree + 1, 0)}
    leaf = Leaf.objects.filter(**within).order_by("-position").values_list("position", flat=True).first()
    if leaf is None:
        return 0
    sizes = Checkpoint.objects.filter(**within).filter(position__lte=leaf + 1)
    last = sizes.order_by("-position").values_list("position", flat=True).first()
    return 0 if last is None else index_of(last)


# --- one tree, from its first leaf to its last ---


def _tree(whole: Whole, keys: Sequence[VerifierKey], details: bool) -> Iterator[tuple[int, list[Fault]]]:
    """(entries done, faults) for each chunk."""
    number, growing, holes = whole.tree.number, Range(), False
    signed = _Signed(whole, keys)
    for start in range(0, whole.size, CHUNK):
        end, faults = min(start + CHUNK, whole.size), list[Fault]()
        rows = _leaves(number, start, end)
        there = {index_of(row.position): row for row in rows}
        faults += [
            _altered(f"tree {number}, entry {index}: the leaf is missing") for index in _absent(there, start, end)
        ]
        faults += _events(number, rows, details)
        holes = holes or len(there) < end - start
        if not holes:
            nodes = []
            for index in range(start, end):
                nodes += [(level, at, kept) for level, at, kept in growing.append(there[index].hash)]
                faults += signed.at(growing)
            faults += _nodes(number, nodes)
        yield end, faults
    if not holes:
        yield whole.size, signed.left(growing)


def _leaves(tree: int, start: int, end: int) -> list[Sealed]:
    rows = Leaf.objects.filter(position__gte=position(tree, start), position__lt=position(tree, end))
    found = rows.order_by("position").values_list("position", "event_id", "hash")
    return [Sealed(at, event, bytes(kept)) for at, event, kept in found]


def _absent(there: Iterable[int], start: int, end: int) -> list[int]:
    return sorted(set(range(start, end)) - set(there))[:NAMED]


def _events(tree: int, rows: Sequence[Sealed], details: bool) -> Iterator[Fault]:
    events = {event.id: event for event in AuditEvent.objects.filter(id__in=[row.event_id for row in rows])}
    wrong = detail_checking.wrong(list(events.values()), opened=details)
    for row in rows:
        name, event = f"tree {tree}, entry {index_of(row.position)} (event {row.event_id})", events.get(row.event_id)
        if event is None:
            yield _altered(f"{name}: the event is missing")
            continue
        if leaf_hash(event.leaf.encode()) != row.hash:
            yield _altered(f"{name}: the event is not what was sealed, or its hash was changed")
        if differing := _columns(event):
            yield _altered(f"{name}: columns say something else than what was sealed: {', '.join(differing)}")
        if event.id in wrong:
            yield _altered(f"{name}: {wrong[event.id]}")


def _columns(event: AuditEvent) -> list[str]:
    """Names of what the columns say otherwise than the leaf."""
    try:
        said = json.loads(event.leaf)
        sealed = {"detail": said["detail"], "follows": said.get("follows")}
    except (ValueError, LookupError, TypeError, AttributeError):
        return ["all of it: the leaf is not JSON of ours"]
    parts = leaf.of_row(event, commitment=sealed["detail"], follows=sealed["follows"])
    text = parts.at(rfc3339(event.at))
    if text == event.leaf:
        return []
    ours, theirs = _flat(json.loads(text)), _flat(said)
    names = [name for name in sorted(ours | theirs) if ours.get(name) != theirs.get(name)]
    return names or ["its form: not the canonical one"]


def _flat(said: dict[str, Any]) -> dict[str, Any]:
    """With what is said of the actor beside all else."""
    actor = said.get("actor")
    within = {f"actor.{name}": value for name, value in actor.items()} if isinstance(actor, dict) else {}
    return {name: value for name, value in said.items() if name != "actor"} | within


def _nodes(tree: int, wanted: Sequence[tuple[int, int, bytes]]) -> Iterator[Fault]:
    places = [place(tree, level, number) for level, number, _ in wanted]
    kept = {at: bytes(hash_) for at, hash_ in Node.objects.filter(place__in=places).values_list("place", "hash")}
    for at, (level, number, computed) in zip(places, wanted, strict=True):
        if kept.get(at) != computed:
            what = "is missing" if at not in kept else "was changed"
            first, each = number << (HEIGHT * level), 1 << (HEIGHT * level)
            yield _altered(
                f"tree {tree}, kept hash {number} of level {level} (entries {first} to {first + each - 1}) {what}"
            )


class _Signed:
    """The checkpoints of one tree, held against its leaves as they come by."""

    def __init__(self, whole: Whole, keys: Sequence[VerifierKey]) -> None:
        number = whole.tree.number
        within = Checkpoint.objects.filter(position__gt=position(number, 0), position__lte=position(number, whole.size))
        self._whole, self._keys = whole, keys
        self._rows = iter(within.order_by("position").iterator(CHUNK))
        self._next = next(self._rows, None)
        self._good = 0
        self._wrong = 0

    def at(self, growing: Range) -> Iterator[Fault]:
        """What is wrong with the checkpoint of the tree's present size, if there is one."""
        while self._next is not None and index_of(self._next.position) == growing.size:
            row, self._next = self._next, next(self._rows, None)
            yield from self._fault(row, growing)

    def left(self, growing: Range) -> list[Fault]:
        """After the last leaf."""
        faults, tree = [], self._whole.tree.number
        if self._wrong > 1:
            faults.append(_altered(f"tree {tree}: {self._wrong - 1} further checkpoints have another root too"))
        head = Head.objects.filter(tree_id=tree, size=self._whole.size).first()
        if head is not None and bytes(head.root) != growing.root():
            faults.append(
                _altered(f"tree {tree}: the head at size {self._whole.size} has another root than its leaves")
            )
        return faults

    def _fault(self, row: Checkpoint, growing: Range) -> Iterator[Fault]:
        name = f"tree {self._whole.tree.number}, checkpoint of size {growing.size}"
        if bytes(row.root) != growing.root():
            self._wrong += 1
            if self._wrong == 1:
                yield _altered(
                    f"{name}: another root than its entries have; {self._good} to {growing.size - 1} changed"
                )
        elif not self._wrong:
            self._good = growing.size
        if not row.note:
            if self._next is not None or not self._whole.newest:  # the last one may be about to be signed
                yield _altered(f"{name}: it is not signed")
            return
        try:
            said = open_checkpoint(row.note, self._keys)
        except BadNote as fault:
            yield _altered(f"{name}: {fault}")
            return
        if (said.origin, said.size, said.root) != (self._whole.tree.origin, growing.size, bytes(row.root)):
            yield _altered(f"{name}: the signed text says something else than the row")


# --- what is in no tree, or beyond one ---


def _beyond(trees: Sequence[Whole]) -> Iterator[Fault]:
    """Leaves behind the end: of the newest tree as it is now, since it grows meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT h.tree_id, h.size, (SELECT max(position) FROM audit_leaf) FROM audit_head h")
        row = cursor.fetchone()
    if row is not None and row[2] is not None and row[2] >= position(row[0], row[1]):
        yield _altered(f"tree {row[0]}: there are leaves beyond its {row[1]} entries")
    if row is None and Leaf.objects.exists():
        yield _altered("there are leaves, and no head")
    yield from _checkpoints_beyond(trees)
    numbers = [-1, *(one.tree.number for one in trees), 1 << 22]
    for before, after in pairwise(numbers):
        between = {"position__gte": position(before + 1, 0), "position__lt": position(after, 0)}
        if any(rows.filter(**between).exists() for rows in (Leaf.objects, Checkpoint.objects)):
            yield _altered("there are leaves or checkpoints of no tree")
    for one in trees:
        if not one.newest:
            later = Leaf.objects.filter(
                position__gte=position(one.tree.number, one.size), position__lt=position(one.tree.number + 1, 0)
            )
            if later.exists():
                yield _altered(f"tree {one.tree.number}: there are leaves beyond its {one.size} entries")


AHEAD = (
    "SELECT c.position FROM audit_checkpoint c, audit_head h "
    "WHERE c.position > CAST(h.tree_id AS bigint) * 1099511627776 + h.size ORDER BY c.position LIMIT %s"
)
"""One statement, so one moment: a tree that grows has no checkpoint beyond its head."""


def _checkpoints_beyond(trees: Sequence[Whole]) -> Iterator[Fault]:
    """Checkpoints of more than there is."""
    with connection.cursor() as cursor:
        cursor.execute(AHEAD, [NAMED])
        found = [at for (at,) in cursor.fetchall()]
    for one in trees:
        if not one.newest:
            beyond = {
                "position__gt": position(one.tree.number, one.size),
                "position__lt": position(one.tree.number + 1, 0),
            }
            rows = Checkpoint.objects.filter(**beyond).order_by("position")
            found += rows.values_list("position", flat=True)[:NAMED]
    sizes = {one.tree.number: one.size for one in trees}
    for at in found:
        entries = sizes.get(tree_of(at), 0)
        yield _altered(f"tree {tree_of(at)}: a checkpoint of size {index_of(at)}, beyond its {entries} entries")


NOWHERE = (
    "SELECT e.id FROM audit_auditevent e WHERE e.id > %s AND e.id <= %s "
    "AND NOT EXISTS (SELECT 1 FROM audit_leaf l WHERE l.event_id = e.id) "
    "AND NOT EXISTS (SELECT 1 FROM audit_pending p WHERE p.event_id = e.id)"
)
"""One statement, so one moment: an event that is being sealed is in one of the two."""
TWICE = "SELECT p.event_id FROM audit_pending p JOIN audit_leaf l ON l.event_id = p.event_id"
NOTHING = "SELECT p.event_id FROM audit_pending p LEFT JOIN audit_auditevent e ON e.id = p.event_id WHERE e.id IS NULL"


def _accounts() -> Iterator[Fault]:
    for first, last in _spans():
        yield from _named(NOWHERE, [uuid_in(first), uuid_in(last)], "neither sealed nor waiting to be")
    yield from _named(TWICE, [], "sealed, and waiting to be sealed again")
    yield from _named(NOTHING, [], "waits to be sealed, and is not there")
    waited = oldest_pending_s()
    if waited > LATE_S:
        yield Fault(Kind.LATE, f"{Pending.objects.count()} events wait, the oldest for {waited:.0f} s: is it sealing?")


def _named(sql: str, values: list[Any], what: str) -> Iterator[Fault]:
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} LIMIT {NAMED}", values)
        found = [uuid_out(event) for (event,) in cursor.fetchall()]
    yield from (Fault(Kind.UNACCOUNTED, f"event {event}: {what}") for event in found)
    if len(found) == NAMED:
        yield Fault(Kind.UNACCOUNTED, f"there may be more than these {NAMED}")


def _spans() -> Iterator[tuple[UUID, UUID]]:
    """All events in spans of ids, each small enough for one statement; what is written meanwhile comes in the last."""
    after, end = UUID(int=0), UUID(int=(1 << 128) - 1)
    while after != end:
        following = AuditEvent.objects.filter(id__gt=after).order_by("id").values_list("id", flat=True)
        last = next(iter(following[SPAN - 1 : SPAN]), end)
        yield after, last
        after = last


def _altered(text: str) -> Fault:
    return Fault(Kind.ALTERED, text)
