"""REST for a programme's roster: rotations, exceptions, shifts, and what is wrong with them."""

from datetime import date
from typing import Any, ClassVar
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.alerts.access import open_programme, open_programme_as_leader
from server.alerts.actions import on_call, rosters
from server.alerts.api.programmes import heard
from server.alerts.models import Override, Rotation, Shift
from server.alerts.report import Finding, findings
from server.common.idempotency import idempotent
from server.common.sql import rfc3339
from server.people.actors import acting

LONGEST_DAYS = 370
YEARS = range(2000, 2200)


class NearDateField(serializers.DateField):
    """A date that some roster may be about: calendars count no further."""

    default_error_messages: ClassVar[dict[str, Any]] = {"far": _("This lies too far away.")}

    def to_internal_value(self, value: Any) -> date:
        found = super().to_internal_value(value)
        if found.year not in YEARS:
            self.fail("far")
        return found


class RestrictionShape(serializers.Serializer[Any]):
    """A part of the week by the clock in Oslo; `24:00` is the end of the day."""

    weekday = serializers.IntegerField(min_value=0, max_value=6, help_text="0 is Monday.")
    begins = serializers.CharField(max_length=5)
    ends = serializers.CharField(max_length=5)


class RotationIn(serializers.Serializer[Any]):
    """People take turns of `days` days, handed over at a time of day in Oslo."""

    name = serializers.CharField(max_length=100)
    people = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=100)
    every = serializers.ChoiceField(choices=["daily", "weekly", "custom"])
    days = serializers.IntegerField(min_value=1, max_value=366, help_text="Length of a turn: 1 of `daily`, 7 `weekly`.")
    starts_on = NearDateField()
    ends_on = NearDateField(allow_null=True, default=None)
    handover = serializers.CharField(max_length=5, help_text="`HH:MM`.")
    outside_office_hours = serializers.BooleanField(default=True)
    restrictions = RestrictionShape(many=True, required=False, default=list)


class OverrideIn(serializers.Serializer[Any]):
    """With `instead_of`, `user` takes over that person's shifts in the time; without, `user` alone is on call in all of
    it. No `user`: nobody takes over."""

    user = serializers.UUIDField(allow_null=True)
    instead_of = serializers.UUIDField(allow_null=True, default=None)
    begins = serializers.DateTimeField()
    ends = serializers.DateTimeField()


class Between(serializers.Serializer[Any]):
    """Dates in Oslo, both included."""

    vars()["from"] = NearDateField()
    to = NearDateField()

    def validate(self, attrs: Any) -> Any:
        if not 0 <= (attrs["to"] - attrs["from"]).days <= LONGEST_DAYS:
            raise serializers.ValidationError({"to": "order"}, code="order")
        return attrs


class RotationView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    people = serializers.ListField(child=serializers.UUIDField())
    every = serializers.CharField()
    days = serializers.IntegerField()
    starts_on = serializers.DateField()
    ends_on = serializers.DateField(allow_null=True, help_text="It ends at that day's handover.")
    handover = serializers.CharField()
    outside_office_hours = serializers.BooleanField()
    restrictions = RestrictionShape(many=True)


class RotationsView(serializers.Serializer[Any]):
    results = RotationView(many=True)
    next = serializers.CharField(allow_null=True)


class OverrideView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    user = serializers.UUIDField(allow_null=True)
    instead_of = serializers.UUIDField(allow_null=True)
    begins = serializers.DateTimeField()
    ends = serializers.DateTimeField()
    made_by = serializers.UUIDField(allow_null=True)
    made_at = serializers.DateTimeField()


class OverridesView(serializers.Serializer[Any]):
    results = OverrideView(many=True)
    next = serializers.CharField(allow_null=True)


class ShiftView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    programme = serializers.UUIDField()
    user = serializers.UUIDField()
    name = serializers.CharField()
    begins = serializers.DateTimeField()
    ends = serializers.DateTimeField()


class ShiftsView(serializers.Serializer[Any]):
    results = ShiftView(many=True)
    next = serializers.CharField(allow_null=True)


class RosterFindingView(serializers.Serializer[Any]):
    """`kind`: `gap`, `double`, `short_rest`, `unreachable`, `out_of_reach`; `text` says it in words."""

    kind = serializers.CharField()
    begins = serializers.DateTimeField(allow_null=True)
    ends = serializers.DateTimeField(allow_null=True)
    users = serializers.ListField(child=serializers.UUIDField())
    times = serializers.IntegerField(help_text="How often, of what comes day after day.")
    text = serializers.CharField()


class QualityView(serializers.Serializer[Any]):
    begins = serializers.DateTimeField()
    ends = serializers.DateTimeField()
    findings = RosterFindingView(many=True)


class ReportView(serializers.Serializer[Any]):
    days_14 = QualityView()
    weeks_52 = QualityView()


