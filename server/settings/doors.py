"""Who may come in how often, by which proxies, and who may see how the installation is doing."""

import ipaddress
from typing import Annotated, Any

from pydantic import field_validator
from pydantic_settings import BaseSettings, NoDecode

Words = Annotated[list[str], NoDecode]


class Doors(BaseSettings):
    """What stands between the network and the product."""

    throttle: bool = True
    """Count requests, and refuse who asks too often (`server/common/limiting.py`)."""
    rate_limits: Words = []
    """Other limits than that file's: `act=3000/60` is three thousand in sixty seconds."""
    behind_tls: bool = False
    """A proxy named in `trusted_proxies` ends TLS and sets X-Forwarded-Proto."""
    trusted_proxies: Words = []
    """Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are believed; nobody else's are."""
    health_networks: Words = []
    """Addresses or networks that are shown the warnings in the body of `/health/ready`, besides this machine."""

    @field_validator("rate_limits", "trusted_proxies", "health_networks", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        return [word for word in value.replace(",", " ").split() if word] if isinstance(value, str) else value

    @field_validator("trusted_proxies", "health_networks")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for one in value:
            try:
                ipaddress.ip_network(one)
            except ValueError:
                raise ValueError("expected addresses or networks, as in 10.0.0.5 or 10.0.0.0/24") from None
        return value
