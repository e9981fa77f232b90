"""What has been sealed, as others read it: checkpoints, tiles, entries, proofs."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet

from server.audit.merkle import HEIGHT, WIDTH, Reader, consistency, inclusion
from server.audit.models import AuditEvent, Checkpoint, Leaf, Node, Tree, index_of, position, tree_of

LEVEL_BITS, TREE_BITS = 40, 48
"""A node's place is `tree << 48 | level << 40 | number`."""


class Missing(LookupError):
    """A kept hash or an event is not there although the tree's size says so: somebody has been in the database."""


class Published(NamedTuple):
    tree: int
    size: int
    root: bytes
    note: str


def place(tree: int, level: int, number: int) -> int:
    return tree << TREE_BITS | level << LEVEL_BITS | number


def latest(tree: int | None = None, *, until: datetime | None = None) -> Published | None:
    """The newest published checkpoint, of one tree or of the newest; `until` leaves out those made later. None before
    the first."""
    found = signed() if until is None else signed().filter(made_at__lte=until)
    if tree is not None:
        found = found.filter(position__gte=position(tree, 0), position__lt=position(tree + 1, 0))
    return _published(found.order_by("-position"))


def first_over(at: int) -> Published | None:
    """The first published checkpoint that covers the leaf at this position; None while there is none."""
    later = signed().filter(position__gt=at, position__lt=position(tree_of(at) + 1, 0))
    return _published(later.order_by("position"))


def origin(tree: int) -> str:
    """Raises Tree.DoesNotExist."""
    return Tree.objects.values_list("origin", flat=True).get(number=tree)


def reader(tree: int) -> Reader:
    """Reads kept hashes by whole tiles and remembers them: many proofs of one tree share a few statements."""
    tiles: dict[tuple[int, int], list[bytes]] = {}

    def read(level: int, first: int, count: int) -> list[bytes]:
        tile, at = divmod(first, WIDTH)
        if len(tiles.get((level, tile), ())) < at + count:
            tiles[level, tile] = _stored(tree, level, tile * WIDTH, WIDTH)
        found = tiles[level, tile][at : at + count]
        if len(found) != count:
            raise Missing(f"level {level}, from {first}")
        return found

    return read


def hashes(tree: int, level: int, number: int, width: int = WIDTH) -> bytes:
    """A hash tile: `width` hashes of 32 bytes. Raises Missing when the tree has fewer."""
    found = _stored(tree, level, number * WIDTH, width)
    if len(found) != width:
        raise Missing(f"tile {number} of level {level}")
    return b"".join(found)


def entries(tree: int, number: int, width: int = WIDTH) -> list[bytes]:
    """The leaf bytes of one tile, in order. Raises Missing when an event is not there."""
    first = position(tree, number * WIDTH)
    events = list(
        Leaf.objects.filter(position__gte=first, position__lt=first + width)
        .order_by("position")
        .values_list("event_id", flat=True)
    )
    said = dict(AuditEvent.objects.filter(id__in=events).values_list("id", "leaf"))
    if len(events) != width or len(said) != width:
        raise Missing(f"entries of tile {number}")
    return [said[event].encode() for event in events]


def position_of(event: UUID) -> int | None:
    """Where an event is sealed; None while it is not."""
    return Leaf.objects.filter(event_id=event).values_list("position", flat=True).first()


def inclusion_proof(at: int, size: int, read: Reader | None = None) -> list[bytes]:
    """The audit path of the leaf at position `at` in its tree at `size`; a `reader` is shared between many."""
    return inclusion(index_of(at), size, read or reader(tree_of(at)))


def consistency_proof(tree: int, older: int, size: int) -> list[bytes]:
    """What proves that the tree at `size` begins with the tree at `older`."""
    return consistency(older, size, reader(tree))


def tile_width(level: int, number: int, size: int) -> int:
    """How many hashes tile `number` of `level` has in a tree of `size` leaves: 0 to 256."""
    return max(0, min(WIDTH, (size >> (HEIGHT * level)) - number * WIDTH))


def signed() -> QuerySet[Checkpoint]:
    """Published checkpoints; none of more than its tree has leaves, which somebody has put there."""
    last = Leaf.objects.filter(position=OuterRef("position") - 1)
    return Checkpoint.objects.exclude(note="").filter(Exists(last))


def _published(rows: QuerySet[Checkpoint]) -> Published | None:
    row = rows.first()
    if row is None:
        return None
    return Published(tree_of(row.position), index_of(row.position), bytes(row.root), row.note)


def _stored(tree: int, level: int, first: int, count: int) -> list[bytes]:
    if level == 0:
        start = position(tree, first)
        rows: Iterable[tuple[int, bytes | memoryview]] = (
            Leaf.objects.filter(position__gte=start, position__lt=start + count)
            .order_by("position")
            .values_list("position", "hash")
        )
    else:
        start = place(tree, level, first)
        rows = (
            Node.objects.filter(place__gte=start, place__lt=start + count)
            .order_by("place")
            .values_list("place", "hash")
        )
    found = []
    for number, (key, kept) in enumerate(rows):
        if key != start + number:
            break  # a hole: what follows has no place
        found.append(bytes(kept))
    return found
