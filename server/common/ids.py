"""Identifiers that we make: UUIDv7 (RFC 9562), so that keys made together lie together in an index."""

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A fresh UUIDv7. Never used as a cursor: commit order and id order differ (law 2)."""
    return uuid7()
