"""Our own keys: the one that proves to a provider who we are, and those that DPoP binds what it gives us to."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
ASSERTION_S = 45
"""HelseID takes none that lives for more than sixty seconds."""
RSA_BITS = 2048
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class UnusableKey(Exception):
    """The key file cannot be used; the text says nothing of the key."""


@dataclass(frozen=True, slots=True, repr=False)
class OwnKey:
    """A private key, how it signs, and the name under which the provider knows its public half."""

    private: PrivateKey
    alg: str
    key_id: str

    @classmethod
    def read(cls, path: Path, key_id: str, alg: str | None) -> "OwnKey":
        """From a private JWK (JSON) or PEM file; the arguments count where the file does not say it. Raises
        UnusableKey."""
        try:
            raw = path.read_bytes()
            said = json.loads(raw) if raw.lstrip().startswith(b"{") else {}
            private = jwt.PyJWK(said, algorithm=_alg_of(said)).key if said else load_pem_private_key(raw, None)
        except OSError:
            raise UnusableKey("a key file of SIGN_IN_FILE cannot be read") from None
        except (ValueError, TypeError, UnsupportedAlgorithm, jwt.PyJWTError):
            raise UnusableKey("a key file of SIGN_IN_FILE is neither a private JWK nor an unencrypted PEM") from None
        key_id, alg = str(said.get("kid") or key_id), str(said.get("alg") or alg or _usual_alg(private))
        if not fits(private, alg) or not isinstance(private, PrivateKey):
            raise UnusableKey("a key file of SIGN_IN_FILE holds no private key of RSA, 2048 bits or more, or of P-256")
        if not key_id:
            raise UnusableKey("a key of SIGN_IN_FILE has no key id (kid, or key_id)")
        return cls(private, alg, key_id)

    def assertion(self, *, client_id: str, audience: str, at: datetime, typ: str) -> str:
        """Proof of who we are (private_key_jwt: OpenID Connect Core, section 9); good once, and not for long."""
        issued = int(at.timestamp())
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "jti": secrets.token_urlsafe(16),
            "iat": issued,
            "nbf": issued,
            "exp": issued + ASSERTION_S,
        }
        return jwt.encode(claims, self.private, algorithm=self.alg, headers={"kid": self.key_id, "typ": typ})


@dataclass(frozen=True, slots=True, repr=False)
class ProofKey:
    """The DPoP key of one attempt (RFC 9449)."""

    private: ec.EllipticCurvePrivateKey

    @classmethod
    def derived(cls, secret: bytes) -> "ProofKey":
        """The same from the same 32 bytes, so that whichever process goes on with an attempt has it."""
        number = int.from_bytes(hashlib.sha512(secret).digest()) % (_P256_ORDER - 1) + 1
        return cls(ec.derive_private_key(number, ec.SECP256R1()))

    def proof(self, *, method: str, address: str, at: datetime, nonce: str | None) -> str:
        """For one request; with the server's nonce once it has given one."""
        claims: dict[str, Any] = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": address,
            "iat": int(at.timestamp()),
        }
        if nonce is not None:
            claims["nonce"] = nonce
        headers = {"typ": "dpop+jwt", "jwk": public_jwk(self.private)}
        return jwt.encode(claims, self.private, algorithm="ES256", headers=headers)


def public_jwk(private: PrivateKey) -> dict[str, str]:
    """The public half, in the members that say what it is (RFC 7638)."""
    if isinstance(private, rsa.RSAPrivateKey):
        said = jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
        return {name: said[name] for name in ("e", "kty", "n")}
    said = jwt.algorithms.ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    return {name: said[name] for name in ("crv", "kty", "x", "y")}


def thumbprint(jwk: dict[str, str]) -> str:
    """RFC 7638: a name for a key that follows from it."""
    text = json.dumps(jwk, sort_keys=True, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def fits(key: Any, alg: str) -> bool:
    """Whether a key, private or public, may be used with one of the three algorithms."""
    if alg in ("RS256", "PS256"):
        return isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey) and key.key_size >= RSA_BITS
    if alg != "ES256" or not isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return False
    return isinstance(key.curve, ec.SECP256R1)


def _usual_alg(private: Any) -> str:
    return "RS256" if isinstance(private, rsa.RSAPrivateKey) else "ES256"


def _alg_of(jwk: dict[str, Any]) -> str:
    return str(jwk.get("alg") or ("RS256" if jwk.get("kty") == "RSA" else "ES256"))
