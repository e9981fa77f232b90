"""What time brings: what has been sealed becomes lines that officers can look for. No state in memory."""

import time

from server.review import lines

MOST = 40
"""Batches of one tick; what is left waits for the next."""


def tick() -> int:
    """Follow the log; returns how many leaves. Between batches others get as long as the batch took: writers on SQLite,
    and whoever shares this process.

    Raises OperationalError when the database is gone.
    """
    done = 0
    for _ in range(MOST):
        begun = time.monotonic()
        count = lines.follow()
        done += count
        if count < lines.BATCH:
            break
        time.sleep(time.monotonic() - begun)
    return done
