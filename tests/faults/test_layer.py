"""The link to the layer gives back what it took: a channel nobody reads any more would fill without end."""

import asyncio
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer

from server.common.hints import GROUP, Hint
from server.gateway import layer


def test_joining_again_leaves_one_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> tuple[int, list[Hint]]:
        shared: Any = InMemoryChannelLayer()
        monkeypatch.setattr(layer, "get_channel_layer", lambda: shared)
        monkeypatch.setattr(layer, "REJOIN_S", 0.02)
        heard: list[Hint] = []
        link = layer.LayerLink(heard.extend)
        task = asyncio.create_task(link.listen_for_ever())
        await asyncio.sleep(0.3)
        hint = Hint("room", "01990000-0000-7000-8000-000000000000", 1)
        await shared.group_send(GROUP, {"type": "hints", "from": "another", "hints": [hint.packed()]})
        await asyncio.sleep(0.1)
        count = len(shared.groups.get(GROUP, {}))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return count, heard

    count, heard = asyncio.run(play())
    assert count <= 1
    assert len(heard) == 1
