"""The door to what has been sealed: nothing beyond the public checkpoint, and for officers the newest.

Whoever could ask every second would see by the sizes how much is done at the moment, at night or about themselves. So
what everybody may read comes in steps: the last checkpoint of each full ten minutes (`AUDIT_PUBLIC_EVERY_S`).
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings

from server.audit.models import index_of, tree_of
from server.audit.reading import Published, first_over, latest, tile_width
from server.audit.tiles import parse_tile_path
from server.audit.verify import WIDTH
from server.common.clock import now
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


def public_until() -> datetime | None:
    """When the last full step ended: checkpoints made later are not public yet. None where all are at once."""
    every = settings.ENV.audit_public_every_s
    if not every:
        return None
    present = now()
    return present - timedelta(seconds=present.timestamp() % every)


def published(tree: int | None, *, newest: bool = False) -> Published | None:
    """The public checkpoint, or the `newest`, of this tree or of the newest; None before the first."""
    return latest(tree, until=None if newest else public_until())


def open_published(tree: int | None, *, newest: bool = False) -> Published:
    """The same. Raises NotFound."""
    found = published(tree, newest=newest)
    if found is None:
        raise NotFound
    return found


def public_over(at: int) -> Published | None:
    """What the leaf at this position is proved against to whoever is no officer: the public checkpoint, or the first
    that covers it, which tells of nothing that came later. None while there is none."""
    public = published(tree_of(at))
    return public if public is not None and index_of(at) < public.size else first_over(at)


def open_tile(tree: int | None, level: str, rest: str, *, newest: bool = False) -> Tile:
    """The tile at `tile/<level>/<rest>`, up to the public checkpoint or to the `newest`. Raises NotFound, the same for
    malformed and for what is not published."""
    try:
        named, number, width = parse_tile_path(level, rest)
    except ValueError:
        raise NotFound from None
    end, height = open_published(tree, newest=newest), named if isinstance(named, int) else 0
    if width > tile_width(height, number, end.size):
        raise NotFound
    return Tile(end.tree, height, number, width)
