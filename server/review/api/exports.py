"""REST for what officers take out of the log: parse, call, answer."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.audit.actions import record
from server.audit.entry import Entry
from server.audit.models import index_of, tree_of
from server.common.errors import Invalid
from server.common.files import AsItIs
from server.common.idempotency import idempotent
from server.common.pagination import KeyCursorPagination
from server.common.sql import rfc3339
from server.common.streaming import Chunks, streamed
from server.people.actors import acting
from server.review import exports
from server.review.access import open_patient_of, reader_of, require_officer, require_proved_officer
from server.review.api.events import Filters
from server.review.events import COLUMNS, Wanted
from server.review.export_files import written, written_subject
from server.review.models import Export
from server.review.own_export import INERT
from server.review.reasons import EXPORT, reason_of

TYPES = {
    Export.Format.JSONL: "application/jsonl",
    Export.Format.CSV: "text/csv; charset=utf-8",
    Export.Format.HTML: "text/html; charset=utf-8",
}
FOR_MACHINES = [Export.Format.JSONL.value, Export.Format.CSV.value]
FOR_PATIENTS = [Export.Format.JSONL.value, Export.Format.HTML.value]
REASON = "Why, in the officer's words; sealed, and shown to the officers of the controller."


class OrderBody(serializers.Serializer[Any]):
    """`filters` as of the list of events; all of what is given must hold, and nothing given is everything."""

    filters = Filters(required=False)
    format = serializers.ChoiceField(choices=FOR_MACHINES)
    reason = serializers.CharField(min_length=10, max_length=2000, help_text=REASON)


class SubjectBody(serializers.Serializer[Any]):
    patient = serializers.UUIDField()
    format = serializers.ChoiceField(
        choices=FOR_PATIENTS,
        default=Export.Format.JSONL.value,
        help_text="`html`: the page to read and print; `jsonl`: the same lines with what proves them.",
    )
    reason = serializers.CharField(min_length=10, max_length=2000, help_text=REASON)


class SnapshotView(serializers.Serializer[Any]):
    """The signed checkpoint that every line is proved against: the tree's number, and its size then."""

    tree = serializers.IntegerField()
    size = serializers.IntegerField()


