"""One page of a queryset, by cursor."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from server.common.pagination import KeyCursorPagination

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Page(Generic[M]):
    rows: list[M]
    paginator: KeyCursorPagination

    def answer(self, shape: type[BaseSerializer[Any]], items: list[Any]) -> Response:
        """`{"results": …, "next": …}` with `items` in this shape."""
        return self.paginator.get_paginated_response(shape(items, many=True).data)


def page_of(rows: QuerySet[M], request: Request, view: APIView) -> Page[M]:
    """Read the page that the request asks for.

    Raises Invalid (`cursor`) for a cursor that is none of ours.
    """
    paginator = KeyCursorPagination()
    return Page(list(paginator.paginate_queryset(rows, request, view=view) or ()), paginator)
