"""Pages of the log, newest first."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor
from rest_framework.request import Request

from server.common.errors import Invalid
from server.common.pagination import KeyCursorPagination
from server.review.events import Place, Seen, Wanted, find

BIGGEST = 2**63


class LogPages(KeyCursorPagination):
    """The cursor is moment and position of the last line shown: what is sealed meanwhile moves nothing."""

    _next: str | None = None

    def lines(self, controller_id: UUID, wanted: Wanted, request: Request) -> list[Seen]:
        """One page. Raises Invalid (`cursor`) for a cursor that is none of ours, whatever is wrong with it."""
        self.base_url = request.build_absolute_uri()
        limit = self.get_page_size(request) or KeyCursorPagination.page_size
        try:
            after = self._after(request)
        except (NotFound, ValueError, OverflowError):
            raise Invalid(code="cursor") from None
        found = find(controller_id, wanted, after, limit + 1)
        page = found[:limit]
        if len(found) > limit:
            place = f"{page[-1].at.astimezone(UTC).isoformat()}/{page[-1].position}"
            self._next = self.encode_cursor(Cursor(0, False, place))  # type: ignore[arg-type] # text, whatever the stubs say
        return page

    def get_next_link(self) -> str | None:
        return self._next

    def _after(self, request: Request) -> Place | None:
        """Where the page begins. Raises NotFound, ValueError, OverflowError for what is no cursor of ours."""
        cursor: Any = self.decode_cursor(request)
        if cursor is None or cursor == (0, False, None):
            return None
        at, _, last = str(cursor.position).partition("/")
        moment, position = datetime.fromisoformat(at), int(last)
        if moment.tzinfo is None or not 0 <= position < BIGGEST:
            raise ValueError("no place in the log")
        return Place(moment.astimezone(UTC), position)
