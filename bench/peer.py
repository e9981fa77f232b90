"""One client socket, as light as it can be: the load generator shares the machine with what it measures.

The WebSocket protocol itself is the `websockets` library's, without I/O of its own; here is only the transport. No
compression is offered.
"""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

PATIENCE_S = 30.0


class Refused(ConnectionError):
    """The server closed or refused the socket; the text says how."""


class Peer(asyncio.Protocol):
    """Frames go to `on_frame(payload, at)`; `at` is `time.perf_counter()` when the bytes arrived, in seconds."""

    def __init__(self, url: str) -> None:
        self._protocol = ClientProtocol(parse_uri(url), max_size=None)
        self._transport: asyncio.Transport | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gathering = False
        self.on_frame: Callable[[bytes, float], None] = lambda payload, at: None
        self.on_close: Callable[[int | None], None] = lambda code: None

    @classmethod
    async def connect(cls, url: str) -> "Peer":
        """An open socket. Raises Refused, OSError, TimeoutError (30 s)."""
        uri = parse_uri(url)
        loop = asyncio.get_running_loop()
        _, peer = await loop.create_connection(lambda: cls(url), uri.host, uri.port)
        async with asyncio.timeout(PATIENCE_S):
            await peer.ready
        return peer

    def send(self, payload: bytes) -> None:
        """Send one text frame; within `on_frame` it goes out together with the others."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_text(payload)
            if not self._gathering:
                self._flush()

    def say(self, **words: Any) -> None:
        self.send(json.dumps(words).encode())

    def close(self) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(1000)
            self._flush()

    # --- asyncio.Protocol --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._protocol.send_request(self._protocol.connect())
        self._flush()

    def data_received(self, data: bytes) -> None:
        at = time.perf_counter()
        self._protocol.receive_data(data)
        self._gathering = True
        try:
            for event in self._protocol.events_received():
                opcode = getattr(event, "opcode", None)
                if opcode is Opcode.TEXT:
                    self.on_frame(bytes(event.data), at)  # type: ignore[union-attr]
                elif opcode is None:
                    self._answered()
        finally:
            self._gathering = False
            self._flush()

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(Refused("the connection ended during the handshake"))
        self.on_close(self._protocol.close_code)

    def _answered(self) -> None:
        if self.ready.done():
            return
        fault = self._protocol.handshake_exc
        if fault is None:
            self.ready.set_result(None)
        else:
            self.ready.set_exception(Refused(str(fault)))

    def _flush(self) -> None:
        chunks = self._protocol.data_to_send()
        if self._transport is None or not chunks:
            return
        data = b"".join(chunks)
        if data:
            self._transport.write(data)
        if not chunks[-1]:  # the library's sign for «no more»
            self._transport.close()
