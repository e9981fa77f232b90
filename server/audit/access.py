"""The door to what has been sealed: nothing beyond the newest published checkpoint."""

from typing import NamedTuple

from server.audit.reading import Published, latest, tile_width
from server.audit.tiles import parse_tile_path
from server.audit.verify import WIDTH
from server.common.errors import NotFound


class Tile(NamedTuple):
    """`width` hashes or entries, at most 256; `level` is 0 for entries, which lie where the first hashes do."""

    tree: int
    level: int
    number: int
    width: int

    @property
    def full(self) -> bool:
        return self.width == WIDTH

    @property
    def first(self) -> int:
        """Index of its first entry, at level 0."""
        return self.number * WIDTH


def open_published(tree: int | None) -> Published:
    """The newest published checkpoint, of this tree or of the newest. Raises NotFound."""
    found = latest(tree)
    if found is None:
        raise NotFound
    return found


def open_tile(tree: int | None, level: str, rest: str) -> Tile:
    """The tile at `tile/<level>/<rest>`. Raises NotFound, the same for malformed and for what is not published."""
    try:
        named, number, width = parse_tile_path(level, rest)
    except ValueError:
        raise NotFound from None
    newest, height = open_published(tree), named if isinstance(named, int) else 0
    if width > tile_width(height, number, newest.size):
        raise NotFound
    return Tile(newest.tree, height, number, width)
