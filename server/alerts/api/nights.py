"""REST for what happened at night and in a week, for the team."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.alerts import figures
from server.alerts.actions import nights
from server.alerts.api import told
from server.alerts.api.rosters import YEARS, Between
from server.alerts.calendar import is_date
from server.alerts.models import Admission, Alert, AlertTask
from server.alerts.times import seconds
from server.common.errors import NotFound
from server.common.sql import rfc3339
from server.people.actors import acting


class WhomView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()


class FollowUpView(serializers.Serializer[Any]):
    """Something that is still to be done."""

    alert = serializers.UUIDField()
    kind = serializers.CharField()
    owner = WhomView()
    due_at = serializers.DateTimeField()


class NightAlertView(serializers.Serializer[Any]):
    """`*_after_s` are seconds from the press: to the first page that a provider accepted, to a person's acceptance, to
    contact. `children`: were children there."""

    id = serializers.UUIDField()
    patient = WhomView()
    raised_at = serializers.DateTimeField()
    state = serializers.CharField()
    responder = WhomView(allow_null=True)
    accepted_by = WhomView(allow_null=True, help_text="Who answered first.")
    page_after_s = serializers.FloatField(allow_null=True)
    accepted_after_s = serializers.FloatField(allow_null=True)
    contact_after_s = serializers.FloatField(allow_null=True)
    not_reached = serializers.BooleanField(help_text="At least once.")
    cancelled_at = serializers.DateTimeField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)
    outcome = serializers.CharField(allow_blank=True)
    children = serializers.CharField(allow_blank=True)


class NightView(serializers.Serializer[Any]):
    begins = serializers.DateTimeField()
    ends = serializers.DateTimeField()
    alerts = NightAlertView(many=True)
    follow_ups = FollowUpView(many=True)


class AdmittedView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    patient = WhomView()
    ward = serializers.UUIDField()
    admitted_on = serializers.DateField()


class WeekView(NightView):
    admissions = AdmittedView(many=True)


class MeasureView(serializers.Serializer[Any]):
    """Null: it never happened, or the numbers are too small to be shown."""

    happened = serializers.IntegerField(allow_null=True)
    median_s = serializers.FloatField(allow_null=True)
    p90_s = serializers.FloatField(allow_null=True)


class GroupView(serializers.Serializer[Any]):
    """`key` is the hour or the weekday (0 is Monday), null for all."""

    key = serializers.IntegerField(allow_null=True)
    count = serializers.IntegerField(allow_null=True)
    page = MeasureView()
    acceptance = MeasureView()
    contact = MeasureView()


class FiguresView(serializers.Serializer[Any]):
    vars()["from"] = serializers.DateField()
    to = serializers.DateField()
    total = GroupView()
    by_hour = GroupView(many=True)
    by_weekday = GroupView(many=True)
    definitions = serializers.DictField(child=serializers.CharField())


class Night(APIView):
    @extend_schema(
        operation_id="night",
        summary="The report of a night",
        description="Of the night that begins on this date: from eight in the morning to the next, in Oslo.",
        parameters=[OpenApiParameter("night", date, OpenApiParameter.PATH)],
        responses=NightView,
    )
    def get(self, request: Request, programme_id: UUID, night: str) -> Response:
        if not is_date(night) or int(night[:4]) not in YEARS:
            raise NotFound
        found = nights.view_night(acting=acting(request), programme_id=programme_id, night=date.fromisoformat(night))
        return Response(_told(found), headers=told.NOT_KEPT)


class Weekly(APIView):
    @extend_schema(
        operation_id="weekly",
        summary="The list for the weekly meeting",
        description="Alerts of seven days or still open, what is still to be done, and admissions.",
        responses=WeekView,
    )
    def get(self, request: Request, programme_id: UUID) -> Response:
        found = nights.view_week(acting=acting(request), programme_id=programme_id)
        admissions = [_admission(one, found) for one in found.admissions]
        return Response(_told(found) | {"admissions": admissions}, headers=told.NOT_KEPT)


class Figures(APIView):
    @extend_schema(
        operation_id="figures",
        summary="How fast people answered",
        description="Median and nine tenths, by hour and weekday in Oslo; `definitions` say in words what each is. "
        "Whoever is not in the team gets the calendar month in which `from` is, once it is over; the answer's `from` "
        "and `to` say which days are counted.",
        parameters=[Between],
        responses=FiguresView,
    )
    def get(self, request: Request, programme_id: UUID) -> Response:
        asked = Between(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        first, last = asked.validated_data["from"], asked.validated_data["to"]
        counted = nights.view_figures(acting=acting(request), programme_id=programme_id, first=first, last=last)
        found = counted.figures
        answer = {
            "from": counted.first.isoformat(),
            "to": counted.last.isoformat(),
            "total": _group(found.total),
            "by_hour": [_group(one) for one in found.by_hour],
            "by_weekday": [_group(one) for one in found.by_weekday],
            "definitions": {name: str(words) for name, words in figures.DEFINITIONS.items()},
        }
        return Response(answer, headers=told.NOT_KEPT)


def _group(one: figures.Group) -> dict[str, Any]:
    measures = {name: asdict(measure) for name, measure in one.measures.items()}
    return {"key": one.key, "count": one.count, **measures}


def _told(found: nights.Told) -> dict[str, Any]:
    return {
        "begins": rfc3339(found.begins),
        "ends": rfc3339(found.ends),
        "alerts": [_alert(one, found) for one in found.alerts],
        "follow_ups": [_task(one, found) for one in found.tasks],
    }


def _alert(one: Alert, found: nights.Told) -> dict[str, Any]:
    times = found.times[one.id]
    return {
        "id": str(one.id),
        "patient": _whom(one.patient_id, found.patients),
        "raised_at": rfc3339(one.raised_at),
        "state": one.state,
        "responder": _whom(one.responder_id, found.people),
        "accepted_by": _whom(times.accepted_by, found.people),
        "page_after_s": seconds(times.raised, times.sent),
        "accepted_after_s": seconds(times.raised, times.accepted),
        "contact_after_s": seconds(times.raised, times.contact),
        "not_reached": times.not_reached is not None,
        "cancelled_at": _time(one.cancelled_at),
        "closed_at": _time(one.closed_at),
        "outcome": one.outcome,
        "children": one.children,
    }


def _task(one: AlertTask, found: nights.Told) -> dict[str, Any]:
    owner = _whom(one.owner_id, found.people)
    return {"alert": str(one.alert_id), "kind": one.kind, "owner": owner, "due_at": rfc3339(one.due_at)}


def _admission(one: Admission, found: nights.Told) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "patient": _whom(one.patient_id, found.patients),
        "ward": str(one.ward_id),
        "admitted_on": one.admitted_on.isoformat(),
    }


def _whom(who: UUID | None, names: dict[UUID, str]) -> dict[str, Any] | None:
    return None if who is None else {"id": str(who), "name": names.get(who, "")}


def _time(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)
