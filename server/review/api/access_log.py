"""REST for a patient's own log: parse, call, answer."""

from typing import Any

from django.db import transaction
from django.http.response import HttpResponseBase
from django.utils.translation import get_language
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.audit.actions import record
from server.audit.entry import Entry
from server.audit.models import AuditEvent
from server.common.errors import Forbidden, Refusal
from server.common.files import AsItIs
from server.common.pagination import KeyCursorPagination
from server.common.streaming import streamed
from server.consent.forms import spoken
from server.people.actors import Acting, acting
from server.people.limits import require_for_own_file
from server.people.models import Patient
from server.review.access import reader_of
from server.review.access_log import events_about, lines
from server.review.own_export import FORMATS, HTML, written

EXPORTED = "access_log.exported"


class Who(serializers.Serializer[Any]):
    """`code` stands in place of `user` and `name` where the employer has decided that the name is not shown; it is
    always the same for the same person there."""

    user = serializers.UUIDField(allow_null=True)
    name = serializers.CharField(allow_blank=True)
    code = serializers.CharField(allow_blank=True)
    role = serializers.CharField(allow_blank=True)
    unit = serializers.CharField(allow_blank=True)
    controller = serializers.CharField(allow_blank=True)


class LogLine(serializers.Serializer[Any]):
    """`words` says all of it in one sentence, and the basis in another; `emergency`: on the basis of emergency access,
    or about it."""

    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    type = serializers.CharField()
    who = Who()
    room = serializers.UUIDField(allow_null=True)
    purpose = serializers.CharField(allow_blank=True)
    basis = serializers.CharField(allow_blank=True)
    outcome = serializers.ChoiceField(choices=["success", "refused"])
    reason = serializers.CharField(allow_blank=True)
    emergency = serializers.BooleanField()
    words = serializers.CharField()


class NewestFirst(KeyCursorPagination):
    ordering = "-id"


class AccessLog(generics.ListAPIView[AuditEvent]):
    serializer_class = LogLine
    pagination_class = NewestFirst

    @extend_schema(summary="Who has seen or changed my things", responses=LogLine(many=True))
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        me = acting(request)
        patient = _patient(me, "access_log.viewed")
        page = self.paginate_queryset(events_about(patient.id)) or []
        return self.get_paginated_response(LogLine(lines(list(page), reader=me.user.id), many=True).data)


class ExportQuery(serializers.Serializer[Any]):
    form = serializers.ChoiceField(
        choices=list(FORMATS),
        default=HTML,
        help_text="`html`, a page to keep or print; `jsonl`, one JSON object per line.",
    )


class AccessLogExport(APIView):
    """Ends early when the session does: then the last line, which says how many there are, is missing."""

    content_negotiation_class = AsItIs

    @extend_schema(
        summary="All of my log, to keep or print",
        description="Needs a fresh sign-in, as giving consent does. The oldest first; the same lines as in the list. "
        "JSON Lines: one line of the list each, and "
        '`{"complete": true, "lines": n}` as the last one.',
        parameters=[ExportQuery],
        responses={(200, "text/html"): str, (200, "application/jsonl"): str},
    )
    def get(self, request: Request) -> HttpResponseBase:
        query = ExportQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        me, form = acting(request), query.validated_data["form"]
        if me.patient is not None:
            require_for_own_file(me, EXPORTED)
        patient = _patient(me, EXPORTED)
        language = spoken(get_language() or patient.language)
        chunks = written(form, patient_id=patient.id, reader=reader_of(me), user_id=me.user.id, language=language)
        kind, headers = FORMATS[form]
        answer: HttpResponseBase = streamed(request._request, chunks, content_type=kind, headers=headers)  # noqa: SLF001
        return answer


def _patient(me: Acting, act: str) -> Patient:
    """The patient who acts; their look is on record. Raises Forbidden `patient_only`."""
    if me.patient is None:
        raise Forbidden(code="patient_only", refusal=Refusal(act, "patient_only"))
    with transaction.atomic():
        record(Entry(act, me.actor, subject_id=me.patient.id, basis="self"))
    return me.patient
