"""REST for verifying up to this moment: the newest checkpoint and the hashes under it, for officers.

Everybody else gets both as they were at the last full ten minutes (`server/audit/access.py`). Neither says anything
about anybody, so that looking is not put on record.
"""

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from server.audit.access import open_published, open_tile
from server.audit.api import LEVEL, REST, TEXT
from server.audit.reading import hashes
from server.common.files import AsItIs
from server.people.actors import acting
from server.review.access import require_officer
from server.review.proofs import ENTRIES


class NewestCheckpoint(APIView):
    content_negotiation_class = AsItIs

    @extend_schema(
        summary="The newest signed checkpoint of the log, for officers",
        description="It covers every act but those of the last second. 403 `officer_only` to everybody else.",
        responses={(200, "text/plain"): str},
    )
    def get(self, request: Request) -> HttpResponse:
        require_officer(acting(request), ENTRIES)
        return _kept_nowhere(open_published(None, newest=True).note.encode(), TEXT)


class NewestTile(APIView):
    content_negotiation_class = AsItIs

    @extend_schema(
        summary="Hashes of the newest tree, up to its newest checkpoint, for officers",
        description="403 `officer_only` to everybody else.",
        parameters=[LEVEL, REST],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, level: str, rest: str) -> HttpResponse:
        require_officer(acting(request), ENTRIES)
        tile = open_tile(None, level, rest, newest=True)
        body = hashes(tile.tree, tile.level, tile.number, tile.width)
        return _kept_nowhere(body, "application/octet-stream")


def _kept_nowhere(body: bytes, content_type: str) -> HttpResponse:
    return HttpResponse(body, content_type=content_type, headers={"Cache-Control": "no-store"})
