"""Doing things at the same time, each on a thread and a database connection of its own."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from django.db import connection

R = TypeVar("R")


def at_once(acts: Sequence[Callable[[], R]], *, limit_s: float = 30) -> list[R]:
    """Start all acts together; their results in order.

    Raises the first act's exception, and TimeoutError when one does not end in time.
    """
    gate = threading.Barrier(len(acts))
    results: list[R | None] = [None] * len(acts)
    errors: list[BaseException] = []

    def run(index: int) -> None:
        try:
            gate.wait(limit_s)
            results[index] = acts[index]()
        except BaseException as error:  # noqa: BLE001 - raised again on the main thread
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(len(acts))]
    for one in threads:
        one.start()
    for one in threads:
        one.join(limit_s)
        if one.is_alive():
            raise TimeoutError("an act hangs")
    if errors:
        raise errors[0]
    return results  # type: ignore[return-value]
