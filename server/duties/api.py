"""REST for duties: parse, call, answer."""

from typing import Any
from uuid import UUID

from django.db import transaction
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.common.idempotency import idempotent
from server.common.sql import rfc3339
from server.duties import actions
from server.duties.access import mine, open_duty
from server.duties.models import Duty, Kind
from server.duties.paging import DuePages
from server.duties.words import WORDS, answer_of, load_answers
from server.people.actors import acting

LONGEST = 4000
"""Characters of an answer."""


class Which(serializers.Serializer[Any]):
    open = serializers.BooleanField(default=True, help_text="`false`: those that are done.")


class Done(serializers.Serializer[Any]):
    answer = serializers.CharField(
        max_length=LONGEST,
        required=False,
        default="",
        allow_blank=True,
        help_text="`emergency_review` and `record_unreadable` need it, `offer_call` may have it; no other takes it.",
    )


class DutyView(serializers.Serializer[Any]):
    """`words` say in the reader's language what is to be done; `object` is the consent or emergency access meant."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=Kind.values)
    words = serializers.CharField()
    patient = serializers.UUIDField(allow_null=True)
    room = serializers.UUIDField(allow_null=True)
    object = serializers.UUIDField(allow_null=True)
    due_at = serializers.DateTimeField()
    code = serializers.CharField(allow_blank=True)
    done_at = serializers.DateTimeField(allow_null=True)
    answered = serializers.BooleanField(help_text="Done in words, which `answer` repeats.")
    answer = serializers.CharField(allow_null=True)


class Duties(APIView):
    """What I must do or am told; to officers also what their controller must. Each page is a look, and recorded."""

    pagination_class = DuePages

    @extend_schema(
        summary="My duties, oldest due first",
        description="Those that are open, unless `open=false` asks for those that are done.",
        parameters=[Which],
        responses=DutyView(many=True),
    )
    def get(self, request: Request) -> Response:
        which, me = Which(data=request.query_params.dict()), acting(request)
        which.is_valid(raise_exception=True)
        rows = mine(me).filter(done_at__isnull=which.validated_data["open"])
        pages = DuePages()
        with transaction.atomic():
            duties = pages.paginate_queryset(rows, request, view=self)
            load_answers(duties)
            actions.record_look(acting=me, duties=duties)
        return pages.get_paginated_response([view(duty) for duty in duties])


class DutyDone(APIView):
    @extend_schema(
        summary="Acknowledge it, or answer it in words",
        description="Once; doing it again with the same words, or none, answers what was done first.",
        request=Done,
        responses=DutyView,
        examples=[
            OpenApiExample(
                "A review", value={"answer": "Riktig bruk. Samtykke kunne ikke innhentes i tide."}, request_only=True
            )
        ],
    )
    @idempotent
    def post(self, request: Request, duty_id: UUID) -> Response:
        said = Done(data=request.data)
        said.is_valid(raise_exception=True)
        return Response(
            view(actions.finish(acting=acting(request), duty_id=duty_id, answer=said.validated_data["answer"]))
        )

    def recheck(self, request: Request, duty_id: UUID) -> None:
        open_duty(acting(request), duty_id, act="duty.done")


def view(duty: Duty) -> dict[str, Any]:
    """The duty as whoever owes it sees it."""
    return {
        "id": str(duty.id),
        "kind": duty.kind,
        "words": str(WORDS[duty.kind]),
        "patient": str(duty.patient_id) if duty.patient_id else None,
        "room": str(duty.room_id) if duty.room_id else None,
        "object": str(duty.object_id) if duty.object_id else None,
        "due_at": rfc3339(duty.due_at),
        "code": duty.code,
        "done_at": rfc3339(duty.done_at) if duty.done_at else None,
        "answered": duty.answer_sealed is not None,
        "answer": answer_of(duty),
    }
