"""Work in batches: the first piece starts at once; the busier it is, the more goes together."""

import asyncio

PER_PIECE_S = 0.005
LONGEST_S = 0.02


class Pace:
    """After a batch of n pieces the next one starts n times 5 ms later, at most 20 ms.

    Alone, nothing waits. From about 200 pieces a second on the batches grow, and each shares its round trips, its flush
    to disk and its change of thread with several: that is where a busy server's time goes.
    """

    def __init__(self) -> None:
        self._started = 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for the next start."""
        loop = asyncio.get_running_loop()
        if (wait := self._next - loop.time()) > 0:
            await asyncio.sleep(wait)
        self._started = loop.time()
        self._next = self._started + PER_PIECE_S

    def took(self, pieces: int) -> None:
        """Say how many pieces the batch has that starts now."""
        self._next = self._started + min(LONGEST_S, pieces * PER_PIECE_S)
