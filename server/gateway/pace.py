"""Work in batches: the first piece starts at once, what comes within the next moment goes together."""

import asyncio


class Pace:
    """Starts at most once in `gap_s` seconds. Alone, nothing waits; under load each batch shares its round trips, its
    flush to disk and its change of thread, which is where a busy server's time goes."""

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for the next start."""
        now = asyncio.get_running_loop().time()
        start = max(now, self._next)
        self._next = start + self._gap_s
        if start > now:
            await asyncio.sleep(start - now)
