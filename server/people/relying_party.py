"""For which site passkeys are made, and whence they may answer (WebAuthn level 3, § 5.4.2, § 13.4.9)."""

from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings

NAME = "Samsnakk"


class RelyingParty(NamedTuple):
    """`id`: a host name; `origins`: exact, of browsers and apps."""

    id: str
    origins: list[str]


def relying_party() -> RelyingParty:
    """As this installation has set it; else the host of its public address, else the first that it serves. The request
    is not asked: its Host is whatever somebody sends."""
    env = settings.ENV
    public = urlsplit(env.public_url)
    served = next((one for one in env.allowed_hosts if one != "*"), "")
    id_ = env.webauthn_rp_id or public.hostname or served.lstrip(".") or "localhost"
    if env.webauthn_origins:
        return RelyingParty(id_, list(env.webauthn_origins))
    origins = [f"https://{id_}"]
    if public.hostname == id_:
        origins.append(f"{public.scheme}://{public.netloc}")
    if settings.DEMO and id_ == "localhost":
        origins.append(f"http://localhost:{env.port}")
    return RelyingParty(id_, list(dict.fromkeys(origins)))
