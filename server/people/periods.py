"""What holds for a time: engagements, appointments, agreements and relations."""

from datetime import datetime
from typing import Any, Self, TypeVar

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Q
from django.db.models.functions import Now
from django.db.models.sql.compiler import SQLCompiler

from server.common.models import Row

M = TypeVar("M", bound=models.Model)


class DatabaseNow(Now):
    """The database's time inside a statement (law 10), so that a rule about time costs no statement of its own.

    SQLite stores times as text and compares them so: six digits, as Django writes them, or a row that begins in this
    very millisecond would seem to begin in the future.
    """

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any) -> Any:
        return self.as_sql(
            compiler,
            connection,
            template="STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f000', 'NOW')",
            **extra,
        )


Moment = datetime | DatabaseNow
NOW = DatabaseNow()


def current_at(at: Moment, prefix: str = "") -> Q:
    """Rows whose period holds at `at`; `prefix` (with its `__`) reaches them through a relation."""
    return (
        Q(**{f"{prefix}valid_from__lte": at})
        & (Q(**{f"{prefix}valid_to": None}) | Q(**{f"{prefix}valid_to__gt": at}))
        & (Q(**{f"{prefix}ended_at": None}) | Q(**{f"{prefix}ended_at__gt": at}))
    )


class PeriodQuerySet(models.QuerySet[M]):
    """Queries in the domain's words; `at` is the database's time unless told otherwise (law 10)."""

    def current(self, at: Moment = NOW) -> Self:
        return self.filter(current_at(at))

    def over(self, at: Moment = NOW) -> Self:
        return self.filter(Q(ended_at__lte=at) | Q(valid_to__lte=at))


class Period(Row):
    """`[valid_from, valid_to)`, cut short by `ended_at`; all aware UTC. An empty period never holds."""

    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    @property
    def ends(self) -> datetime | None:
        """When it ends or ended, as known now."""
        known = [moment for moment in (self.valid_to, self.ended_at) if moment is not None]
        return min(known) if known else None

    def holds(self, at: datetime) -> bool:
        return self.valid_from <= at and (self.ends is None or at < self.ends)


def period_order(table: str) -> list[models.BaseConstraint]:
    """Constraints of a period: it ends after it began; it may be cut to nothing, never to less."""
    return [
        models.CheckConstraint(
            condition=Q(valid_to=None) | Q(valid_to__gt=F("valid_from")),
            name=f"{table}_period_order",
            violation_error_message="A period ends after it begins.",
        ),
        models.CheckConstraint(
            condition=Q(ended_at=None) | Q(ended_at__gte=F("valid_from")),
            name=f"{table}_ended_after_begun",
        ),
    ]


def due_effect(table: str) -> models.Index:
    """Serves the worker's query for periods that are over and whose effect has not been done."""
    fields: list[Any] = ["valid_to", "ended_at"]
    return models.Index(fields=fields, condition=Q(effect_done_at=None), name=f"{table}_effect_due")
