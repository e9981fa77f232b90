"""A query whose SQL is made once.

Django makes the SQL of a query anew each time it is asked; with many joins that takes several times as long as the
database's answer. Where the same question is asked at every request, it is kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, models
from django.db.models.query import RelatedPopulator, get_related_populators

M = TypeVar("M", bound=models.Model)
MARK = "?"
"""Stands for the value while the SQL is made."""


@dataclass(frozen=True)
class _Made:
    """The SQL, and how a row of its answer becomes objects: the same for every connection to one kind of database."""

    sql: str
    parameters: tuple[Any, ...]
    converters: dict[int, tuple[list[Callable[..., Any]], Any]]
    model: type[models.Model]
    columns: slice
    names: list[str]
    related: list[RelatedPopulator]
    annotations: dict[str, int]


class Prepared(Generic[M]):
    """`Prepared(lambda value: Thing.objects.select_related("owner").filter(name=value)).first(name)`.

    `rows(value)` is called once, with a text in the value's place, so that it may hold no rule that looks at the value.
    """

    def __init__(self, rows: Callable[[str], models.QuerySet[M]]) -> None:
        self._rows = rows

    def first(self, value: str) -> M | None:
        """The first row for this value as the query itself would give it, or None; one statement."""
        made = self._made
        with connection.cursor() as cursor:
            cursor.execute(made.sql, [value if one == MARK else one for one in made.parameters])
            answer = cursor.fetchone()
        if answer is None:
            return None
        row = list(answer)
        for at, (converters, column) in made.converters.items():
            for convert in converters:
                row[at] = convert(row[at], column, connection)
        found: Any = made.model.from_db(DEFAULT_DB_ALIAS, made.names, row[made.columns])
        for one in made.related:
            one.populate(row, found)
        for name, at in made.annotations.items():
            setattr(found, name, row[at])
        first: M = found
        return first

    @cached_property
    def _made(self) -> _Made:
        """As `ModelIterable` of Django's has it, up to the statement itself."""
        compiler = self._rows(MARK).query.get_compiler(using=DEFAULT_DB_ALIAS)
        sql, parameters = compiler.as_sql()
        if MARK not in parameters:
            raise ValueError("the value is no parameter of its own")
        select, root = compiler.select, compiler.klass_info
        assert select is not None
        assert root is not None
        first, last = root["select_fields"][0], root["select_fields"][-1]
        return _Made(
            sql=sql,
            parameters=tuple(parameters),
            converters=compiler.get_converters([column for column, _, _ in select]),
            model=root["model"],
            columns=slice(first, last + 1),
            names=[column.target.attname for column, _, _ in select[first : last + 1]],
            related=get_related_populators(root, select, DEFAULT_DB_ALIAS),  # type: ignore[call-arg] # a later Django's
            annotations=dict(compiler.annotation_col_map or {}),
        )
