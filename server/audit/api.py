"""What anybody may read of the log without signing in: signed checkpoints, the hashes between them, the keys (L4).

A hash tells nothing of its entry to whoever lacks the random ids in it, of the event and of its request. The latter is
shown only to those who may read the entry, so that a hash cannot be tried against a list of staff. Paths are those of
C2SP tlog-tiles, below `audit/` for the newest tree and below `audit/trees/<number>/` for each; the latter never change.
"""

from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.audit.access import open_published, open_tile, published
from server.audit.models import Tree, VerifierKey
from server.audit.reading import hashes
from server.common.errors import NotFound
from server.common.files import AsItIs, unless_known

TEXT = "text/plain; charset=utf-8"
A_MINUTE = "public, max-age=60"
"""A new checkpoint is public every ten minutes; after an adoption another tree's tiles stand under the same address."""
FOR_EVER = "public, max-age=31536000, immutable"
A_WHILE = "public, max-age=300"


def in_tree(*names: OpenApiParameter) -> list[OpenApiParameter]:
    return [OpenApiParameter("tree", int, OpenApiParameter.PATH, description="Number of the tree, from 1."), *names]


LEVEL = OpenApiParameter("level", int, OpenApiParameter.PATH, description="Of the tile: 0 holds hashes of entries.")
REST = OpenApiParameter(
    "rest", str, OpenApiParameter.PATH, description="`x001/x234/067`, or with a width below 256 `x001/x234/067.p/128`."
)


class Open(APIView):
    """Open to everybody; rate limits count by address."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    content_negotiation_class = AsItIs


class PublicCheckpoint(Open):
    @extend_schema(
        summary="The log's signed checkpoint of the last full ten minutes",
        description="So that nobody can tell from it what is being done at the moment.",
        auth=[],
        responses={(200, "text/plain"): str},
    )
    def get(self, request: Request) -> HttpResponseBase:
        return _checkpoint(request, None)


class TreeCheckpoint(Open):
    @extend_schema(
        summary="The last public checkpoint of one tree",
        auth=[],
        parameters=in_tree(),
        responses={(200, "text/plain"): str},
    )
    def get(self, request: Request, tree: int) -> HttpResponseBase:
        return _checkpoint(request, tree)


class PublicTile(Open):
    @extend_schema(
        summary="Hashes of the newest tree, up to its public checkpoint",
        auth=[],
        parameters=[LEVEL, REST],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, level: str, rest: str) -> HttpResponseBase:
        return _tile(request, None, level, rest)


class TreeTile(Open):
    @extend_schema(
        summary="Hashes of one tree, up to its public checkpoint",
        auth=[],
        parameters=in_tree(LEVEL, REST),
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, tree: int, level: str, rest: str) -> HttpResponseBase:
        return _tile(request, tree, level, rest)


class Keys(Open):
    @extend_schema(
        summary="The keys that checkpoints are signed with, one per line, the oldest first",
        description="For comparing. Trust the key that you were handed on another way.",
        auth=[],
        responses={(200, "text/plain"): str},
    )
    def get(self, request: Request) -> HttpResponseBase:
        lines = list(VerifierKey.objects.order_by("since", "line").values_list("line", flat=True))
        if not lines:
            raise NotFound
        return unless_known(request, _text(*lines), content_type=TEXT, cache=A_WHILE)


class TreeView(serializers.Serializer[Any]):
    tree = serializers.IntegerField()
    origin = serializers.CharField()
    size = serializers.IntegerField(help_text="Entries at its public checkpoint.")
    begun_at = serializers.DateTimeField()
    follows = serializers.CharField(allow_blank=True, help_text="The signed checkpoint that it says it continues.")


class TreeList(serializers.Serializer[Any]):
    results = TreeView(many=True)


class Trees(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(
        summary="All trees of the log, the newest last",
        description="A new one begins when a restored database is adopted on purpose.",
        auth=[],
        responses=TreeList,
    )
    def get(self, request: Request) -> Response:
        trees = [(tree, published(tree.number)) for tree in Tree.objects.order_by("number")]
        found = [
            {
                "tree": tree.number,
                "origin": tree.origin,
                "size": public.size,
                "begun_at": tree.begun_at,
                "follows": tree.follows,
            }
            for tree, public in trees
            if public is not None
        ]
        return Response({"results": TreeView(found, many=True).data}, headers={"Cache-Control": A_WHILE})


def _checkpoint(request: Request, tree: int | None) -> HttpResponseBase:
    return unless_known(request, open_published(tree).note.encode(), content_type=TEXT, cache=A_MINUTE)


def _tile(request: Request, tree: int | None, level: str, rest: str) -> HttpResponseBase:
    tile = open_tile(tree, level, rest)
    body = hashes(tile.tree, tile.level, tile.number, tile.width)
    lasting = FOR_EVER if tile.full else A_WHILE
    cache = A_MINUTE if tree is None else lasting
    return unless_known(request, body, content_type="application/octet-stream", cache=cache)


def _text(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
