"""Database calls from sockets: a bounded executor, one persistent and health-checked connection per thread."""

import asyncio
import contextlib
import contextvars
import functools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from server.common.errors import Unavailable

P = ParamSpec("P")
R = TypeVar("R")

IDLE_CHECK_S = 10.0
_last_use = threading.local()


@functools.cache
def executor() -> ThreadPoolExecutor:
    """The process's database threads for sockets; `DB_THREADS` of them, never more."""
    return ThreadPoolExecutor(max_workers=settings.ENV.db_threads, thread_name_prefix="db")


async def in_db(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run `call` on a database thread.

    Raises Unavailable when the database does not answer.
    """
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()  # the request id goes along, into the log and the audit
    work = functools.partial(on_this_thread, call, *args, **kwargs)
    return await loop.run_in_executor(executor(), context.run, work)


def on_this_thread(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run `call` with this thread's persistent connection, renewed when it is stale or broken."""
    idle = time.monotonic() - getattr(_last_use, "at", 0.0)
    if connection.connection is not None and idle > IDLE_CHECK_S and not connection.is_usable():
        connection.close()
    try:
        return call(*args, **kwargs)
    except (OperationalError, InterfaceError) as error:
        with contextlib.suppress(DatabaseError):
            connection.close()
        raise Unavailable from error
    finally:
        if connection.connection is not None and (connection.errors_occurred and not connection.in_atomic_block):
            connection.close()
        _last_use.at = time.monotonic()
