"""Pages of duties, oldest due first."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Q
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor
from rest_framework.request import Request

from server.common.errors import Invalid
from server.common.pagination import KeyCursorPagination


class DuePages(KeyCursorPagination):
    """The cursor is `due_at` and `id` of the last row shown: what is done or falls due meanwhile hides nothing else."""

    _next: str | None = None

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """One page. Raises Invalid (`cursor`) for a cursor that is none of ours, whatever is wrong with it."""
        self.base_url = request.build_absolute_uri()
        limit = self.get_page_size(request) or KeyCursorPagination.page_size
        try:
            after = self._after(request)
        except (NotFound, ValueError, OverflowError):
            raise Invalid(code="cursor") from None
        rows = queryset.order_by("due_at", "id")
        if after is not None:
            due_at, last = after
            rows = rows.filter(due_at__gte=due_at).filter(Q(due_at__gt=due_at) | Q(id__gt=last))
        found = list(rows[: limit + 1])
        page = found[:limit]
        if len(found) > len(page):
            position = f"{page[-1].due_at.astimezone(UTC).isoformat()}/{page[-1].id}"
            self._next = self.encode_cursor(Cursor(0, False, position))  # type: ignore[arg-type] # text, whatever the stubs say
        return page

    def get_next_link(self) -> str | None:
        return self._next

    def _after(self, request: Request) -> tuple[datetime, UUID] | None:
        """Where the page begins. Raises NotFound, ValueError, OverflowError for what is no cursor of ours."""
        cursor = self.decode_cursor(request)
        if cursor is None or cursor == (0, False, None):
            return None
        due_at, _, last = str(cursor.position).partition("/")
        moment = datetime.fromisoformat(due_at)
        if moment.tzinfo is None:
            raise ValueError("a moment without an offset")
        return moment.astimezone(UTC), UUID(last)
