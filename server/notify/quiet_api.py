"""REST for quiet hours: parse, call, answer."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.notify import actions, quiet
from server.notify.decide import DAYS, EVERY, Hours
from server.people.actors import acting

NIGHT = {"from": "22:00", "until": "07:00"}
EXAMPLE: dict[str, Any] = {"every": NIGHT, "days": {"sat": {"from": "23:30", "until": "10:00"}, "sun": None}}


class QuietSpan(serializers.Serializer[Any]):
    """By the clock in Oslo; where `until` is not later than `from`, it is on the next day. 24:00 ends a day."""

    until = serializers.RegexField(r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$", max_length=5)

    def get_fields(self) -> dict[str, Any]:
        begins = serializers.RegexField(r"^([01][0-9]|2[0-3]):[0-5][0-9]$", max_length=5)
        return {"from": begins, **super().get_fields()}


class QuietDays(serializers.Serializer[Any]):
    """Days that differ; null: it is never quiet from that day on."""

    mon = QuietSpan(required=False, allow_null=True)
    tue = QuietSpan(required=False, allow_null=True)
    wed = QuietSpan(required=False, allow_null=True)
    thu = QuietSpan(required=False, allow_null=True)
    fri = QuietSpan(required=False, allow_null=True)
    sat = QuietSpan(required=False, allow_null=True)
    sun = QuietSpan(required=False, allow_null=True)


class QuietHoursBody(serializers.Serializer[Any]):
    every = QuietSpan(required=False, allow_null=True, default=None, help_text="On days that `days` does not name.")
    days = QuietDays(required=False)


class QuietHours(APIView):
    """When I am not told of what may wait: messages, and notes that something waits. Calls for help, tests, and what
    somebody on call must know come at any time."""

    @extend_schema(summary="My quiet hours", responses=QuietHoursBody)
    def get(self, request: Request) -> Response:
        return Response(_shown(quiet.hours_of(acting(request).user.id)))

    @extend_schema(
        summary="Set them",
        description=(
            "What comes meanwhile is told of when they are over, if it is still unread. 400 with the field `hours`: "
            "`empty` for a span without length, `never_ends` when no time of the week is left."
        ),
        request=QuietHoursBody,
        responses=QuietHoursBody,
        examples=[OpenApiExample("At night, and longer at weekends", value=EXAMPLE)],
    )
    def put(self, request: Request) -> Response:
        said = QuietHoursBody(data=request.data)
        said.is_valid(raise_exception=True)
        hours = _kept(said.validated_data)
        actions.set_quiet_hours(acting=acting(request), hours=hours)
        return Response(_shown(hours))


def _kept(said: dict[str, Any]) -> Hours:
    """As `decide.Hours`."""
    named: dict[str, Any] = {EVERY: said["every"], **said.get("days", {})}
    return {
        day: [span["from"], span["until"]] if span is not None else None
        for day, span in named.items()
        if day != EVERY or span is not None
    }


def _shown(hours: Hours) -> dict[str, Any]:
    return {"every": _span(hours, EVERY), "days": {day: _span(hours, day) for day in DAYS if day in hours}}


def _span(hours: Hours, day: str) -> dict[str, str] | None:
    found = hours.get(day)
    return {"from": found[0], "until": found[1]} if found else None
