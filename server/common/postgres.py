"""A PostgreSQL connection that gives up on a server which no longer answers.

`statement_timeout` covers a slow server; a frozen or unreachable one accepts bytes for ever and would hold the request.
psycopg waits for everything in `Connection.wait`, so one limit there covers statements, BEGIN and COMMIT alike.
"""

from typing import Any, Self

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.errors import _WaitTimeout


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
