"""Whose word counts for where a request came from: only that of proxies which the installation names.

Everybody may write `X-Forwarded-For`. What does not come from a named proxy is dropped before anything reads it, on
requests and sockets alike; what does is read from the right, up to the first address that is not a proxy's.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from django.conf import settings

Scope = dict[str, Any]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FORWARDED = (b"x-forwarded-for", b"x-forwarded-proto")
OTHERS = (b"forwarded", b"x-forwarded-host", b"x-forwarded-port", b"x-real-ip")
"""Nobody's word is taken for these."""
PASSED_ON = "samsnakk.passed_on"
"""Set in the scope of what somebody unnamed has passed on: the address is then theirs, and not the client's."""


@lru_cache(maxsize=8)
def networks(named: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(one) for one in named)


def within(address: str, named: Iterable[str]) -> bool:
    """Whether an address lies in one of the networks; what is no address lies in none."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in network for network in networks(tuple(named)) if network.version == found.version)


def address_key(address: str) -> str:
    """What stands for an address in a count: of IPv6 the network that one household has, for it has them all."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "?"
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))


def believed(scope: Scope) -> Scope:
    """The scope with `client` and `scheme` as a named proxy says, and without the headers in which others say it."""
    named = settings.ENV.trusted_proxies
    headers = scope.get("headers", [])
    peer = (scope.get("client") or ("", 0))[0]
    trusted = within(peer, named)
    dropped = OTHERS if trusted else (*OTHERS, *FORWARDED)
    kept = [(name, value) for name, value in headers if name.lower() not in dropped]
    if not trusted:
        return scope if len(kept) == len(headers) else {**scope, "headers": kept, PASSED_ON: True}
    return {**scope, "headers": kept, "client": [_client(kept, peer, named), 0]}


def _client(headers: list[tuple[bytes, bytes]], peer: str, named: list[str]) -> str:
    """The last hop that is no proxy of ours; the peer itself when what stands there is no address."""
    said = b",".join(value for name, value in headers if name.lower() == b"x-forwarded-for").decode("latin1")
    for hop in reversed([one.strip() for one in said.split(",") if one.strip()]):
        try:
            ipaddress.ip_address(hop)
        except ValueError:
            return peer
        if not within(hop, named):
            return hop
    return peer
