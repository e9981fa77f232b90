"""A PostgreSQL connection that gives up on a server which no longer answers.

`statement_timeout` covers a slow server; a frozen or unreachable one accepts bytes for ever and would hold the request.
psycopg waits for everything in `Connection.wait`, so one limit there covers statements, BEGIN and COMMIT alike.

It is the same the other way round: the server gives up on us, and lets go of what we have locked.
"""

from typing import Any, Self

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.errors import _WaitTimeout

ALIVE = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Our end: a server that is gone is noticed although nobody says so. Seconds; milliseconds."""

SESSION = (
    "-c idle_in_transaction_session_timeout=15000 "
    "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 -c tcp_user_timeout=10000"
)
"""The server's end. A host without power, or a process that stands still, would keep its locks for hours, and whoever
needs the row (a call for help, the router's own) would wait as long. No transaction of ours is idle for seconds."""


class ServerSilent(psycopg.OperationalError):
    """The database has not answered in time; whether a commit in flight succeeded is not known."""


class ImpatientConnection(psycopg.Connection[Any]):
    """Raises ServerSilent, and closes, when one exchange takes longer than `limit_s` seconds."""

    limit_s = 10.0

    @classmethod
    def within(cls, seconds: float) -> type[Self]:
        """The same with another limit: psycopg's pool makes connections of a class, and cannot pass one on."""
        return type(cls.__name__, (cls,), {"limit_s": seconds})

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        try:
            return super().wait(gen, interval, self.limit_s if timeout is None else timeout)
        except _WaitTimeout:
            self.pgconn.finish()
            raise ServerSilent("the database does not answer") from None
