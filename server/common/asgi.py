"""Names that the gateway and the servers under it share."""

from collections.abc import Callable

TAKE = "samsnakk.take"
"""A scope extension that our own server offers: `Take`. Other servers make `send` wait instead."""

Take = Callable[[str], bool]
"""Hand a text frame to the connection at once. False when its buffer is full: try again later, in the same order."""
