"""A dead man's switch elsewhere: as long as it is pinged, nobody is called. It hears that all is well, and nothing
else; when this machine, its network or its database is gone, the pings stop by themselves."""

import http.client
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import structlog

log = structlog.get_logger(__name__)

LIMIT_S = 10.0


class DeadMan:
    """Pings `url` at most every `every_s` seconds, on a thread: a switch that hangs holds nobody up. Without a `url` it
    does nothing."""

    def __init__(self, url: str, every_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._url, self._every_s, self._monotonic = url, every_s, monotonic
        self._due = 0.0
        self._thread: threading.Thread | None = None

    def ping(self) -> None:
        """All is well. One that is under way is not doubled."""
        if not self._url or self._monotonic() < self._due or (self._thread is not None and self._thread.is_alive()):
            return
        self._due = self._monotonic() + self._every_s
        self._thread = threading.Thread(target=self._send, name="dead-man", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float) -> None:
        """Until the ping that is under way has ended."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _send(self) -> None:
        """The address may hold a secret: neither it nor an error's text is logged."""
        try:
            status = get(self._url)
        except (OSError, http.client.HTTPException, ValueError) as error:
            log.error("dead_man_not_pinged", error=type(error).__name__)
            return
        if not 200 <= status < 300:
            log.error("dead_man_not_pinged", status=status)


def get(url: str) -> int:
    """The status of a plain GET; redirects are not followed. Raises OSError, HTTPException."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=LIMIT_S)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"User-Agent": "samsnakk-watchdog"})
        return connection.getresponse().status
    finally:
        connection.close()
