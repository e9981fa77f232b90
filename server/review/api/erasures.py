"""REST for erasing a person: parse, call, answer."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.common.errors import Invalid
from server.common.idempotency import idempotent
from server.common.pagination import KeyCursorPagination
from server.common.sql import rfc3339
from server.people.actors import acting
from server.review import erasures
from server.review.access import require_officer
from server.review.erasure_decide import OPEN, Obstacle
from server.review.erasure_words import WORDS, words
from server.review.models import Erasure, ErasurePart
from server.review.reasons import reason_of

STATES = ["asked", "confirmed", "under_way", "done", "cancelled"]
REASON = "Why, in the officer's words; sealed, and shown to the officers of the controllers concerned."


class ErasureBody(serializers.Serializer[Any]):
    patient = serializers.UUIDField()
    reason = serializers.CharField(min_length=10, max_length=2000, help_text=REASON)


class ErasurePartBody(serializers.Serializer[Any]):
    """Either of the two."""

    export = serializers.UUIDField(
        required=False,
        help_text="Of `review/held`, of this patient, fetched to its end since it was asked for.",
    )
    waived = serializers.CharField(
        required=False, min_length=10, max_length=2000, help_text="Why this controller needs none of it; sealed."
    )


class ObstacleView(serializers.Serializer[Any]):
    """`count`: how many there are, where they are counted; `until`: when it ends by itself; `kind`: of what must be
    kept, as in the retention report."""

    code = serializers.ChoiceField(choices=sorted(WORDS))
    words = serializers.CharField()
    controller = serializers.UUIDField(allow_null=True)
    count = serializers.IntegerField()
    until = serializers.DateTimeField(allow_null=True)
    kind = serializers.CharField(allow_blank=True)


class ErasurePartView(serializers.Serializer[Any]):
    """`outcome` is empty while the controller has said nothing."""

    controller = serializers.UUIDField()
    controller_name = serializers.CharField()
    outcome = serializers.ChoiceField(choices=["", *ErasurePart.Outcome.values])
    reason = serializers.CharField(allow_blank=True)
    at = serializers.DateTimeField(allow_null=True)


class ErasureView(serializers.Serializer[Any]):
    """Identifiers and no names, as in the list of events."""

    id = serializers.UUIDField()
    patient = serializers.UUIDField()
    state = serializers.ChoiceField(choices=STATES)
    asked_by = serializers.UUIDField()
    asked_at = serializers.DateTimeField()
    confirmed_by = serializers.UUIDField(allow_null=True)
    confirmed_at = serializers.DateTimeField(allow_null=True)
    not_before = serializers.DateTimeField(allow_null=True)
    begun_at = serializers.DateTimeField(allow_null=True)
    done_at = serializers.DateTimeField(allow_null=True)
    cancelled_at = serializers.DateTimeField(allow_null=True)


class ErasureStandingView(ErasureView):
    """With what still stands in the way, as a list to work through; empty: it can begin, or is over."""

    reason = serializers.CharField()
    parts = ErasurePartView(many=True)
    in_the_way = ObstacleView(many=True)


class NewestFirst(KeyCursorPagination):
    ordering = "-id"


class Erasures(APIView):
    pagination_class = KeyCursorPagination

    @extend_schema(summary="Erasures of patients of my controller", responses=ErasureView(many=True))
    def get(self, request: Request) -> Response:
        pages = NewestFirst()
        page = pages.paginate_queryset(erasures.look(acting=acting(request)), request, view=self)
        return pages.get_paginated_response([brief(one) for one in page])

    @extend_schema(
        summary="Ask for a patient's data to be destroyed (GDPR article 17)",
        description="Nothing happens before every controller concerned has said what it needs, another officer has "
        "confirmed, time has passed, and nothing is open. 409 `erasure_open`, `erased`.",
        request=ErasureBody,
        responses={201: ErasureStandingView},
        examples=[
            OpenApiExample(
                "Asked in writing",
                value={"patient": "0197f0aa-0000-7000-8000-000000000001", "reason": "Pasienten krever sletting."},
                request_only=True,
            )
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        me = acting(request)
        require_officer(me, erasures.ASKED)
        body = ErasureBody(data=request.data)
        body.is_valid(raise_exception=True)
        said = body.validated_data
        made = erasures.ask(acting=me, patient_id=said["patient"], reason=said["reason"])
        return Response(whole(request, made), status=201)

    def recheck(self, request: Request) -> None:
        require_officer(acting(request), erasures.ASKED)


class OneErasure(APIView):
    @extend_schema(summary="An erasure, and what still stands in its way", responses=ErasureStandingView)
    def get(self, request: Request, erasure_id: UUID) -> Response:
        seen = erasures.view(acting=acting(request), erasure_id=erasure_id)
        return Response(standing(request, seen))


class ErasureParts(APIView):
    @extend_schema(
        summary="My controller has exported what it must keep, or needs none of it",
        description="The newest word counts. 409 `export_not_fetched`, `erasure_begun`, `erasure_over`.",
        request=ErasurePartBody,
        responses=ErasureStandingView,
    )
    def post(self, request: Request, erasure_id: UUID) -> Response:
        me = acting(request)
        require_officer(me, erasures.EXPORTED)
        body = ErasurePartBody(data=request.data)
        body.is_valid(raise_exception=True)
        said = body.validated_data
        if ("export" in said) == ("waived" in said):
            raise Invalid(errors=[{"field": "export", "code": "one_of_two", "detail": ""}])
        made = erasures.say(
            acting=me, erasure_id=erasure_id, export_id=said.get("export"), waived=said.get("waived", "")
        )
        return Response(whole(request, made))


class ErasureConfirm(APIView):
    @extend_schema(
        summary="Confirm an erasure that somebody else asked for",
        description="Needs a fresh sign-in. From then on the waiting time runs. 409 `four_eyes` to whoever asked.",
        request=None,
        responses=ErasureStandingView,
    )
    def post(self, request: Request, erasure_id: UUID) -> Response:
        return Response(whole(request, erasures.confirm(acting=acting(request), erasure_id=erasure_id)))


class ErasureCancel(APIView):
    @extend_schema(
        summary="Nothing is to be erased after all",
        description="Until it has begun (409 `erasure_begun`).",
        request=None,
        responses=ErasureStandingView,
    )
    def post(self, request: Request, erasure_id: UUID) -> Response:
        return Response(whole(request, erasures.cancel(acting=acting(request), erasure_id=erasure_id)))


class ErasureBegin(APIView):
    @extend_schema(
        summary="Carry an erasure out: there is no way back",
        description="Needs a fresh sign-in, and that nothing stands in the way (409 `erasure_hindered`). Keys are "
        "destroyed one by one within the next minute; a stop half-way is made good.",
        request=None,
        responses=ErasureStandingView,
    )
    def post(self, request: Request, erasure_id: UUID) -> Response:
        return Response(whole(request, erasures.begin(acting=acting(request), erasure_id=erasure_id)))


def state_of(erasure: Erasure) -> str:
    moments = (erasure.cancelled_at, erasure.done_at, erasure.begun_at, erasure.confirmed_at)
    states = ("cancelled", "done", "under_way", "confirmed")
    return next((state for at, state in zip(moments, states, strict=True) if at is not None), "asked")


def brief(erasure: Erasure) -> dict[str, Any]:
    moments = ("confirmed_at", "not_before", "begun_at", "done_at", "cancelled_at")
    return {
        "id": str(erasure.id),
        "patient": str(erasure.patient_id),
        "state": state_of(erasure),
        "asked_by": str(erasure.asked_by_id),
        "asked_at": rfc3339(erasure.asked_at),
        "confirmed_by": str(erasure.confirmed_by_id) if erasure.confirmed_by_id else None,
        **{name: rfc3339(at) if (at := getattr(erasure, name)) else None for name in moments},
    }


def whole(request: Request, erasure: Erasure) -> dict[str, Any]:
    return standing(request, erasures.standing(erasure))


def standing(request: Request, seen: erasures.Standing) -> dict[str, Any]:
    officer = require_officer(acting(request), erasures.VIEWED)
    reason = reason_of(seen.erasure.reason_sealed, place=erasures.REASON, row=seen.erasure.id)
    obstacles = erasures.shown_to(officer.controller_id, seen.obstacles)
    return brief(seen.erasure) | {
        "reason": reason,
        "parts": [_part(one) for one in seen.parts],
        "in_the_way": [_obstacle(one) for one in obstacles],
    }


def _part(part: erasures.Part) -> dict[str, Any]:
    said = part.said
    sealed = said.reason_sealed if said is not None else None
    return {
        "controller": str(part.controller.id),
        "controller_name": part.controller.name,
        "outcome": said.outcome if said is not None else "",
        "reason": reason_of(sealed, place=erasures.PART, row=said.id) if said is not None and sealed else "",
        "at": rfc3339(said.at) if said is not None else None,
    }


def _obstacle(one: Obstacle) -> dict[str, Any]:
    return {
        "code": one.code,
        "words": words(one),
        "controller": str(one.controller) if one.controller else None,
        "count": one.count if one.code in OPEN else 0,
        "until": rfc3339(one.until) if one.until else None,
        "kind": one.kind,
    }
