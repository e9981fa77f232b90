"""Whether an answer is to be believed. Pure: no clock, no settings, no network; everything is an argument.

What is checked, and where it is said: OpenID Connect Core 3.1.3.7 (issuer, audience, signature, times, nonce), RFC 9207
(the issuer of an answer), RFC 8725 (algorithms are ours to choose, and keys fit them).
"""

import base64
import binascii
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt

from server.people.identity import Unusable, national_identity_number
from server.people.oidc.keys import fits

ALGS = ("RS256", "PS256", "ES256")
SKEW_S = 60
"""How far two clocks may be apart."""
OLDEST_S = 600
"""An identity token is fetched as soon as it is made."""
MOST_LETTERS = 16 * 1024
VERIFIER = re.compile(r"^[A-Za-z0-9._~-]{43,128}\Z")
CHALLENGE = re.compile(r"^[A-Za-z0-9_-]{43}\Z")
ORGANISATION = re.compile(r"(?:0192:|NO:ORGNR:)?([0-9]{9})(?::[0-9]*)?\Z")


class Unsound(Exception):
    """Not to be believed. `reason` is a word for the log and the audit; never what stood there."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnknownKey(Unsound):
    """Signed with a key that is not among those given: the provider may have new ones."""


class TooLow(Unsound):
    """Sound, but the person has not proved enough of who they are."""

    def __init__(self) -> None:
        super().__init__("level")


@dataclass(frozen=True, slots=True)
class Expected:
    """What an identity token must say."""

    issuer: str
    client_id: str
    nonce: str
    algs: Sequence[str]
    at: datetime
    proved_since: datetime | None = None
    """The proof must be from after this."""


@dataclass(frozen=True, slots=True)
class Said:
    """What it says of a person. The number goes nowhere but into a blind index."""

    number: str
    level: int
    organisations: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Said(level={self.level})"


def read_answer(query: Mapping[str, Sequence[str]], *, issuer: str, says_issuer: bool) -> str:
    """The code of an authorisation answer. Raises Unsound: `cancelled`, `provider_error`, `issuer`, `code`."""
    if any(len(values) != 1 for values in query.values()):
        raise Unsound("doubled")
    said = {name: values[0] for name, values in query.items()}
    if says_issuer and "iss" not in said:
        raise Unsound("issuer")
    if said.get("iss", issuer) != issuer:
        raise Unsound("issuer")
    if error := said.get("error"):
        raise Unsound("cancelled" if error in ("access_denied", "user_cancelled") else "provider_error")
    code = said.get("code", "")
    if not 0 < len(code) <= 2000 or not code.isascii() or not code.isprintable():
        raise Unsound("code")
    return code


def read_id_token(token: Any, keys: Sequence[dict[str, Any]], expected: Expected) -> dict[str, Any]:
    """The claims of an identity token that is signed with one of `keys`, is meant for us and is new.

    Raises UnknownKey; Unsound with `form`, `alg`, `key`, `signature`, `issuer`, `audience`, `nonce`, `time`, `subject`,
    `not_fresh`.
    """
    if not isinstance(token, str) or not 0 < len(token) <= MOST_LETTERS or not token.isascii():
        raise Unsound("form")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Unsound("form") from None
    alg = header.get("alg")
    if alg not in ALGS or alg not in expected.algs:
        raise Unsound("alg")
    if "crit" in header or "jku" in header or "jwk" in header or "x5u" in header:
        raise Unsound("form")
    claims = _opened(token, str(alg), _key(keys, header.get("kid"), str(alg)))
    _meant_for_us(claims, expected)
    _new(claims, expected)
    return claims


def _key(keys: Sequence[dict[str, Any]], kid: Any, alg: str) -> Any:
    """The one key that may have signed."""
    kty = "EC" if alg == "ES256" else "RSA"
    named = [one for one in keys if kid is None or one.get("kid") == kid]
    if not named:
        raise UnknownKey("key")
    able = [one for one in named if one.get("kty") == kty and one.get("alg", alg) == alg]
    if len(able) != 1:
        raise Unsound("key")
    try:
        key = jwt.PyJWK({**able[0], "alg": alg}).key
    except (jwt.PyJWTError, ValueError, TypeError, binascii.Error):
        raise Unsound("key") from None
    if not fits(key, alg):
        raise Unsound("key")
    return key


def _opened(token: str, alg: str, key: Any) -> dict[str, Any]:
    options: Any = {"verify_signature": True, "require": []}
    # PyJWT would ask the process's clock; who is meant and when is looked at below.
    options |= dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss"), False)
    options |= dict.fromkeys(("verify_sub", "verify_jti"), False)
    try:
        claims = jwt.decode(token, key, algorithms=[alg], options=options)
    except jwt.InvalidSignatureError:
        raise Unsound("signature") from None
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Unsound("form") from None
    return dict(claims)


def _meant_for_us(claims: Mapping[str, Any], expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise Unsound("issuer")
    if claims.get("aud") not in (expected.client_id, [expected.client_id]):
        raise Unsound("audience")
    if claims.get("azp", expected.client_id) != expected.client_id:
        raise Unsound("audience")
    if claims.get("nonce") != expected.nonce:
        raise Unsound("nonce")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise Unsound("subject")


def _new(claims: Mapping[str, Any], expected: Expected) -> None:
    at = expected.at.timestamp()
    ends, made = _moment(claims.get("exp")), _moment(claims.get("iat"))
    if ends + SKEW_S <= at or made - SKEW_S > at or made + OLDEST_S + SKEW_S < at or ends <= made:
        raise Unsound("time")
    if "nbf" in claims and _moment(claims["nbf"]) - SKEW_S > at:
        raise Unsound("time")
    if expected.proved_since is not None:
        proved = claims.get("auth_time")
        if proved is None or not expected.proved_since.timestamp() - SKEW_S <= _moment(proved) <= at + SKEW_S:
            raise Unsound("not_fresh")


def proved_at(claims: Mapping[str, Any], at: datetime) -> datetime | None:
    """When somebody proved to the provider who they are, never later than `at`; None when it does not say, or says what
    cannot be."""
    try:
        proved = _moment(claims.get("auth_time"))
    except Unsound:
        return None
    if not 0 < proved <= at.timestamp() + SKEW_S:
        return None
    return min(datetime.fromtimestamp(proved, UTC), at)


def _moment(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e11 or not math.isfinite(value):
        raise Unsound("time")
    return float(value)


def read_person(
    claims: Mapping[str, Any],
    *,
    number_claim: str,
    level_claim: str,
    levels: Mapping[str, int],
    organisation_claims: Sequence[str] = (),
) -> Said:
    """Who it is, how surely, and for which organisations. Raises Unsound `number`; TooLow for a word that means no
    level here."""
    word = claims.get(level_claim)
    level = levels.get(str(word)) if isinstance(word, str | int) and not isinstance(word, bool) else None
    if level is None:
        raise TooLow
    number = claims.get(number_claim)
    try:
        uniform = national_identity_number(number) if isinstance(number, str) else ""
    except Unusable:
        uniform = ""
    if not uniform:
        raise Unsound("number")
    return Said(uniform, level, tuple(_organisations(claims, organisation_claims)))


def _organisations(claims: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        value = claims.get(name)
        for one in value if isinstance(value, list) else [value]:
            match = ORGANISATION.match(one) if isinstance(one, str) else None
            if match and match[1] not in found:
                found.append(match[1])
    return found[:20]


def challenge_of(verifier: str) -> str:
    """PKCE, S256 (RFC 7636)."""
    return letters(hashlib.sha256(verifier.encode()).digest())


def letters(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
