"""A PostgreSQL connection that gives up on a server which no longer answers.

`statement_timeout` covers a slow server; a frozen or unreachable one accepts bytes for ever and would hold the request.
psycopg waits for everything in `Connection.wait`, so one deadline there covers statements, BEGIN and COMMIT alike.
"""

import time
from collections.abc import Generator
from typing import Any

import psycopg
from psycopg.abc import PQGen, RV

POLL_S = 0.25


class ImpatientConnection(psycopg.Connection[Any]):
    """Raises psycopg.OperationalError, and closes, when one exchange takes longer than `limit_s` seconds."""

    limit_s = 10.0

    def wait(self, gen: PQGen[RV], interval: float = POLL_S) -> RV:
        try:
            return super().wait(_until(gen, time.monotonic() + self.limit_s), interval=POLL_S)
        except ServerSilent:
            self.close()
            raise


class ServerSilent(psycopg.OperationalError):
    """The database has not answered in time; whether a commit in flight succeeded is not known."""


def _until(gen: PQGen[RV], deadline: float) -> Generator[Any, Any, RV]:
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > deadline:
                gen.close()
                raise ServerSilent("the database does not answer")
            wanted = gen.send(ready)
    except StopIteration as done:
        result: RV = done.value
        return result
