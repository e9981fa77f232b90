"""Which addresses a push subscription may name. Whoever registers a device chooses where our servers connect to: never
into our own network, never to what only we can reach, and never onwards from there."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings

from server.notify.names import PUSHING, VETTING, Found, Names
from server.notify.sealed import Place

LONGEST = 2000
LOOK_UP_S = 3.0
_HOST = re.compile(r"(?![-.])[a-z0-9_.-]{1,253}\Z")
"""No IPv6 literals: no push service is named so, and our signature cannot name them (`aud`)."""
_PATH = re.compile(r"[!-~]*\Z")
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv4 addresses as an IPv6-only network sees them (RFC 6052)."""


class Forbidden(Exception):
    """We do not connect there; the text is a code."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`host` as it stands in the certificate; `target` is path and query."""

    scheme: str
    host: str
    port: int
    target: str
    allowed: bool = False
    """Named in PUSH_HOSTS_ALLOWED: may be anywhere, and speak http."""

    @property
    def origin(self) -> str:
        usual = self.port == (443 if self.scheme == "https" else 80)
        return f"{self.scheme}://{self.host}" + ("" if usual else f":{self.port}")


def parse(url: str, allowed: Collection[str] = ()) -> Endpoint:
    """The parts of a subscription's endpoint. Raises Forbidden."""
    if not isinstance(url, str) or len(url) > LONGEST or not _PATH.match(url) or "\\" in url:
        raise Forbidden("endpoint")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Forbidden("endpoint") from None
    netloc = parts.netloc.lower()
    host = netloc.rsplit(":", 1)[0] if port is not None else netloc.removesuffix(":")
    if "@" in netloc or parts.fragment or not _HOST.match(host) or port == 0:
        raise Forbidden("endpoint")
    port = port or (443 if parts.scheme == "https" else 80)
    known = bool({host, f"{host}:{port}"} & set(allowed))
    if parts.scheme != "https" and not (known and parts.scheme == "http"):
        raise Forbidden("scheme")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Endpoint(parts.scheme, host, port, target, known)


def is_public(address: str) -> bool:
    """Whether an IP address is one that everybody reaches: not ours, not a neighbour's, not a way round."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inside = found.ipv4_mapped
        if inside is None and found in _TRANSLATED:
            inside = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inside is not None:
            return is_public(str(inside))
        if found.scope_id or found.sixtofour is not None or found.teredo is not None or found.is_site_local:
            return False
    return found.is_global and not (
        found.is_private
        or found.is_loopback
        or found.is_link_local
        or found.is_multicast
        or found.is_reserved
        or found.is_unspecified
    )


def addresses_of(endpoint: Endpoint, limit_s: float = LOOK_UP_S, names: Names = PUSHING) -> Found:
    """Family and socket address of each address of the host, looked up now. One that is not public spoils them all.

    Raises Forbidden; TimeoutError and OSError when the name is not answered for.
    """
    try:
        found = names.look_up(endpoint.host, endpoint.port, limit_s)
    except UnicodeError:
        raise Forbidden("endpoint") from None
    if not endpoint.allowed and not all(is_public(str(address[0])) for _, address in found):
        raise Forbidden("address")
    return found


def vetted(subscription: object) -> Place:
    """What a browser's `PushSubscription` says, if we may send there now.

    Raises Forbidden: `endpoint`, `scheme`, `address`, `unknown_host` or `keys`.
    """
    said = subscription if isinstance(subscription, dict) else {}
    keys = said.get("keys")
    keys = keys if isinstance(keys, dict) else {}
    url, p256dh, auth = said.get("endpoint"), keys.get("p256dh"), keys.get("auth")
    if not isinstance(url, str):
        raise Forbidden("endpoint")
    if not (_is_point(_octets(p256dh)) and len(_octets(auth)) == 16):
        raise Forbidden("keys")
    endpoint = parse(url, settings.ENV.push_hosts_allowed)
    try:
        addresses_of(endpoint, LOOK_UP_S, VETTING)
    except OSError:  # TimeoutError too
        raise Forbidden("unknown_host") from None
    return Place(endpoint=url, p256dh=str(p256dh), auth=str(auth))


def _octets(text: object) -> bytes:
    """Of base64url, with or without its padding; empty for whatever is not."""
    if not isinstance(text, str) or len(text) > 200:
        return b""
    bare = text.rstrip("=")
    try:
        return base64.b64decode(bare.encode("ascii") + b"=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return b""


def _is_point(octets: bytes) -> bool:
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), octets)
    except ValueError:
        return False
    return len(octets) == 65