class ExportView(serializers.Serializer[Any]):
    """`done` of `total` lines have been given by the newest fetching. `state`: `ready`, `running`, `done`, or `cut`
    when access ended or the reader went away before the last line."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=Export.Kind.values)
    made_at = serializers.DateTimeField()
    made_by = serializers.UUIDField()
    made_by_name = serializers.CharField()
    reason = serializers.CharField()
    filters = serializers.DictField(child=serializers.CharField())
    format = serializers.ChoiceField(choices=Export.Format.values)
    snapshot = SnapshotView()
    state = serializers.ChoiceField(choices=Export.State.values)
    total = serializers.IntegerField()
    done = serializers.IntegerField()


class Exports(APIView):
    pagination_class = KeyCursorPagination
    throttle_scope = "export"

    @extend_schema(summary="What has been taken out of my controller's log, and why", responses=ExportView(many=True))
    def get(self, request: Request) -> Response:
        pages = NewestFirst()
        page = pages.paginate_queryset(exports.look(acting=acting(request)), request, view=self)
        return pages.get_paginated_response([view(one) for one in page])

    @extend_schema(
        summary="Order an export of the log, for a written reason",
        description="Of what is sealed now. 409 `not_sealed_yet` on an installation that has sealed nothing so far.",
        request=OrderBody,
        responses={201: ExportView},
        examples=[
            OpenApiExample(
                "One room",
                value={
                    "filters": {"type": "events.viewed", "outcome": "success"},
                    "format": "jsonl",
                    "reason": "Kontroll etter klage fra en pasient.",
                },
                request_only=True,
            )
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        me = acting(request)
        require_officer(me, exports.MADE)
        said = _heard(request)
        made = exports.order(acting=me, wanted=wanted(said), form=said["format"], reason=said["reason"])
        return Response(view(made), status=201)

    def recheck(self, request: Request) -> None:
        require_officer(acting(request), exports.MADE)


class OneExport(APIView):
    @extend_schema(summary="How far an export has come", responses=ExportView)
    def get(self, request: Request, export_id: UUID) -> Response:
        me = acting(request)
        with transaction.atomic():
            export = exports.open_export(me, export_id)
            record(Entry(exports.VIEWED, me.actor, object_id=export.id, basis="officer"))
        return Response(view(export))


class ExportDownload(APIView):
    content_negotiation_class = AsItIs

    @extend_schema(
        summary="Fetch an export, as it is made",
        description="Only for whoever ordered it. **JSON Lines**: the first line holds the signed `checkpoint`, "
        "verifier `keys`, `filters`, tree `size` and how many `lines` follow; each of them `index`, `leaf` (the exact "
        "entry that was sealed) and `proof` (base64, RFC 6962), and a `checkpoint` of its own where it lies in an "
        "older tree. "
        "**CSV**: the same in columns; `number` of `of`; `proof` in hexadecimal; what a spreadsheet would take for a "
        "formula has an apostrophe before it. It breaks off when the session or the appointment ends.",
        responses={(200, "application/jsonl"): str, (200, "text/csv"): str},
    )
    def get(self, request: Request, export_id: UUID) -> HttpResponseBase:
        me = acting(request)
        export = exports.fetch(acting=me, export_id=export_id)
        return _file(request, export, written(export, reader_of(me)))


class SubjectRequests(APIView):
    """Each asking is a look of its own, and is on record as one: nothing is made that could be made twice."""

    content_negotiation_class = AsItIs

    @extend_schema(
        summary="Everything the log says about a patient, for their request for access (GDPR article 15)",
        description="For a patient who has, or has had, to do with the controller; in the patient's language. "
        "**html**: the page that the patient's own log prints. "
        "**jsonl**: the first line as of an export, then each line as in the patient's own log with `index`, `leaf` "
        "and `proof`; "
        "`kept_back` where these would name somebody who is shielded. The last line is "
        '`{"complete": true, "lines": n}`. What the patient may not know yet is left out.',
        request=SubjectBody,
        responses={(200, "application/jsonl"): str, (200, "text/html"): str},
    )
    def post(self, request: Request) -> HttpResponseBase:
        me = acting(request)
        officer = require_proved_officer(me, exports.SUBJECT)
        body = SubjectBody(data=request.data)
        body.is_valid(raise_exception=True)
        said = body.validated_data
        patient = open_patient_of(officer, said["patient"], exports.SUBJECT)
        order = {"form": said["format"], "reason": said["reason"]}
        export = exports.order_subject(acting=me, officer=officer, patient=patient, **order)
        return _file(request, export, written_subject(export, reader_of(me), language=patient.language))


class NewestFirst(KeyCursorPagination):
    ordering = "-id"


def _file(request: Request, export: Export, chunks: Chunks) -> HttpResponseBase:
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{export.id}.{export.format}"',
    }
    kind = TYPES[Export.Format(export.format)]
    if export.format == Export.Format.HTML:
        headers |= INERT
    answer: HttpResponseBase = streamed(request._request, chunks, content_type=kind, headers=headers)  # noqa: SLF001
    return answer


def _heard(request: Request) -> dict[str, Any]:
    """Raises Invalid or DRF's ValidationError: a filter that is not understood narrows nothing, and an officer would
    believe that it did."""
    body = OrderBody(data=request.data)
    body.is_valid(raise_exception=True)
    given: Any = request.data
    if set(given.get("filters") or {}) - set(Filters().fields):
        raise Invalid(errors=[{"field": "filters", "code": "unknown", "detail": _("There is no such filter.")}])
    return dict(body.validated_data)


def wanted(said: dict[str, Any]) -> Wanted:
    filters = said.get("filters", {})
    same = {name: filters[name] for name in COLUMNS if name in filters}
    return Wanted(since=filters.get("from"), until=filters.get("to"), same=same)


def view(export: Export) -> dict[str, Any]:
    return {
        "id": str(export.id),
        "kind": export.kind,
        "made_at": rfc3339(export.made_at),
        "made_by": str(export.made_by_id),
        "made_by_name": export.made_by.name,
        "reason": reason_of(export.reason_sealed, place=EXPORT, row=export.id),
        "filters": export.filters,
        "format": export.format,
        "snapshot": {"tree": tree_of(export.snapshot), "size": index_of(export.snapshot)},
        "state": export.state,
        "total": export.total,
        "done": export.done,
    }
