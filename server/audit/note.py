"""Signing notes (C2SP signed-note, Ed25519). Checking them is `verify.py`'s, which stands alone."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.audit.verify import ED25519, VerifierKey, decode64

PREFIX = "PRIVATE+KEY+"


@dataclass(frozen=True, slots=True)
class Signer:
    """A signing key under a name. Raises ValueError when the name or the seed (32 bytes) cannot be one's."""

    name: str
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        VerifierKey(self.name, self.seed)

    @classmethod
    def new(cls, name: str) -> "Signer":
        """A fresh key. Raises ValueError for a name that is empty or has a space or a plus sign."""
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, line: str) -> "Signer":
        """From `PRIVATE+KEY+name+hash+base64`. Raises ValueError, whose text does not repeat the line."""
        try:
            name, _, key = line.removeprefix(PREFIX).split("+", 2)
            found = cls(name, decode64(key)[len(ED25519) :])
        except ValueError:
            raise ValueError("not a signing key") from None
        if found.line != line:
            raise ValueError("not a signing key, or mistyped")
        return found

    @property
    def line(self) -> str:
        """The whole secret, in the format that other tools read too."""
        return f"{PREFIX}{self.name}+{self.verifier.key_id.hex()}+{b64encode(ED25519 + self.seed).decode()}"

    @property
    def verifier(self) -> VerifierKey:
        """What others check with."""
        return VerifierKey(self.name, self._key().public_key().public_bytes_raw())

    def named(self, name: str) -> "Signer":
        """The same seed under another name: a log that begins anew has one."""
        return Signer(name, self.seed)

    def sign(self, text: bytes) -> bytes:
        """64 bytes."""
        return self._key().sign(text)

    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)


def sign_note(text: str, signers: Sequence[Signer]) -> str:
    """The signed note: `text`, an empty line, and a line per signer in their order.

    Raises ValueError when `text` does not end in a newline or has another control character, and without a signer.
    """
    if not signers or not text.endswith("\n") or any(char < " " and char != "\n" for char in text):
        raise ValueError("a note is text that ends in a newline, and somebody signs it")
    return "\n".join([text, *(_signature(text, signer) for signer in signers), ""])


def _signature(text: str, signer: Signer) -> str:
    signed = b64encode(signer.verifier.key_id + signer.sign(text.encode())).decode()
    return f"\N{EM DASH} {signer.name} {signed}"
