"""The sealed form of a text, and the opened data key that makes and reads it. Pure: no database, clock or settings.

A blob is `0x01 | data key id (16) | nonce (12) | ciphertext and tag`. AES-256-GCM (NIST SP 800-38D) with 96-bit random
nonces: safe up to 2^32 texts per data key, far beyond any room. The associated data `place|row|key` bind a blob to its
field, row and key; row and key have a fixed length, so no two triples give the same bytes.
"""

import hmac
from os import urandom
from uuid import UUID

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server.vault.errors import NotText, Unreadable

FORMAT = 1
_HEAD = b"\x01"
_KEY_END = 17
_NONCE = 12
_BODY = _KEY_END + _NONCE
_SHORTEST = _BODY + 16


def encode(text: str) -> bytes:
    """UTF-8 of `text`; raises NotText. Python's own error would carry the whole text in `object`, hence the detour."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        pass
    raise NotText


def key_of(blob: bytes) -> bytes:
    """The id (16 bytes) of the data key that a blob was sealed under; raises Unreadable("format")."""
    if len(blob) < _SHORTEST or blob[0] != FORMAT:
        raise Unreadable("format")
    return blob[1:_KEY_END]


class OpenKey:
    """An unwrapped data key, ready for use. Safe to share between threads: nothing but cache marks ever changes."""

    __slots__ = ("_aead", "_material", "_signers", "_subkeys", "_tail", "fresh_until", "id", "used")

    def __init__(self, key: UUID, material: bytes) -> None:
        self.id = key
        self._material = material
        self._aead = AESGCM(material)
        self._tail = f"|{key}"
        self._subkeys: dict[str, bytes] = {}
        self._signers: dict[str, tuple[Ed25519PrivateKey, Ed25519PublicKey]] = {}
        self.fresh_until = 0.0
        """Seconds of the monotonic clock; owned by the cache."""
        self.used = True

    def seal(self, text: str, place: str, row: UUID) -> bytes:
        nonce = urandom(_NONCE)
        aad = f"{place}|{row}{self._tail}".encode()
        return b"".join((_HEAD, self.id.bytes, nonce, self._aead.encrypt(nonce, encode(text), aad)))

    def unseal(self, blob: bytes, place: str, row: UUID) -> str:
        """The text of a blob whose format and key id the caller has checked; raises Unreadable("authentication")."""
        aad = f"{place}|{row}{self._tail}".encode()
        try:
            return self._aead.decrypt(blob[_KEY_END:_BODY], blob[_BODY:], aad).decode()
        except (InvalidTag, UnicodeDecodeError):
            pass
        raise Unreadable("authentication", key=self.id, place=place)

    def mac(self, purpose: str, data: bytes) -> bytes:
        """32-byte HMAC-SHA256 under a subkey of this key for one purpose (HKDF-SHA256, RFC 5869)."""
        subkey = self._subkeys.get(purpose)
        if subkey is None:
            subkey = self._derive(f"samsnakk/vault/1/{purpose}")
            self._subkeys[purpose] = subkey
        return hmac.digest(subkey, data, "sha256")

    def sign(self, purpose: str, data: bytes) -> bytes:
        """64-byte Ed25519 signature (RFC 8032) over `data`, under a key of this data key for one purpose."""
        return self._signer(purpose)[0].sign(data)

    def signed(self, purpose: str, data: bytes, signature: bytes) -> bool:
        """Whether `sign` made this signature of these bytes for this purpose; a malformed one is just not it."""
        try:
            self._signer(purpose)[1].verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def public_key(self, purpose: str) -> bytes:
        """The 32 bytes with which anybody can verify what `sign` made for this purpose."""
        return self._signer(purpose)[1].public_bytes_raw()

    def _signer(self, purpose: str) -> tuple[Ed25519PrivateKey, Ed25519PublicKey]:
        made = self._signers.get(purpose)
        if made is None:
            # No purpose of `mac` gives this info: a key that signs is never a key of something else.
            private = Ed25519PrivateKey.from_private_bytes(self._derive(f"samsnakk/vault-sign/1/{purpose}"))
            made = self._signers[purpose] = (private, private.public_key())
        return made

    def _derive(self, info: str) -> bytes:
        return HKDF(hashes.SHA256(), 32, None, info.encode()).derive(self._material)

    def __repr__(self) -> str:
        return f"<OpenKey {self.id}>"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("an open key is not to be pickled")
