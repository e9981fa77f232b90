"""REST for shielding employees: parse, call, answer."""

from datetime import date
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.common.clock import now
from server.common.idempotency import idempotent
from server.common.pagination import KeyCursorPagination
from server.common.sql import rfc3339
from server.consent.forms import OSLO
from server.people.actors import acting
from server.review import shields
from server.review.access import require_officer
from server.review.api.events import MomentField
from server.review.models import Shield
from server.review.reasons import SHIELD, reason_of


class ShieldBody(serializers.Serializer[Any]):
    user = serializers.UUIDField(help_text="An employee of the controller.")
    reason = serializers.CharField(min_length=10, max_length=2000, help_text="Sealed; for officers alone.")
    decided_on = serializers.DateField(help_text="The date of the decision, not later than today.")
    valid_from = MomentField(required=False, help_text="From when patients see the code; now, if left out.")

    def validate_decided_on(self, value: date) -> date:
        if value > now().astimezone(OSLO).date():
            raise serializers.ValidationError(code="future")
        return value


class ShieldView(serializers.Serializer[Any]):
    """`code` stands in place of the name in patients' logs, always the same for the same person here."""

    id = serializers.UUIDField()
    user = serializers.UUIDField()
    name = serializers.CharField()
    code = serializers.CharField()
    reason = serializers.CharField()
    decided_by = serializers.UUIDField()
    decided_on = serializers.DateField()
    valid_from = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    ended_by = serializers.UUIDField(allow_null=True)


class NewestFirst(KeyCursorPagination):
    ordering = "-id"


class Shields(APIView):
    pagination_class = NewestFirst

    @extend_schema(summary="Employees whom patients see by a code", responses=ShieldView(many=True))
    def get(self, request: Request) -> Response:
        pages = NewestFirst()
        page = pages.paginate_queryset(shields.look(acting=acting(request)), request, view=self)
        return pages.get_paginated_response([view(one) for one in page])

    @extend_schema(
        summary="Decide that patients see unit, role and a code in place of an employee's name",
        request=ShieldBody,
        responses={201: ShieldView},
        examples=[
            OpenApiExample(
                "Threats",
                value={
                    "user": "01890a5d-ac96-774b-bcce-b302099a8057",
                    "reason": "Konkrete trusler, anmeldt til politiet.",
                    "decided_on": "2026-01-15",
                },
                request_only=True,
            )
        ],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        me = acting(request)
        require_officer(me, shields.DECIDED)
        body = ShieldBody(data=request.data)
        body.is_valid(raise_exception=True)
        said = body.validated_data
        made = shields.decide(
            acting=me,
            user_id=said["user"],
            reason=said["reason"],
            decided_on=said["decided_on"],
            valid_from=said.get("valid_from"),
        )
        return Response(view(made), status=201)

    def recheck(self, request: Request) -> None:
        require_officer(acting(request), shields.DECIDED)


class ShieldEnd(APIView):
    @extend_schema(summary="Show the employee's name again", request=None, responses=ShieldView)
    @idempotent
    def post(self, request: Request, shield_id: UUID) -> Response:
        return Response(view(shields.end(acting=acting(request), shield_id=shield_id)))

    def recheck(self, request: Request, shield_id: UUID) -> None:
        shields.own_shield(require_officer(acting(request), shields.ENDED), shield_id)


def view(shield: Shield) -> dict[str, Any]:
    return {
        "id": str(shield.id),
        "user": str(shield.user_id),
        "name": shield.user.name,
        "code": shield.code,
        "reason": reason_of(shield.reason_sealed, place=SHIELD, row=shield.id),
        "decided_by": str(shield.decided_by_id),
        "decided_on": shield.decided_on.isoformat(),
        "valid_from": rfc3339(shield.valid_from),
        "ended_at": rfc3339(shield.ended_at) if shield.ended_at else None,
        "ended_by": str(shield.ended_by_id) if shield.ended_by_id else None,
    }
