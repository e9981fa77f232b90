"""How we and the gateway sign what we tell each other: HMAC-SHA256 over time and body, with one shared secret."""

import hashlib
import hmac

TIMESTAMP, SIGNATURE = "X-Samsnakk-Timestamp", "X-Samsnakk-Signature"
FRESH_S = 300
"""Older, or as much ahead, it is not believed: what was overheard is of no use tomorrow."""


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The value of the signature header."""
    mac = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={mac.hexdigest()}"


def is_signed(secret: str, timestamp: str, signature: str, body: bytes, at_s: float) -> bool:
    """Whether whoever has the secret said this at about `at_s`; False for whatever else it may be."""
    if not secret or not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        return False
    expected = sign(secret, timestamp, body)
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")) and (
        abs(int(timestamp) - at_s) <= FRESH_S
    )
