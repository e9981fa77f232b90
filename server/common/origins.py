"""Which web pages may speak to us: our own, and those of origins that the installation names. Nobody else's are told
apart by `Access-Control-*` headers either: none is ever sent (CORS is closed)."""

from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import validate_host

PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}


def own_host(host: str) -> bool:
    """Whether a `Host` header names a host that is served here."""
    name, _, port = host.rpartition(":") if host and not host.endswith("]") else (host, "", "")
    name, port = (name, port) if name else (port, "")
    return bool(name) and (not port or port.isdecimal()) and validate_host(name.lower(), settings.ALLOWED_HOSTS)


def is_own(origin: str, host: str) -> bool:
    """Whether an `Origin` is that of this host, over TLS in production, or one that is trusted."""
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    try:
        said = urlsplit(origin)
    except ValueError:
        return False
    if said.scheme not in (("https", "http") if settings.DEMO else ("https",)) or said.path or said.query:
        return False
    return bool(said.netloc) and _plain(said.netloc, said.scheme) == _plain(host, said.scheme)


def is_foreign(origin: str | None, host: str) -> bool:
    """Whether a page from elsewhere sent this. Apps and programmes say nothing, and are not."""
    return origin is not None and not is_own(origin, host)


def _plain(host: str, scheme: str) -> str:
    return host.lower().removesuffix(f":{PORTS[scheme]}")
