"""Faults put into the database's way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

Execute = Callable[..., Any]
LOG = 'insert into "audit_auditevent"'


@contextmanager
def no_log(error: Callable[[], Exception]) -> Iterator[None]:
    """On this thread's connection, every insert into the log fails with `error()`."""

    def refuse(execute: Execute, sql: str, params: Any, many: bool, context: Any) -> Any:
        if LOG in sql.replace("INTO audit_auditevent", 'INTO "audit_auditevent"').lower():
            raise error()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        yield
