"""Sealing what is recorded, and telling whether a seal holds (docs/decisions/0015-sealed-consents.md).

A version's canonical JSON carries the hash of the one before it and is signed with Ed25519 under a key of the vault:
nobody without the master keys can write one, change one, or put another in its place.
"""

import functools
import hashlib
from dataclasses import dataclass
from uuid import UUID

from pydantic import BaseModel

from server.consent.document import canonical
from server.vault import actions as vault

VERSION, GROUND, EMERGENCY = "consent.version", "consent.ground", "consent.emergency"
"""What is sealed, each under a key of its own: none of them can stand in for another."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """Canonical JSON text, its SHA-256 (hex), the Ed25519 signature over it, and the vault's key."""

    document: str
    hash: str
    signature: bytes
    key: UUID


def seal(document: BaseModel, what: str) -> Sealed:
    """Raises MasterKeyFault when the vault cannot sign."""
    text = canonical(document)
    key = vault.seal_key()
    return Sealed(text.decode(), digest(text), vault.sign(key, what, text), key)


def holds(document: str, hash_: str, signature: bytes, key: UUID, what: str) -> bool:
    """Whether a stored document is the one that was sealed. Raises as the vault does when its keys cannot be used."""
    text = document.encode()
    return digest(text) == hash_ and key == vault.seal_key() and _signed(key, what, text, signature)


def digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


@functools.lru_cache(maxsize=4_096)
def _signed(key: UUID, what: str, text: bytes, signature: bytes) -> bool:
    """Remembered by every byte that it depends on: a record that was altered is another question."""
    return vault.signed(key, what, text, signature)
