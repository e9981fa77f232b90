"""How the trees of the log follow one another, inside the database: what each names as the end of the one before."""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from server.audit.merkle import Range
from server.audit.models import AuditEvent, Leaf, Tree, index_of, position
from server.audit.reading import Missing, latest, reader
from server.audit.verify import BadNote, Checkpoint, VerifierKey, open_checkpoint


class Told(NamedTuple):
    """A difference, or else what a restore is known to have lost."""

    altered: bool
    text: str


def compare(keys: Sequence[VerifierKey]) -> Iterator[Told]:
    """Each tree against the one before: its first entry, which is sealed, says where that one ended."""
    trees = list(Tree.objects.order_by("number"))
    for number, tree in enumerate(trees):
        yield from _compare(tree, trees[:number], keys)


def _compare(tree: Tree, earlier: Sequence[Tree], keys: Sequence[VerifierKey]) -> Iterator[Told]:
    name, sealed = f"tree {tree.number}", _sealed(tree.number)
    if sealed is None:
        return  # named where each entry is looked at
    if sealed != tree.follows:
        yield Told(True, f"{name}: its row says that it follows something else than its first entry does")
    if not sealed:
        if tree.number > 1:
            yield Told(True, f"{name}: its first entry does not say what it follows")
        return
    try:
        origin = sealed.partition("\n")[0]
        old = open_checkpoint(sealed, [*keys, *(VerifierKey(origin, key.public) for key in keys)])
    except ValueError as fault:
        why = fault if isinstance(fault, BadNote) else "this is not a signed note"
        yield Told(True, f"{name}: what it follows cannot be believed: {why}")
        return
    followed = _number(old.origin, tree)
    if followed is None:
        yield Told(True, f"{name}: its name and that of the log that it follows do not fit together")
    elif not earlier or followed > earlier[-1].number:
        yield Told(False, f"{name} follows tree {followed} of {old.size} entries, and none of them is here")
    elif followed < earlier[-1].number or old.origin != earlier[-1].origin:
        yield Told(True, f"{name}: it does not follow tree {earlier[-1].number}, as that one's row has it")
    else:
        yield from _ends(name, old, followed)


def _ends(name: str, old: Checkpoint, tree: int) -> Iterator[Told]:
    """Whether the tree ended as the next one says."""
    held, last = _held(tree), latest(tree)
    if last is not None and last.size > old.size:
        yield Told(True, f"{name}: it says that tree {tree} ended with {old.size} entries; {last.size} were signed")
    if held < old.size:
        yield Told(False, f"{name} follows tree {tree} of {old.size} entries, and {held} of them are here")
        return
    try:
        root = Range.at(old.size, reader(tree)).root()
    except Missing:
        return  # named where each entry is looked at
    if root != old.root:
        yield Told(True, f"{name}: it follows a tree {tree} of {old.size} entries with another root than they have")


def _sealed(tree: int) -> str | None:
    """What the first entry says that it follows; empty for nothing. None where it cannot be read."""
    first = Leaf.objects.filter(position=position(tree, 0)).values("event_id")
    text = AuditEvent.objects.filter(id__in=first).values_list("leaf", flat=True).first()
    try:
        return str(json.loads(text or "").get("follows") or "")
    except (ValueError, AttributeError):
        return None


def _held(tree: int) -> int:
    """Up to which entry the tree is here."""
    within = Leaf.objects.filter(position__gte=position(tree, 0), position__lt=position(tree + 1, 0))
    last = within.order_by("-position").values_list("position", flat=True).first()
    return 0 if last is None else index_of(last) + 1


def _number(origin: str, after: Tree) -> int | None:
    """Of the tree with this origin, in the log that `after` is of; None where it is no earlier tree of it."""
    log = after.origin.removesuffix(f"/{after.number}")
    ending = origin.removeprefix(f"{log}/")
    number = 1 if origin == log else int(ending) if ending != origin and ending.isdecimal() else 0
    return number if log != after.origin and 0 < number < after.number else None
