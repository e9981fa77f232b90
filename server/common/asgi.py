"""Names that the gateway and the servers under it share."""

UNSENT = "samsnakk.unsent"
"""A scope extension that our own server offers: a callable that tells how many bytes of one connection wait in the
server's buffer, not yet handed to the kernel. Other servers make `send` wait instead."""
