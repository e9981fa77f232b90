"""Where a provider is to be asked, and the keys that it signs with: fetched when needed, kept for a while.

A key that nobody knows is asked for once more, since providers change their keys; not more often than every half
minute, since whoever sends us answers may name keys that do not exist.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from server.people.oidc import wire
from server.people.oidc.providers import Provider, usable_address

METADATA_S, KEYS_S = 3600.0, 900.0
AGAIN_S = 30.0
AWAY_S = 3.0
"""A provider that did not answer is not asked by everybody in turn: so long, the others are told at once."""
MOST_KEYS = 50
WELL_KNOWN = "/.well-known/openid-configuration"

Jwk = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Metadata:
    """What we need of OpenID Connect Discovery; addresses are judged."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    pushed_endpoint: str | None
    says_issuer: bool
    """Its answers name the issuer (RFC 9207), so one that does not is not its own."""


class Known:
    """What one process knows of one provider."""

    def __init__(self, issuer: str, *, pushed: bool, proxy: str | None) -> None:
        self._issuer, self._pushed, self._proxy = issuer, pushed, proxy
        self._lock = threading.Lock()
        self._metadata: tuple[float, Metadata] | None = None
        self._keys: tuple[float, list[Jwk]] | None = None
        self._asked_again = float("-inf")
        self._away: tuple[float, str] | None = None

    def metadata(self) -> Metadata:
        """Raises Away."""
        with self._turn():
            return self._fresh_metadata()

    def keys(self) -> list[Jwk]:
        """Raises Away."""
        with self._turn():
            if self._keys is None or time.monotonic() - self._keys[0] > KEYS_S:
                self._fetch_keys()
            assert self._keys is not None, "fetched, or Away was raised"
            return self._keys[1]

    def newer_keys(self) -> list[Jwk] | None:
        """Asked for anew, for a key that is not among those known; None when that was done a moment ago. Raises
        Away."""
        with self._turn():
            if time.monotonic() - self._asked_again < AGAIN_S:
                return None
            self._asked_again = time.monotonic()
            self._fetch_keys()
            assert self._keys is not None, "fetched, or Away was raised"
            return self._keys[1]

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """One asks; whoever waited meanwhile gets what came of it, be it nothing."""
        wire.let_go()
        if not self._lock.acquire(timeout=wire.WHOLE_S):
            raise wire.Away("busy")
        try:
            yield
        finally:
            self._lock.release()

    def _get(self, address: str) -> dict[str, Any]:
        if self._away is not None and time.monotonic() - self._away[0] < AWAY_S:
            raise wire.Away(self._away[1])
        try:
            said = _said(wire.get(address, proxy=self._proxy))
        except wire.Away as away:
            self._away = time.monotonic(), str(away)
            raise
        self._away = None
        return said

    def _fresh_metadata(self) -> Metadata:
        if self._metadata is None or time.monotonic() - self._metadata[0] > METADATA_S:
            said = self._get(self._issuer.rstrip("/") + WELL_KNOWN)
            self._metadata = time.monotonic(), read_metadata(said, issuer=self._issuer, pushed=self._pushed)
        return self._metadata[1]

    def _fetch_keys(self) -> None:
        said = self._get(self._fresh_metadata().jwks_uri)
        self._keys = time.monotonic(), read_keys(said)


def read_metadata(said: dict[str, Any], *, issuer: str, pushed: bool) -> Metadata:
    """Pure but for what an address may be. Raises Away: nobody can sign in there until it is right."""
    if said.get("issuer") != issuer:  # OpenID Connect Discovery, section 4.3: exactly
        raise wire.Away("other_issuer")
    found = {
        name: said.get(name)
        for name in (
            "authorization_endpoint",
            "token_endpoint",
            "jwks_uri",
            *(["pushed_authorization_request_endpoint"] if pushed else []),
        )
    }
    if not all(isinstance(one, str) and len(one) < 1000 and usable_address(one) for one in found.values()):
        raise wire.Away("no_address")
    return Metadata(
        authorization_endpoint=str(found["authorization_endpoint"]),
        token_endpoint=str(found["token_endpoint"]),
        jwks_uri=str(found["jwks_uri"]),
        pushed_endpoint=str(found["pushed_authorization_request_endpoint"]) if pushed else None,
        says_issuer=said.get("authorization_response_iss_parameter_supported") is True,
    )


def read_keys(said: dict[str, Any]) -> list[Jwk]:
    """The public keys that may sign. Raises Away when there is none."""
    keys = said.get("keys")
    found = [one for one in keys if _may_sign(one)] if isinstance(keys, list) else []
    if not found or len(found) > MOST_KEYS:
        raise wire.Away("no_keys")
    return found


def _may_sign(one: Any) -> bool:
    return isinstance(one, dict) and one.get("kty") in ("RSA", "EC") and one.get("use", "sig") == "sig"


def _said(answer: wire.Answer) -> dict[str, Any]:
    if answer.status != 200:
        raise wire.Away(f"status_{answer.status}")
    return answer.said


def known(provider: Provider) -> Known:
    return _known(provider.issuer, provider.pushed, provider.proxy)


@lru_cache(maxsize=32)
def _known(issuer: str, pushed: bool, proxy: str | None) -> Known:
    return Known(issuer, pushed=pushed, proxy=proxy)


def forget() -> None:
    """Ask anew; for tests."""
    _known.cache_clear()
