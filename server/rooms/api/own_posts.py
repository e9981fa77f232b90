"""REST for an author's own posts."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.common.sql import rfc3339
from server.people.actors import acting
from server.rooms.own_posts import OwnPost, Page, export
from server.rooms.posting import KINDS
from server.rooms.serializers import BIG


class OwnPostsQuery(serializers.Serializer[Any]):
    after = serializers.IntegerField(min_value=0, max_value=BIG, default=0)
    limit = serializers.IntegerField(min_value=1, max_value=500, default=100)


class CorrectionView(serializers.Serializer[Any]):
    seq = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    body = serializers.CharField(allow_blank=True)


class OwnPostView(serializers.Serializer[Any]):
    """`corrections` in the order in which they were made; `erased` stands only where the text is gone for good."""

    seq = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    kind = serializers.ChoiceField(choices=KINDS)
    body = serializers.CharField(allow_blank=True)
    corrections = CorrectionView(many=True)
    retracted = serializers.BooleanField()
    erased = serializers.BooleanField(required=False)


class OwnPostPage(serializers.Serializer[Any]):
    results = OwnPostView(many=True)
    next = serializers.CharField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True)


class OwnPosts(APIView):
    @extend_schema(
        summary="What I wrote here, for my own record",
        description="The oldest after that seq. Also for some days after one's access ended: `until` says when that is "
        "over, and is null while one is in the room.",
        parameters=[OwnPostsQuery],
        responses=OwnPostPage,
    )
    def get(self, request: Request, room_id: UUID) -> Response:
        serializer = OwnPostsQuery(data=request.query_params)
        serializer.is_valid(raise_exception=True)
        said = serializer.validated_data
        page = export(acting=acting(request), room_id=room_id, after=said["after"], limit=said["limit"])
        return Response(
            {
                "results": [_view(post) for post in page.posts],
                "next": _next(request, page, said["limit"]),
                "until": rfc3339(page.until) if page.until is not None else None,
            }
        )


def _view(post: OwnPost) -> dict[str, Any]:
    corrections = [{"seq": one.seq, "created_at": one.created_at, "body": one.body} for one in post.corrections]
    told = {
        "seq": post.seq,
        "created_at": post.created_at,
        "kind": post.kind,
        "body": post.body,
        "corrections": corrections,
        "retracted": post.retracted,
    }
    return told | {"erased": True} if post.erased else told


def _next(request: Request, page: Page, limit: int) -> str | None:
    if not page.more:
        return None
    return request.build_absolute_uri(f"{request.path}?after={page.posts[-1].seq}&limit={limit}")
