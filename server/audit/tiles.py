"""The shapes in which the tree and single proofs are given out (C2SP tlog-tiles, tlog-proof). Pure.

What `verify.py` needs of them too stands there, since that file goes out alone.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence

from server.audit.verify import WIDTH, split_bundle, tile_path

__all__ = ["bundle", "parse_tile_path", "proof_file", "split_bundle", "tile_path"]

LONGEST_ENTRY = (1 << 16) - 1
"""Bytes; an entry's length is written in two."""

_REST = re.compile(r"(?P<number>(?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?", re.ASCII)
_LEVEL = re.compile(r"entries|[0-9]|[1-5][0-9]|6[0-3]", re.ASCII)


def parse_tile_path(level: str, rest: str) -> tuple[int | str, int, int]:
    """(level or `entries`, number, width) of a path `<level>/<rest>` below `tile/`: what `tile_path` makes, and nothing
    else. Raises ValueError."""
    found = _REST.fullmatch(rest)
    if found is None or not _LEVEL.fullmatch(level):
        raise ValueError("not the path of a tile")
    parsed = int(level) if level.isdecimal() else level
    number = int(found["number"].replace("x", "").replace("/", ""))
    width = int(found["width"] or WIDTH)
    if tile_path(parsed, number, width) != f"{level}/{rest}" or width > WIDTH:
        raise ValueError("not the path of a tile")
    return parsed, number, width


def bundle(entries: Iterable[bytes]) -> bytes:
    """At most 256 entries, each after its length. Raises ValueError for more of them, or for one above 65,535 bytes."""
    parts = []
    for entry in entries:
        if len(entry) > LONGEST_ENTRY:
            raise ValueError("an entry has at most 65,535 bytes")
        parts += [len(entry).to_bytes(2), entry]
    if len(parts) > 2 * WIDTH:
        raise ValueError("a bundle has at most 256 entries")
    return b"".join(parts)


def proof_file(index: int, proof: Sequence[bytes], note: str, extra: bytes | None = None) -> str:
    """One event's proof, whole in itself: `proof` is its audit path, `note` the signed checkpoint that it leads to."""
    lines = ["c2sp.org/tlog-proof@v1"]
    if extra is not None:
        lines.append(f"extra {b64encode(extra).decode()}")
    lines.append(f"index {index}")
    lines += [b64encode(one).decode() for one in proof]
    return "\n".join([*lines, "", note])
