"""REST for all that is held about one person: parse, call, answer."""

from typing import Any
from uuid import UUID

from django.http.response import HttpResponseBase
from django.utils.translation import get_language
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.common.errors import Invalid
from server.common.files import AsItIs
from server.common.idempotency import idempotent
from server.common.sql import rfc3339
from server.common.streaming import streamed
from server.consent.forms import spoken
from server.people.actors import acting
from server.review.access import reader_of, require_officer
from server.review.held import orders
from server.review.held.files import written
from server.review.models import Export
from server.review.own_export import INERT

TYPES = {Export.Format.JSONL.value: "application/jsonl", Export.Format.HTML.value: "text/html; charset=utf-8"}
HELP = "`html`: a page to read and print; `jsonl`: for a machine."


class HeldBody(serializers.Serializer[Any]):
    format = serializers.ChoiceField(choices=list(orders.FORMATS), default=Export.Format.HTML.value, help_text=HELP)


class HeldForBody(serializers.Serializer[Any]):
    """Either a patient or an employee."""

    patient = serializers.UUIDField(required=False)
    user = serializers.UUIDField(required=False)
    format = serializers.ChoiceField(choices=list(orders.FORMATS), default=Export.Format.JSONL.value, help_text=HELP)
    reason = serializers.CharField(min_length=10, max_length=2000, help_text="Why, in the officer's words; sealed.")


class HeldView(serializers.Serializer[Any]):
    """`done` of `total` lines have been given by the newest fetching."""

    id = serializers.UUIDField()
    made_at = serializers.DateTimeField()
    format = serializers.ChoiceField(choices=list(orders.FORMATS))
    state = serializers.ChoiceField(choices=Export.State.choices)
    total = serializers.IntegerField()
    done = serializers.IntegerField()


class OwnHeld(APIView):
    @extend_schema(
        summary="Order all that is held about me (GDPR article 15)",
        description="Needs a fresh sign-in, as giving consent does. Fetch it at `held/{id}/download`; `held/{id}` says "
        "how far that has come.",
        request=HeldBody,
        responses={201: HeldView},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        body = HeldBody(data=request.data)
        body.is_valid(raise_exception=True)
        made = orders.order_own(acting=acting(request), form=body.validated_data["format"])
        return Response(view(made), status=201)

    def recheck(self, request: Request) -> None:
        acting(request)


class HeldFor(APIView):
    @extend_schema(
        summary="Order all that my controller holds about a patient or an employee, on their behalf",
        description="Of messages, what the controller's own staff wrote. On record in the patient's log.",
        request=HeldForBody,
        responses={201: HeldView},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        me = acting(request)
        require_officer(me, orders.ORDERED)
        body = HeldForBody(data=request.data)
        body.is_valid(raise_exception=True)
        said = body.validated_data
        if ("patient" in said) == ("user" in said):
            raise Invalid(errors=[{"field": "patient", "code": "one_of_two", "detail": ""}])
        form, reason = said["format"], said["reason"]
        if "patient" in said:
            made = orders.order_patient(acting=me, patient_id=said["patient"], form=form, reason=reason)
        else:
            made = orders.order_staff(acting=me, user_id=said["user"], form=form, reason=reason)
        return Response(view(made), status=201)

    def recheck(self, request: Request) -> None:
        require_officer(acting(request), orders.ORDERED)


class OneHeld(APIView):
    @extend_schema(summary="How far a copy of all that is held has come", responses=HeldView)
    def get(self, request: Request, export_id: UUID) -> Response:
        return Response(view(orders.view(acting=acting(request), export_id=export_id)))


class HeldDownload(APIView):
    content_negotiation_class = AsItIs

    @extend_schema(
        summary="Fetch all that is held, as it is made",
        description="Only for whoever ordered it. **jsonl**: a first line that says what it is, then one line for each "
        'thing with its `section`, and `{"complete": true, "lines": n}` as the last one; without that it broke off.',
        responses={(200, "application/jsonl"): str, (200, "text/html"): str},
    )
    def get(self, request: Request, export_id: UUID) -> HttpResponseBase:
        me = acting(request)
        export = orders.fetch(acting=me, export_id=export_id)
        theirs = export.patient.language if export.patient is not None else export.about and export.about.language
        language = spoken(get_language() or "" if export.controller_id is None else theirs or "")
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{export.id}.{export.format}"',
        }
        headers |= INERT if export.format == Export.Format.HTML else {}
        chunks = written(export, reader_of(me), language=language)
        answer: HttpResponseBase = streamed(
            request._request,  # noqa: SLF001
            chunks,
            content_type=TYPES[export.format],
            headers=headers,
        )
        return answer


def view(export: Export) -> dict[str, Any]:
    return {
        "id": str(export.id),
        "made_at": rfc3339(export.made_at),
        "format": export.format,
        "state": export.state,
        "total": export.total,
        "done": export.done,
    }
