"""REST for reviewing: parse, call, answer."""

from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from server.audit.actions import record
from server.audit.entry import Entry
from server.audit.models import AuditEvent
from server.common.errors import Forbidden, Refusal
from server.common.pagination import KeyCursorPagination
from server.people.actors import acting
from server.review.access_log import events_about, lines


class Who(serializers.Serializer[Any]):
    user = serializers.UUIDField(allow_null=True)
    name = serializers.CharField()
    role = serializers.CharField()
    unit = serializers.CharField()
    controller = serializers.CharField()


class LogLine(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    type = serializers.CharField()
    who = Who()
    room = serializers.UUIDField(allow_null=True)
    purpose = serializers.CharField()
    basis = serializers.CharField()
    outcome = serializers.ChoiceField(choices=["success", "refused"])
    reason = serializers.CharField()


class NewestFirst(KeyCursorPagination):
    ordering = "-id"


class AccessLog(generics.ListAPIView[AuditEvent]):
    serializer_class = LogLine
    pagination_class = NewestFirst

    @extend_schema(summary="Who has seen or changed my things", responses=LogLine(many=True))
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        me = acting(request)
        if me.patient is None:
            raise Forbidden(code="patient_only", refusal=Refusal("access_log.viewed", "patient_only"))
        with transaction.atomic():
            record(Entry(type="access_log.viewed", actor=me.actor, subject_id=me.patient.id, basis="self"))
        page = self.paginate_queryset(events_about(me.patient.id)) or []
        return self.get_paginated_response(LogLine(lines(list(page)), many=True).data)
