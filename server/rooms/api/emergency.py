"""REST for emergency access: parse, call, answer."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.common.idempotency import idempotent
from server.common.sql import rfc3339
from server.consent.forms import emergency_grounds
from server.people.actors import acting
from server.rooms import emergency, emergency_door, emergency_review
from server.rooms.access import open_room
from server.rooms.decide import MAX_DELAY_H, MIN_DELAY_H
from server.rooms.emergency import Delay
from server.rooms.models import EmergencyAccess
from server.rooms.serializers import heard

MAX_REASON = 2000


class DelayBody(serializers.Serializer[Any]):
    """Telling the patient at once would endanger somebody: they are told after `hours`."""

    hours = serializers.IntegerField(min_value=MIN_DELAY_H, max_value=MAX_DELAY_H)
    reason = serializers.CharField(max_length=MAX_REASON)


class BeginBody(serializers.Serializer[Any]):
    ground = serializers.ChoiceField(choices=sorted(emergency_grounds()))
    reason = serializers.CharField(max_length=MAX_REASON, help_text="Why, in your own words; for whoever reviews it.")
    hide = DelayBody(required=False, allow_null=True)


class AccessView(serializers.Serializer[Any]):
    """`told_at` is null until the patient is told, at `tell_at`."""

    id = serializers.UUIDField()
    room = serializers.UUIDField()
    ground = serializers.CharField()
    begun_at = serializers.DateTimeField()
    until = serializers.DateTimeField()
    tell_at = serializers.DateTimeField()
    told_at = serializers.DateTimeField(allow_null=True)


class ReviewView(AccessView):
    """Who, for which unit, why (in words), and how it ended; for the officer who reviews it. `again`: later accesses
    of the same person to the same room within a day, which the same review answers for."""

    user = serializers.UUIDField()
    unit = serializers.UUIDField()
    role = serializers.CharField()
    reason = serializers.CharField(allow_blank=True)
    delay_reason = serializers.CharField(allow_null=True, allow_blank=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    end_reason = serializers.CharField(allow_blank=True)
    again = serializers.ListField(child=serializers.UUIDField())


class RoomRef(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    purpose = serializers.CharField()


class RoomRefs(serializers.Serializer[Any]):
    """All of them, on one page: a patient has one room for each purpose."""

    results = RoomRef(many=True)
    next = serializers.CharField(allow_null=True)


class Emergency(APIView):
    @extend_schema(
        summary="Emergency access to one room, to read, for a few hours; it is marked, told and reviewed",
        description="200 while one is open: the same. `hide` tells the patient later, where telling at once would "
        "endanger somebody. Needs a fresh sign-in.",
        request=BeginBody,
        responses={201: AccessView, 200: AccessView},
        examples=[
            OpenApiExample(
                "At night",
                request_only=True,
                value={"ground": "life_danger", "reason": "Funnet bevisstløs. Trenger planen for dårlige dager."},
            )
        ],
    )
    @idempotent
    def post(self, request: Request, room_id: UUID) -> Response:
        said = heard(BeginBody, request.data)
        hide = said.get("hide")
        access, is_new = emergency.begin(
            acting=acting(request),
            room_id=room_id,
            ground=said["ground"],
            reason=said["reason"],
            delay=Delay(hide["hours"], hide["reason"]) if hide else None,
        )
        return Response(_view(access), status=201 if is_new else 200)

    def recheck(self, request: Request, room_id: UUID) -> None:
        open_room(acting(request), room_id, act="answer.repeated")

    @extend_schema(summary="End one's own emergency access now", responses={204: None})
    def delete(self, request: Request, room_id: UUID) -> Response:
        emergency.end_own(acting=acting(request), room_id=room_id)
        return Response(status=204)


class ForReview(APIView):
    @extend_schema(
        summary="Emergency access as its reviewer sees it, with what was written",
        description="`access_id` is the `object` of an officer's duty `emergency_review`, or stands in the `again` of "
        "that one. It stands in the log.",
        responses=ReviewView,
    )
    def get(self, request: Request, access_id: UUID) -> Response:
        found = emergency_review.look(acting=acting(request), access_id=access_id)
        access = found.access
        return Response(
            _view(access)
            | {
                "user": str(access.user_id),
                "unit": str(access.engagement.unit_id),
                "role": access.engagement.role,
                "reason": found.reason,
                "delay_reason": found.delay_reason,
                "ended_at": rfc3339(access.ended_at) if access.ended_at else None,
                "end_reason": access.end_reason,
                "again": [str(one) for one in found.again],
            }
        )


class RoomsOfPatient(APIView):
    @extend_schema(
        summary="Which rooms a patient has, for health personnel who need emergency access",
        description="Ids and purposes only. It stands in the patient's log. Needs a fresh sign-in.",
        responses=RoomRefs,
    )
    def get(self, request: Request, patient_id: UUID) -> Response:
        rooms = emergency_door.find_rooms(acting=acting(request), patient_id=patient_id)
        return Response({"results": [{"id": str(one.id), "purpose": one.purpose} for one in rooms], "next": None})


def _view(access: EmergencyAccess) -> dict[str, Any]:
    return {
        "id": str(access.id),
        "room": str(access.room_id),
        "ground": access.ground,
        "begun_at": rfc3339(access.begun_at),
        "until": rfc3339(access.until),
        "tell_at": rfc3339(access.tell_at),
        "told_at": rfc3339(access.told_at) if access.told_at else None,
    }
