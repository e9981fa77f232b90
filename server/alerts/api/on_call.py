"""REST for who is on call, across the programmes of one's teams."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.alerts.actions import on_call
from server.alerts.api.call_shapes import NumberOut
from server.alerts.api.rosters import NearDateField, ShiftsView, shift_view
from server.alerts.numbers import numbers_of
from server.common.sql import rfc3339
from server.people.actors import acting


class OnDutyView(serializers.Serializer[Any]):
    user = serializers.UUIDField()
    name = serializers.CharField()
    until = serializers.DateTimeField()


class ComingView(serializers.Serializer[Any]):
    user = serializers.UUIDField()
    name = serializers.CharField()
    begins = serializers.DateTimeField()
    ends = serializers.DateTimeField()


class ColleagueView(serializers.Serializer[Any]):
    user = serializers.UUIDField()
    name = serializers.CharField()


class StandingView(serializers.Serializer[Any]):
    programme = serializers.UUIDField()
    name = serializers.CharField()
    is_open = serializers.BooleanField(help_text="It takes calls for help.")
    office_open = serializers.BooleanField(help_text="The day contact answers; nobody needs to be on call.")
    office_changes_at = serializers.DateTimeField(allow_null=True)
    now = OnDutyView(many=True)
    vars()["next"] = ComingView(many=True)
    day_contacts = ColleagueView(many=True)
    numbers = NumberOut(many=True)
    final_number = serializers.CharField(allow_blank=True)
    final_answered_by = serializers.CharField(allow_blank=True)


class OnCallNowView(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    results = StandingView(many=True)
    vars()["next"] = serializers.CharField(allow_null=True)


class OnDate(serializers.Serializer[Any]):
    date = NearDateField(required=False, help_text="In Oslo; today when left out.")


class OnCallNow(APIView):
    """Of each programme of whose team I am."""

    @extend_schema(
        operation_id="on_call_now", summary="Who is on call now, who is next, until when", responses=OnCallNowView
    )
    def get(self, request: Request) -> Response:
        at, found = on_call.view_now(acting=acting(request))
        users = [user for one in found for user, _ in one.on]
        users += [shift.user for one in found for shift in one.following]
        names = on_call.names_of(users + [user for one in found for user in one.day_contacts])
        told = [_standing(one, names) for one in found]
        return Response({"at": rfc3339(at), "results": told, "next": None}, headers={"Cache-Control": "no-store"})


class OnCallDay(APIView):
    @extend_schema(
        operation_id="on_call_day", summary="Who is on call on a date", parameters=[OnDate], responses=ShiftsView
    )
    def get(self, request: Request) -> Response:
        asked = OnDate(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        found = on_call.view_day(acting=acting(request), day=asked.validated_data.get("date"))
        return Response({"results": [shift_view(one) for one in found], "next": None})


def _standing(one: on_call.Standing, names: dict[Any, str]) -> dict[str, Any]:
    programme = one.programme
    return {
        "programme": str(programme.id),
        "name": programme.name,
        "is_open": programme.is_open,
        "office_open": one.office_open,
        "office_changes_at": rfc3339(one.office_changes_at) if one.office_changes_at else None,
        "now": [{"user": str(user), "name": names.get(user, ""), "until": rfc3339(until)} for user, until in one.on],
        "next": [
            {
                "user": str(shift.user),
                "name": names.get(shift.user, ""),
                "begins": rfc3339(shift.begins),
                "ends": rfc3339(shift.ends),
            }
            for shift in one.following
        ],
        "day_contacts": [{"user": str(user), "name": names.get(user, "")} for user in one.day_contacts],
        "numbers": numbers_of(programme),
        "final_number": programme.final_number,
        "final_answered_by": programme.final_answered_by,
    }
