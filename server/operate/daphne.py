"""Daphne with what a socket that must not be lost needs: frames taken at once while a connection keeps up, and the ASGI
lifespan, so that the application drains at SIGTERM (daphne drops sockets without a close frame and without a word)."""

import asyncio
import signal
from typing import Any

import structlog
from autobahn.twisted import websocket as autobahn_twisted
from autobahn.websocket import protocol as autobahn_protocol
from daphne.server import Server
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet import reactor

from server.common.asgi import FLOW, TAKE
from server.operate.wire import listen_with_limits

log = structlog.get_logger(__name__)

MAX_MESSAGE = 4 * 1024 * 1024
"""Above the application's own limit, so that it is the one to answer 4413."""
PATIENCE_S = 10.0
FINISH_S, LOOK_S, QUIET_LOOKS = 5.0, 0.02, 15
"""For so long, after the drain, requests that are under way are waited for: longer than most take, and well within what
whoever stops us waits. It must be quiet for so many looks: a proxy that had connected before the port closed may ask
late, and the last bytes of an answer must leave. Looks and not time: under load the loop may take longer for one."""
BUFFER_BYTES = 256 * 1024
"""What one connection's buffer takes: frames in it can no longer be purged (law 5b)."""


def _plain(value: object, *_: object, **__: object) -> object:
    """Autobahn colours the words of its debug lines at every frame, read by nobody: 6 % of a busy server's time."""
    return value


for _module in (autobahn_protocol, autobahn_twisted):
    for _colour in ("hlval", "hltype"):
        setattr(_module, _colour, _plain)


def _close(protocol: Any, code: int | None = None) -> None:
    """Autobahn's own `sendClose` refuses what is not 1000 or 3000-4999, and with it 1012, «service restart» (IANA)."""
    protocol.sendCloseFrame(code=1000 if code is None else code)


WebSocketProtocol.serverClose = _close
listen_with_limits()


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
            ready_callable=self._begin,
        )
        self._lifespan: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._ended = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        scope["root_path"] = ""  # daphne lets clients say it in a header
        if scope["type"] == "websocket":
            scope["extensions"] = {TAKE: Wire(protocol).take}
        else:
            scope["extensions"] = {FLOW: Way(protocol).has_room}
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
            try:
                await asyncio.wait_for(self._ended.wait(), PATIENCE_S)
            except TimeoutError:
                log.warning("drain_unfinished")
            await self._finish()
        finally:
            stop: Any = reactor
            stop.stop()

    async def _finish(self) -> None:
        """What has been asked is answered: who is cut off between the commit and the answer must ask again. Not for
        ever: a long answer to a slow reader is asked for again."""
        loop = asyncio.get_event_loop()
        deadline, quiet = loop.time() + FINISH_S, 0
        while quiet < QUIET_LOOKS and loop.time() < deadline:
            quiet = 0 if self._answering() else quiet + 1
            await asyncio.sleep(LOOK_S)

    def _answering(self) -> bool:
        return any("application_instance" in of and "disconnected" not in of for of in self.connections.values())


class Wire:
    """One connection's way out, without a task or a copy between the application and the socket."""

    __slots__ = ("_protocol", "_transport")

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._transport: Any = None

    def take(self, text: str) -> bool:
        """See `common.asgi.Take`. A frame for a connection that has ended is dropped."""
        protocol = self._protocol
        if protocol.state != protocol.STATE_OPEN:
            return True
        if self._unsent() > BUFFER_BYTES:
            return False
        protocol.sendMessage(text.encode(), False)
        return True

    def _unsent(self) -> int:
        if self._transport is None:
            self._transport = _bottom(self._protocol.transport)
        return _unsent(self._transport)


class Way:
    """One answer's way out: daphne takes whatever it is given into its memory, and cuts every answer off after the same
    time, however much is still to come."""

    __slots__ = ("_request", "_transport")

    def __init__(self, request: Any) -> None:
        self._request = request
        self._transport: Any = None

    def has_room(self) -> bool:
        """See `common.asgi.Flow`. Where the reader has gone away there is room: the end is told otherwise."""
        request = self._request
        if request.finished or request.channel is None:
            return True
        if self._transport is None:
            self._transport = _bottom(request.channel)
        if _unsent(self._transport) > BUFFER_BYTES:
            return False
        request.request_start += request.duration()
        return True


def _bottom(transport: Any) -> Any:
    """The transport that holds the bytes."""
    while not hasattr(transport, "_tempDataLen"):
        transport = getattr(transport, "transport", None) or transport._transport  # noqa: SLF001
    return transport


def _unsent(transport: Any) -> int:
    """Bytes that wait in the server's own buffer."""
    return len(transport.dataBuffer) - transport.offset + int(transport._tempDataLen)  # noqa: SLF001
