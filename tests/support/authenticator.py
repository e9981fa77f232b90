"""An authenticator in software (WebAuthn level 3, §§ 6 and 7): ES256, user verification, a counter; and its faults,
each of which a server has to refuse."""

import hashlib
import json
import secrets
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

JSON = dict[str, Any]

PRESENT, VERIFIED, BACKUP_ELIGIBLE, BACKED_UP, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40


@dataclass
class Faults:
    """What a broken or hostile authenticator says instead; empty: nothing is wrong."""

    origin: str = ""
    rp_id: str = ""
    kind: str = ""
    """Of the client data: `webauthn.get` in place of `webauthn.create`, or the other way about."""
    challenge: bytes = b""
    unverified: bool = False
    absent: bool = False
    other_key: bool = False
    cross_origin: bool = False


@dataclass
class Authenticator:
    """`counts`: whether it has a counter at all; synchronised passkeys do not."""

    origin: str = "https://localhost"
    counts: bool = True
    backed_up: bool = False
    counter: int = 0
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def create(self, options: JSON, faults: Faults | None = None) -> JSON:
        """`navigator.credentials.create`: the answer to registration options."""
        faults = faults or Faults()
        data = self._client_data("webauthn.create", options["challenge"], faults)
        public = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32, "big"), -3: public.y.to_bytes(32, "big")}
        attested = bytes(16) + struct.pack(">H", len(self.id)) + self.id + cbor2.dumps(cose)
        authenticator = self._data(options["rp"]["id"], faults, ATTESTED) + attested
        answer = {
            "clientDataJSON": encode(data),
            "attestationObject": encode(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": authenticator})),
            "transports": ["internal"],
        }
        return self._credential(answer)

    def get(self, options: JSON, faults: Faults | None = None) -> JSON:
        """`navigator.credentials.get`: the answer to request options."""
        faults = faults or Faults()
        assert any(decode(one["id"]) == self.id for one in options["allowCredentials"]), "it was not asked for"
        data = self._client_data("webauthn.get", options["challenge"], faults)
        authenticator = self._data(options["rpId"], faults)
        key = ec.generate_private_key(ec.SECP256R1()) if faults.other_key else self.key
        signature = key.sign(authenticator + hashlib.sha256(data).digest(), ec.ECDSA(hashes.SHA256()))
        answer = {
            "clientDataJSON": encode(data),
            "authenticatorData": encode(authenticator),
            "signature": encode(signature),
            "userHandle": None,
        }
        return self._credential(answer)

    def copy(self) -> "Authenticator":
        """Somebody has got at the key: the copy counts on from where it was."""
        return Authenticator(self.origin, self.counts, self.backed_up, self.counter, self.id, self.key)

    def _credential(self, answer: JSON) -> JSON:
        said = encode(self.id)
        return {
            "id": said,
            "rawId": said,
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": answer,
        }

    def _client_data(self, kind: str, challenge: str, faults: Faults) -> bytes:
        said = {
            "type": faults.kind or kind,
            "challenge": encode(faults.challenge) if faults.challenge else challenge,
            "origin": faults.origin or self.origin,
            "crossOrigin": faults.cross_origin,
        }
        return json.dumps(said).encode()

    def _data(self, rp_id: str, faults: Faults, more: int = 0) -> bytes:
        flags = more | (0 if faults.absent else PRESENT) | (0 if faults.unverified else VERIFIED)
        if self.backed_up:
            flags |= BACKUP_ELIGIBLE | BACKED_UP
        if self.counts:
            self.counter += 1
        hashed = hashlib.sha256((faults.rp_id or rp_id).encode()).digest()
        return hashed + struct.pack(">BI", flags, self.counter if self.counts else 0)


def encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
