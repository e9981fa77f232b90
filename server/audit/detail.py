"""Details of an event: apart from its leaf, under the subject's own key, bound to the leaf by a salted commitment."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

import rfc8785

from server.vault import actions as vault
from server.vault.errors import Destroyed

PLACE = "audit_auditevent.detail"
SALT_BYTES = 32
AUDIT_OWNER = UUID("0c0f4f0e-6b6d-5a37-9c53-7d2f0b3f6a11")
"""Owner of the "service" key for details of events that concern no patient; fixed for ever."""


class Kept(NamedTuple):
    """`commitment` goes into the leaf (hex), `sealed` into the row."""

    commitment: str | None
    sealed: bytes | None


NOTHING = Kept(None, None)


def keep(event: UUID, subject: UUID | None, detail: Mapping[str, Any]) -> Kept:
    """Commit to `detail` and seal it. Where the subject's key has been destroyed, the commitment alone is kept, and
    nobody can ever open it. Raises MasterKeyFault."""
    if not detail:
        return NOTHING
    text = rfc8785.dumps(dict(detail))
    salt = secrets.token_bytes(SALT_BYTES)
    commitment = committed(salt, text)
    owner = owner_of(subject)
    key = vault.key_for(scope=owner[0], owner=owner[1])
    try:
        return Kept(commitment, vault.seal(key, f"{salt.hex()} {text.decode()}", place=PLACE, row=event))
    except Destroyed:
        return Kept(commitment, None)


def owner_of(subject: UUID | None) -> tuple[str, UUID]:
    """Scope and owner of the key that details of an event about this patient, or about none, are under."""
    return ("service", AUDIT_OWNER) if subject is None else ("subject", subject)


def committed(salt: bytes, text: bytes) -> str:
    """SHA-256 of salt and details, hex."""
    return hashlib.sha256(salt + text).hexdigest()


def opened(event: UUID, sealed: bytes | memoryview | None) -> tuple[bytes, dict[str, Any]]:
    """Salt and details of an event; both empty when there are none. Raises as `vault.unseal` does."""
    if sealed is None:
        return b"", {}
    salt, text = disclosed(event, sealed)
    found: dict[str, Any] = json.loads(text)
    return salt, found


def disclosed(event: UUID, sealed: bytes | memoryview) -> tuple[bytes, str]:
    """The salt and the exact canonical text that the commitment in the leaf was made of."""
    salt, _, text = vault.unseal(sealed, place=PLACE, row=event).partition(" ")
    return bytes.fromhex(salt), text
