"""Daphne with what a socket that must not be lost needs: unsent bytes told to the application, and a drain at SIGTERM
(daphne itself drops sockets without a close frame and without telling the application)."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from daphne.server import Server
from django.conf import settings
from twisted.internet import reactor

from server.gateway.app import UNSENT

log = structlog.get_logger(__name__)

MAX_MESSAGE = 4 * 1024 * 1024
"""Above the application's own limit, so that it is the one to answer 4413."""


class DrainingServer(Server):  # type: ignore[misc]
    """Listens on one address; `drain` is awaited before the reactor stops."""

    def __init__(self, application: Any, *, host: str, port: int, drain: Callable[[], Awaitable[None]]) -> None:
        interface = host.replace(":", r"\:")
        super().__init__(
            application,
            endpoints=[f"tcp:port={port}:interface={interface}"],
            signal_handlers=False,
            http_timeout=60,
            websocket_handshake_timeout=10,
            websocket_max_message_size=MAX_MESSAGE,
            websocket_max_frame_size=MAX_MESSAGE,
            application_close_timeout=15,
            server_name="samsnakk",
            verbosity=0,
            proxy_forwarded_address_header="X-Forwarded-For" if settings.ENV.behind_tls else None,
            ready_callable=self._take_signals,
        )
        self._drain = drain
        self._stopping = False

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        if scope["type"] == "websocket":
            scope["extensions"] = {UNSENT: lambda: unsent_bytes(protocol)}
        return super().create_application(protocol, scope)

    def _take_signals(self) -> None:
        loop = asyncio.get_event_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._begin_stop)

    def _begin_stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._stop_task = asyncio.get_event_loop().create_task(self._drain_and_stop())

    async def _drain_and_stop(self) -> None:
        for listener in self.listeners:
            port = listener.result
            if hasattr(port, "stopListening"):
                port.stopListening()
        try:
            await asyncio.wait_for(self._drain(), 10)
        except Exception as error:
            log.warning("drain_unfinished", error=type(error).__name__)
        finally:
            reactor.stop()  # type: ignore[attr-defined]


def unsent_bytes(protocol: Any) -> int:
    """Bytes that wait in the server's own buffer for one connection."""
    transport = protocol.transport
    for _ in range(4):
        if hasattr(transport, "_tempDataLen"):
            return len(transport.dataBuffer) - transport.offset + int(transport._tempDataLen)  # noqa: SLF001
        inner = getattr(transport, "transport", None) or getattr(transport, "_transport", None)
        if inner is None:
            return 0
        transport = inner
    return 0
