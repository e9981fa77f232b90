"""Cursor pages over one unique, immutable column."""

from typing import Any

from rest_framework.pagination import CursorPagination
from rest_framework.response import Response


class KeyCursorPagination(CursorPagination):
    """`{"results": […], "next": url|null}`, ordered by `id` unless the view says otherwise."""

    ordering = "id"
    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.get_next_link()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {"results": schema, "next": {"type": ["string", "null"], "format": "uri"}},
        }
