"""The link to other processes: hints out in small batches, hints in. Whatever fails here loses hints only (law 4)."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import uuid4

import structlog
from channels.layers import get_channel_layer

from server.common.hints import GROUP, Hint, unpack

log = structlog.get_logger(__name__)

PENDING = 10_000
SEND_LIMIT_S = 2.0
RETRY_S = 1.0
REJOIN_S = 3600.0
"""Group membership expires after a day in some layers: join again well before."""


class LayerLink:
    """One channel in one group shared by all processes; every process drops what does not concern it."""

    def __init__(self, heard: Callable[[Iterable[Hint]], None]) -> None:
        self._heard = heard
        self._layer: Any = get_channel_layer()
        self._me = str(uuid4())
        self._pending: dict[Hint, None] = {}
        self._wake = asyncio.Event()
        self._channel: str | None = None

    def publish(self, hints: Sequence[Hint]) -> None:
        """Tell the other processes soon; the oldest are dropped when the layer does not take them."""
        for one in hints:
            self._pending[one] = None
        while len(self._pending) > PENDING:
            del self._pending[next(iter(self._pending))]
        self._wake.set()

    async def publish_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            hints, self._pending = list(self._pending), {}
            if self._layer is None or not hints:
                continue
            message = {"type": "hints", "from": self._me, "hints": [one.packed() for one in hints]}
            try:
                async with asyncio.timeout(SEND_LIMIT_S):
                    await self._layer.group_send(GROUP, message)
            except Exception as error:  # noqa: BLE001 - hints may be lost (law 4)
                log.warning("hints_lost", count=len(hints), error=type(error).__name__)
                await asyncio.sleep(RETRY_S)

    async def listen_for_ever(self) -> None:
        while self._layer is not None:
            try:
                self._channel = await self._layer.new_channel()
                await self._layer.group_add(GROUP, self._channel)
                await self._listen(self._channel)
                await self.leave()
            except Exception as error:  # noqa: BLE001 - whatever the layer raises, try again
                log.warning("layer_lost", error=type(error).__name__)
                await asyncio.sleep(RETRY_S)
                await self._forget_channels()

    async def _listen(self, channel: str) -> None:
        """Hear hints until it is time to join again; the channel is given back by then, or its queue would go on
        filling without a reader."""
        try:
            async with asyncio.timeout(REJOIN_S):
                while True:
                    message = await self._layer.receive(channel)
                    if message.get("from") != self._me:
                        self._heard(unpack(message))
        except TimeoutError:
            pass

    async def _forget_channels(self) -> None:
        """Begin anew with a layer that failed: each failed attempt leaves a channel in its tables (it empties them in
        this process only)."""
        try:
            async with asyncio.timeout(SEND_LIMIT_S):
                await self._layer.flush()
        except Exception as error:  # noqa: BLE001 - tried again with the next failure
            log.warning("layer_not_flushed", error=type(error).__name__)

    async def leave(self) -> None:
        """Leave the group, so that nobody sends to a channel without a reader."""
        if self._layer is not None and self._channel is not None:
            try:
                async with asyncio.timeout(SEND_LIMIT_S):
                    await self._layer.group_discard(GROUP, self._channel)
            except Exception as error:  # noqa: BLE001 - it expires by itself
                log.warning("layer_not_left", error=type(error).__name__)
