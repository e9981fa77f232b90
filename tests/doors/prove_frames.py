"""As `test_frames.py`, for as long as it takes."""

import pytest

from tests.doors.frames import FramesTestCase

pytestmark = pytest.mark.prove


class Fuzzed(FramesTestCase):
    async def test_anything_at_all(self) -> None:
        print(await self.fuzz(5_000), "frames")