class Rotations(APIView):
    @extend_schema(summary="Who takes turns", responses=RotationsView)
    def get(self, request: Request, programme_id: UUID) -> Response:
        found = rosters.view_rotations(acting=acting(request), programme_id=programme_id)
        return Response({"results": [rotation_view(one) for one in found], "next": None})

    @extend_schema(
        summary="Another layer of the roster",
        description="Whoever leads the team. It is changed by ending it and beginning another.",
        request=RotationIn,
        responses={201: RotationView},
        examples=[
            OpenApiExample(
                "Nights in turn",
                value={
                    "name": "Natt og helg",
                    "people": ["01890a5d-ac96-774b-bcce-b302099a8057"],
                    "every": "daily",
                    "days": 1,
                    "starts_on": "2026-03-02",
                    "handover": "15:30",
                },
                request_only=True,
            )
        ],
    )
    @idempotent
    def post(self, request: Request, programme_id: UUID) -> Response:
        said = heard(RotationIn, request)
        said["restrictions"] = [dict(part) for part in said["restrictions"]]
        row = rosters.begin_rotation(acting=acting(request), programme_id=programme_id, said=said)
        return Response(rotation_view(row), status=status.HTTP_201_CREATED)

    def recheck(self, request: Request, programme_id: UUID) -> None:
        open_programme_as_leader(acting(request), programme_id, act="rotation.begun")


class RotationEnd(APIView):
    @extend_schema(summary="End it at its next handover", request=None, responses=RotationView)
    def post(self, request: Request, programme_id: UUID, rotation_id: UUID) -> Response:
        row = rosters.end_rotation(acting=acting(request), programme_id=programme_id, rotation_id=rotation_id)
        return Response(rotation_view(row))


class Overrides(APIView):
    @extend_schema(summary="Exceptions from the turns, now and to come", responses=OverridesView)
    def get(self, request: Request, programme_id: UUID) -> Response:
        found = rosters.view_overrides(acting=acting(request), programme_id=programme_id)
        return Response({"results": [override_view(one) for one in found], "next": None})

    @extend_schema(
        summary="Somebody else, or nobody, for a time",
        description=(
            "Whoever leads the team; anybody in it may let a colleague take their own shift (`instead_of` is oneself). "
            "It begins now at the earliest. Whoever is put on call is told."
        ),
        request=OverrideIn,
        responses={201: OverrideView},
    )
    @idempotent
    def post(self, request: Request, programme_id: UUID) -> Response:
        said = heard(OverrideIn, request)
        row = rosters.add_override(
            acting=acting(request),
            programme_id=programme_id,
            user_id=said["user"],
            begins=said["begins"],
            ends=said["ends"],
            instead_of=said["instead_of"],
        )
        return Response(override_view(row), status=status.HTTP_201_CREATED)

    def recheck(self, request: Request, programme_id: UUID) -> None:
        open_programme(acting(request), programme_id, act="override.added")


class OneOverride(APIView):
    @extend_schema(summary="Take it back", description="One that has begun ends now.", responses={200: OverrideView})
    def delete(self, request: Request, programme_id: UUID, override_id: UUID) -> Response:
        row = rosters.take_back_override(acting=acting(request), programme_id=programme_id, override_id=override_id)
        return Response(override_view(row))


class ProgrammeShifts(APIView):
    @extend_schema(
        summary="Shifts between two dates",
        description="As they are laid out, 60 days ahead; those that have been are kept.",
        parameters=[Between],
        responses=ShiftsView,
    )
    def get(self, request: Request, programme_id: UUID) -> Response:
        asked = Between(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        first, last = asked.validated_data["from"], asked.validated_data["to"]
        found = on_call.view_shifts(acting=acting(request), programme_id=programme_id, first=first, last=last)
        return Response({"results": [shift_view(one) for one in found], "next": None})


class RosterReport(APIView):
    @extend_schema(
        summary="What is wrong with the roster",
        description="Within 14 days and within 52 weeks: nobody on call, nobody who can be reached, double shifts.",
        responses=ReportView,
    )
    def get(self, request: Request, programme_id: UUID) -> Response:
        soon, year = on_call.report(acting=acting(request), programme_id=programme_id)
        return Response({"days_14": _quality(soon), "weeks_52": _quality(year)})


def shift_view(row: Shift) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "programme": str(row.programme_id),
        "user": str(row.user_id),
        "name": row.user.name,
        "begins": rfc3339(row.begins),
        "ends": rfc3339(row.ends),
    }


def rotation_view(row: Rotation) -> dict[str, Any]:
    return dict(RotationView(row).data)


def override_view(row: Override) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "user": str(row.user_id) if row.user_id else None,
        "instead_of": str(row.instead_of_id) if row.instead_of_id else None,
        "begins": rfc3339(row.begins),
        "ends": rfc3339(row.ends),
        "made_by": str(row.made_by_id) if row.made_by_id else None,
        "made_at": rfc3339(row.made_at),
    }


def _quality(found: on_call.Quality) -> dict[str, Any]:
    said = findings(found.report)
    names = on_call.names_of(user for one in said for user in one.users)
    return {
        "begins": rfc3339(found.begins),
        "ends": rfc3339(found.ends),
        "findings": [_finding(one, names) for one in said],
    }


def _finding(one: Finding, names: dict[UUID, str]) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "begins": rfc3339(one.begins) if one.begins else None,
        "ends": rfc3339(one.ends) if one.ends else None,
        "users": [str(user) for user in one.users],
        "times": one.times,
        "text": one.text(names),
    }
