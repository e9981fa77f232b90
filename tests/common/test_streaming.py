"""Answers that are made while they go out wait for slow readers, and end when these have gone away."""

from collections.abc import Generator

from asgiref.sync import async_to_sync
from django.test import SimpleTestCase

from server.common import streaming


class Streaming(SimpleTestCase):
    databases = {"default"}

    def setUp(self) -> None:
        self.made = 0
        self.closed = False

    def chunks(self) -> Generator[bytes, None, None]:
        try:
            for _ in range(5):
                self.made += 1
                yield b"x"
        finally:
            self.closed = True

    def test_no_chunk_is_made_while_one_waits_to_be_read(self) -> None:
        """Red when `has_room` is not asked, or once only."""
        seen: list[int] = []

        def has_room() -> bool:
            seen.append(self.made)
            return len(seen) % 3 == 0

        @async_to_sync
        async def read() -> int:
            return len([chunk async for chunk in streaming._apart(self.chunks(), has_room)])

        assert read() == 5
        assert seen == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5]
        assert self.closed

    def test_a_reader_who_goes_away(self) -> None:
        @async_to_sync
        async def read() -> None:
            answer = streaming._apart(self.chunks(), None)
            await anext(answer)
            await answer.aclose()  # type: ignore[attr-defined]

        read()
        assert (self.made, self.closed) == (1, True)
