"""A way to Redis on which hints get lost, doubled, delayed and so overtaken; everything else passes as it is."""

import asyncio
import random
import threading
from collections import Counter
from typing import Self

from tools.servers import free_port

MESSAGE = b"*3\r\n$7\r\nmessage\r\n"


def end_of_reply(data: bytes, at: int = 0) -> int | None:
    """Where the reply that begins at `at` ends (RESP 2), or None when it has not come in full."""
    line = data.find(b"\r\n", at)
    if line < 0:
        return None
    kind, after = data[at : at + 1], line + 2
    if kind not in (b"$", b"*"):
        return after
    count = int(data[at + 1 : line])
    if kind == b"$":
        end = after + count + 2 if count >= 0 else after
        return end if end <= len(data) else None
    for _ in range(count):
        found = end_of_reply(data, after)
        if found is None:
            return None
        after = found
    return after


class LossyRedis:
    """A TCP proxy on a loop and thread of its own. `lossy` turns its vices on."""

    def __init__(self, upstream: int, *, seed: int, lose: float = 0.4, double: float = 0.2, delay: float = 0.2) -> None:
        self.port = free_port()
        self.lossy = False
        self.counts: Counter[str] = Counter()
        self._upstream = upstream
        self._dice = random.Random(seed)
        self._odds = {"lost": lose, "doubled": double, "delayed": delay}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        opening = asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self._server = asyncio.run_coroutine_threadsafe(opening, self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        async def end() -> None:
            self._server.close()
            for writer in self._writers:
                writer.close()
            me = asyncio.current_task()
            tasks = [task for task in asyncio.all_tasks() if task is not me]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_redis, to_redis = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, to_redis}
        try:
            await asyncio.gather(self._pass_on(reader, to_redis), self._answers(from_redis, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            to_redis.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting = b""
        while data := await reader.read(65_536):
            waiting += data
            while waiting and (end := end_of_reply(waiting)) is not None:
                reply, waiting = waiting[:end], waiting[end:]
                if reply.startswith(MESSAGE):
                    self._hint(reply, writer)
                else:
                    writer.write(reply)
        writer.close()

    def _hint(self, reply: bytes, writer: asyncio.StreamWriter) -> None:
        roll = self._dice.random() if self.lossy else 1.0
        vice = "passed"
        for name, odds in self._odds.items():
            if roll < odds:
                vice = name
                break
            roll -= odds
        self.counts[vice] += 1
        if vice == "doubled":
            writer.write(reply + reply)
        elif vice == "delayed":
            self._loop.call_later(self._dice.uniform(0.05, 3.0), writer.write, reply)
        elif vice == "passed":
            writer.write(reply)
