"""Whatever is sent to the socket, it answers or closes as the contract says, and everybody else goes on."""

from tests.doors.frames import FramesTestCase
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class Fuzzed(FramesTestCase):
    async def test_anything_at_all(self) -> None:
        """Red when a parser lets something through that a job chokes on, or when a refusal has no code."""
        assert await self.fuzz(60) >= 60
