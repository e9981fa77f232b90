"""Names that the gateway and the servers under it share."""

from collections.abc import Callable

TAKE = "samsnakk.take"
"""A scope extension that our own server offers: `Take`. Other servers make `send` wait instead."""

Take = Callable[[str], bool]
"""Hand a text frame to the connection at once. False when its buffer is full: try again later, in the same order."""

FLOW = "samsnakk.flow"
"""A scope extension of the same server for answers that are made while they go out: `Flow`."""

Flow = Callable[[], bool]
"""Whether the connection has room for more of its answer. False while somebody reads slowly: ask again later. Whoever
asks and is told that there is room goes on, and is given the time that an answer may take anew."""
