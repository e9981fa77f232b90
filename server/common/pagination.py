"""Cursor pages over one unique, immutable column."""

from typing import Any

from django.core.exceptions import ValidationError
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.response import Response

from server.common.errors import Invalid


class KeyCursorPagination(CursorPagination):
    """`{"results": […], "next": url|null}`, ordered by `id` unless the view says otherwise."""

    ordering = "id"
    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> list[Any]:
        """One page. Raises Invalid (`cursor`) for a cursor that is none of ours, whatever is wrong with it."""
        try:
            return list(super().paginate_queryset(queryset, request, view=view) or ())
        except (NotFound, ValidationError, ValueError):
            raise Invalid(code="cursor") from None

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.get_next_link()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {"results": schema, "next": {"type": ["string", "null"], "format": "uri"}},
        }
