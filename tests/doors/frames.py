"""A fuzzer of the socket: what somebody may send, frame after frame, and what must be so after each of it."""

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import hypothesis
from hypothesis import strategies as st

from server.gateway import frames
from tests.gateway.driver import GatewayTestCase, Phone
from tests.gateway.test_bad_input import almost, anything
from tests.gateway.test_documents import fits

Message = dict[str, Any]
"""As the server hands it to the gateway: `text` or `bytes`, or neither."""
REFUSING = {frames.MALFORMED, frames.SESSION_ENDED, frames.TOO_LARGE, frames.TOO_MANY}
"""Codes with which somebody is shut out for what they sent. Not 1011, and not «come back»: they would send it again."""
PATIENCE_S = 20.0


def text(said: str) -> Message:
    return {"text": said}


def frame_strategy(known: list[str]) -> st.SearchStrategy[Message]:
    """Right frames, almost right ones, and anything. `known`: ids, tokens and words that mean something here."""
    word = st.sampled_from(known)
    value = word | anything | st.integers(-1, 2**64) | st.lists(word, max_size=2)
    right = st.fixed_dictionaries(
        {"type": st.sampled_from(["hello", "post", "delivered", "read", "typing", "ping"])},
        optional={
            "protocol": st.sampled_from([0, 1, 2, 3]) | value,
            "token": value,
            "alert_key": value,
            "cursors": st.dictionaries(word | st.text(max_size=4), st.integers(-1, 2**62) | value, max_size=3) | value,
            "room": value,
            "txn_id": st.text(max_size=66) | value,
            "body": st.text(max_size=30) | value,
            "kind": st.sampled_from(["text", "agreed", "vedtak"]) | value,
            "reply_to": st.integers(0, 9) | value,
            "seq": st.integers(0, 9) | value,
        },
    )
    as_json = (right | almost | anything).map(json.dumps) | (right | almost).map(
        lambda x: json.dumps(x, ensure_ascii=False)
    )
    cut = st.tuples(as_json, st.integers(0, 200)).map(lambda both: both[0][: both[1]])
    twice = st.tuples(as_json, as_json).map("".join)
    deep = st.integers(1, 60_000).flatmap(lambda n: st.sampled_from(["[" * n, '{"type":' * n, "[" * n + "]" * n]))
    sizes = st.sampled_from([frames.MAX_FRAME - 40, frames.MAX_FRAME + 1, 4 * frames.MAX_FRAME])
    huge = st.tuples(sizes, st.sampled_from(["body", "x", "token"])).map(
        lambda both: json.dumps({"type": "post", both[1]: "å" * (both[0] // 6)})
    )
    odd = st.sampled_from(
        [
            '{"type":"post","body":"\\ud800"}',
            '{"type":"ping","x":"\ud800"}',
            '{"type":"ping","type":"hello"}',
            '{"type":"read","seq":' + "9" * 5000 + "}",
            '{"type":"ping","x":1e999}',
            "\ufeff" + '{"type":"ping"}',
            "\x00",
        ]
    )
    said = (as_json | st.text(max_size=40) | cut | twice | deep | huge | odd).map(text)
    octets = (st.binary(max_size=40) | as_json.map(lambda one: one.encode("utf-8", "replace"))).map(
        lambda data: {"bytes": data}
    )
    return said | octets | st.sampled_from([{}, {"text": None}, {"text": None, "bytes": None}])


class FramesTestCase(GatewayTestCase):
    """One gateway; Kari's phones send anything, and Frida's is in the same room."""

    heartbeat_s = 30.0

    async def fuzz(self, examples: int) -> int:
        """How many frames were sent."""
        token = (await self.rest(self.person, "kari")).token
        trines = await self.rest(self._trines_key)
        head = await self.rest(self.head)
        known = [str(self.room.id), str(self.room.consent), token, trines, "text", "a", "", str(head)]
        sent = 0
        async with self.gateway() as gateway:
            frida = await self.phone(gateway, "frida")
            loop = asyncio.get_running_loop()

            async def play(greets: bool, script: list[Message]) -> None:
                nonlocal sent
                phone = await self.connect(gateway)
                try:
                    if greets:
                        await phone.hello(token)
                    for message in script:
                        sent += 1
                        phone._to_app.put_nowait({"type": "websocket.receive", **message})
                    await self._ends_well(phone)
                    await self._goes_on(frida)
                finally:
                    await phone.leave()
                    self._phones.remove(phone)

            @hypothesis.settings(
                max_examples=examples,
                deadline=None,
                database=None,
                derandomize=True,
                suppress_health_check=list(hypothesis.HealthCheck),
            )
            @hypothesis.given(st.booleans(), st.lists(frame_strategy(known), min_size=1, max_size=6))
            def one(greets: bool, script: list[Message]) -> None:
                asyncio.run_coroutine_threadsafe(play(greets, script), loop).result(PATIENCE_S)

            with nothing_wrong(loop):
                await asyncio.to_thread(one)
            assert frida.closed is None
        return sent

    def _trines_key(self) -> str:
        return str(self.person("trine").ok("post", "alert-keys", {"label": ""})["key"])

    async def _ends_well(self, phone: Phone) -> None:
        """It answers still, or has shut them out for a reason that stands in the contract; and every frame that it sent
        is one of the contract's."""
        phone.say(type="ping")
        await phone._until(lambda: phone.closed is not None or bool(phone.of("pong")), PATIENCE_S)
        assert phone.closed is None or phone.closed in REFUSING, phone.closed
        for frame in phone.frames:
            fits(frame["type"], frame)

    async def _goes_on(self, phone: Phone) -> None:
        before = len(phone.of("pong"))
        phone.say(type="ping")
        await phone._until(lambda: len(phone.of("pong")) > before, PATIENCE_S)


@contextmanager
def nothing_wrong(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Nothing is logged as a warning or worse, and no task dies unseen."""
    told: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(f"{record.name}: {record.getMessage()[:300]}")

    handler = Listening(logging.WARNING)
    logging.getLogger().addHandler(handler)
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: told.append(str(context.get("exception") or context["message"])))
    try:
        yield
    finally:
        loop.set_exception_handler(before)
        logging.getLogger().removeHandler(handler)
    assert not told, told[:5]
