"""Daphne with what a socket that must not be lost needs: unsent bytes told to the application, and the ASGI lifespan,
so that the application drains at SIGTERM (daphne itself drops sockets without a close frame and without a word)."""

import asyncio
import signal
from typing import Any

import structlog
from daphne.server import Server
from django.conf import settings
from twisted.internet import reactor

from server.common.asgi import UNSENT

log = structlog.get_logger(__name__)

MAX_MESSAGE = 4 * 1024 * 1024
"""Above the application's own limit, so that it is the one to answer 4413."""
PATIENCE_S = 10.0


class DrainingServer(Server):
    """Listens on one address. At SIGTERM or SIGINT it stops listening, lets the application end, then stops."""

    def __init__(self, application: Any, *, host: str, port: int) -> None:
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
            ready_callable=self._begin,
        )
        self._lifespan: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._ended = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        if scope["type"] == "websocket":
            scope["extensions"] = {UNSENT: lambda: unsent_bytes(protocol)}
        return super().create_application(protocol, scope)

    def _begin(self) -> None:
        loop = asyncio.get_event_loop()
        self._lifespan.put_nowait({"type": "lifespan.startup"})
        self._tasks.append(loop.create_task(self.application({"type": "lifespan"}, self._lifespan.get, self._heard)))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._begin_stop)

    async def _heard(self, message: dict[str, Any]) -> None:
        if message["type"].startswith("lifespan.shutdown"):
            self._ended.set()

    def _begin_stop(self) -> None:
        if len(self._tasks) == 1:
            self._tasks.append(asyncio.get_event_loop().create_task(self._drain_and_stop()))

    async def _drain_and_stop(self) -> None:
        for listener in self.listeners:
            if hasattr(listener.result, "stopListening"):
                listener.result.stopListening()
        self._lifespan.put_nowait({"type": "lifespan.shutdown"})
        try:
            await asyncio.wait_for(self._ended.wait(), PATIENCE_S)
        except TimeoutError:
            log.warning("drain_unfinished")
        finally:
            stop: Any = reactor
            stop.stop()


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
