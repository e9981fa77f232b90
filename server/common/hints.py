"""Hints: «look again», never content and never a decision (law 4). Lost, doubled or reordered ones do no harm.

A hint is told to this process at once and to the others through the channel layer, after the commit. In a server
process the gateway binds a listener; elsewhere (commands, workers) the layer alone is used.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args
from uuid import UUID

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction

log = structlog.get_logger(__name__)

GROUP = "samsnakk.hints"
SEND_LIMIT_S = 2.0
Kind = Literal["room", "marks", "user", "session", "alert", "typing", "key"]


@dataclass(frozen=True, slots=True)
class Hint:
    """`id` is the room, user, session, alert or key; `seq` the room's new head; `user` the one who types."""

    kind: Kind
    id: str
    seq: int = 0
    user: str = ""

    def packed(self) -> list[str | int]:
        return [self.kind, self.id, self.seq, self.user]


def unpack(message: object) -> list[Hint]:
    """Hints of one layer message; what does not look like hints is ignored (an older or newer process may send it)."""
    found: list[Hint] = []
    rows = message.get("hints") if isinstance(message, dict) else None
    for row in rows if isinstance(rows, list | tuple) else ():
        match row:
            case [str(kind), str(target), int(seq), str(user)] if kind in get_args(Kind) and _is_uuid(target):
                if kind != "typing" or _is_uuid(user):
                    found.append(Hint(kind, target, seq, user))  # type: ignore[arg-type] # checked by the guard
    return found


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


Listener = Callable[[Sequence[Hint]], None]
_listeners: list[Listener] = []
_pending = threading.local()


def listen(listener: Listener) -> Callable[[], None]:
    """Let `listener` have this process's own hints; it must be safe to call from any thread. Returns the undo."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


def hint(kind: Kind, target: UUID | str, *, seq: int = 0, user: UUID | str = "") -> None:
    """Send a hint after the commit of the current transaction (at once when there is none)."""
    one = Hint(kind, str(target), seq, str(user))
    transaction.on_commit(lambda: send([one]), robust=True)


def send(hints: Sequence[Hint]) -> None:
    """Send now. Never raises: a hint that is lost is healed by the heartbeat."""
    if _listeners:
        for listener in tuple(_listeners):
            listener(hints)
        return
    layer = get_channel_layer()
    if layer is None:
        return
    try:
        async_to_sync(_send_soon)(layer, {"type": "hints", "hints": [one.packed() for one in hints]})
    except Exception as error:  # noqa: BLE001 - a lost hint is healed by the heartbeat
        log.warning("hint_lost", error=type(error).__name__)


async def _send_soon(layer: Any, message: dict[str, Any]) -> None:
    """A frozen layer accepts bytes and never answers: whoever acts must not wait for it."""
    async with asyncio.timeout(SEND_LIMIT_S):
        await layer.group_send(GROUP, message)
