"""The tree: growing it, and proofs from the hashes that are kept (RFC 6962 section 2.1). Pure.

Kept are the leaves' hashes (level 0) and, per level above, the roots of full subtrees of 256 ** level leaves, as in
C2SP tlog-tiles. Every other hash is folded from at most 255 of these per level.
"""

from collections.abc import Callable, Iterator
from functools import cache

from server.audit.verify import node_hash, root_of

HEIGHT = 8
WIDTH = 1 << HEIGHT

Reader = Callable[[int, int, int], list[bytes]]
"""(level, first number, count) → that many kept hashes, in order."""


class Range:
    """The roots of the full subtrees that `size` leaves consist of, the largest first: all that growing needs."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    @classmethod
    def at(cls, size: int, read: Reader) -> "Range":
        """The range of a tree of `size` leaves."""
        found = cls()
        found._peaks = [_full(read, start, height) for start, height in _subtrees(0, size)]
        found.size = size
        return found

    def append(self, leaf: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Add a leaf's hash; gives (level, number, hash) of each node to keep that it completed."""
        peaks = self._peaks
        peaks.append(leaf)
        self.size += 1
        size, height = self.size, 0
        while size & 1 == 0:
            right = peaks.pop()
            peaks[-1] = node_hash(peaks[-1], right)
            size >>= 1
            height += 1
            if height % HEIGHT == 0:
                yield height // HEIGHT, size - 1, peaks[-1]

    def copy(self) -> "Range":
        other = Range()
        other.size, other._peaks = self.size, list(self._peaks)
        return other

    def root(self) -> bytes:
        """32 bytes; of no leaves, SHA-256 of nothing."""
        if not self._peaks:
            return root_of(())
        *left, root = self._peaks
        for peak in reversed(left):
            root = node_hash(peak, root)
        return root


def inclusion(index: int, size: int, read: Reader) -> list[bytes]:
    """The audit path of leaf `index` in a tree of `size` leaves, the lowest sibling first. ValueError outside it."""
    if not 0 <= index < size:
        raise ValueError("no such leaf")
    path = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    return [_root(read, *span) for span in reversed(path)]


def consistency(older: int, size: int, read: Reader) -> list[bytes]:
    """What proves that the tree of `size` leaves begins with that of `older`. ValueError unless 0 <= older <= size."""
    if not 0 <= older <= size:
        raise ValueError("no such size")
    if older in (0, size):
        return []
    path = []
    start, end, whole = 0, size, True
    while older != end:
        middle = start + _split(end - start)
        if older <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start, whole = middle, False
    if not whole:
        path.append((start, end))
    return [_root(read, *span) for span in reversed(path)]


def _root(read: Reader, start: int, end: int) -> bytes:
    """RFC 6962's MTH of the leaves from `start` to before `end`; `start` is a multiple of what the span splits into."""
    *left, root = [_full(read, first, height) for first, height in _subtrees(start, end)]
    for peak in reversed(left):
        root = node_hash(peak, root)
    return root


def _subtrees(start: int, end: int) -> Iterator[tuple[int, int]]:
    """(first leaf, height) of the full subtrees of a span, the largest first."""
    while start < end:
        height = (end - start).bit_length() - 1
        yield start, height
        start += 1 << height


def _full(read: Reader, start: int, height: int) -> bytes:
    level, rest = divmod(height, HEIGHT)
    return root_of(read(level, start >> (HEIGHT * level), 1 << rest))


@cache
def _split(width: int) -> int:
    """The largest power of two below `width`."""
    return 1 << ((width - 1).bit_length() - 1)
