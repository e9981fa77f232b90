"""A socket that enters a room while a read is under way (found by the kill proofs: it lost what lay between)."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

from server.gateway.hub import Hub
from server.gateway.jobs import Reading
from server.gateway.socket import Follow


def test_a_socket_that_came_from_further_back_is_read_again_and_skips_nothing() -> None:
    room, sent = uuid4(), []
    hub = cast(Any, Hub.__new__(Hub))
    hub._dirty, hub._wake, hub.rooms = set(), asyncio.Event(), {}
    socket: Any = SimpleNamespace(user_id=uuid4(), push=lambda frame, _room: sent.append(frame))
    permit: Any = SimpleNamespace(epoch=1, valid_until=None, sees=lambda seq, about: True)
    late = Follow(socket, permit, cursor=3)
    hub.rooms[room] = {late}

    def reading(after: int) -> Reading:
        frames = tuple((seq, seq, str(seq)) for seq in range(after + 1, 9))
        return Reading(room, 1, 8, after, 8, datetime.now(UTC), frames, frozenset({socket.user_id}), None)

    hub._spread(reading(after=6))
    assert (sent, late.cursor) == ([], 3)
    assert hub._dirty == {room}
    hub._spread(reading(after=3))
    assert (sent, late.cursor) == (["4", "5", "6", "7", "8"], 8)
