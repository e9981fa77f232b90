"""What the tests of the verifier share: an exported log, its key, and details that were given out of it."""

import hashlib
from collections.abc import Callable

from server.audit.note import Signer
from tests.audit import naive

SIGNER = Signer.new("log.example/audit")
KEY = SIGNER.verifier.line
SIZE, OLDER = 600, 300
"""Entries of the log: three bundles, two of them full; and of the older checkpoint that somebody kept."""
SALT = bytes(range(32))
DETAIL = '{"count":3,"why":"ønske"}'
COMMITTED = hashlib.sha256(SALT + DETAIL.encode()).hexdigest()
WITH_DETAIL = (7, 300)

Check = Callable[..., tuple[int, str]]
"""The command's arguments, and `keys` -> its exit status and its answer."""


def disclosure(number: int, **other: object) -> dict[str, object]:
    """As it is given out, of an entry in WITH_DETAIL."""
    return {"id": naive.event(number), "salt": SALT.hex(), "detail": DETAIL} | other
