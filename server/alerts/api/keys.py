"""REST for alert keys: parse, call, answer."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.alerts.actions import keys
from server.alerts.api import shapes, told
from server.alerts.api.programmes import heard
from server.common.idempotency import idempotent
from server.people.actors import acting
from server.people.decide import Need


class AlertKeysView(serializers.Serializer[Any]):
    results = shapes.AlertKeyView(many=True)
    next = serializers.CharField(allow_null=True)


class AlertKeys(APIView):
    """Keys on the patient's own phones: they call for help when every session is over, and open nothing else."""

    needs: ClassVar[Need] = "nothing"

    told_once = ("key",)

    @extend_schema(operation_id="alert_keys_list", summary="My phones that can call for help", responses=AlertKeysView)
    def get(self, request: Request) -> Response:
        return Response(_list(keys.view_own(acting=acting(request))))

    @extend_schema(
        summary="Put a key on this phone",
        description=(
            "Each call makes a further key, told this once; send it as `Authorization: Alert-Key <key>`. It does not "
            "run out. The patient's other devices and who leads the team are told that there is one. Said again with "
            "the same `Idempotency-Key`, the answer says which was made, and `key` is null: take that one away and "
            "make another. 409 `too_many_alert_keys` at ten."
        ),
        request=shapes.AlertKeyIn,
        responses={201: shapes.NewAlertKeyView},
        examples=[OpenApiExample("A phone", value={"label": "Mobilen min"}, request_only=True)],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        row, key = keys.make(acting=acting(request), label=heard(shapes.AlertKeyIn, request)["label"])
        return Response({"id": str(row.id), "key": key}, status=status.HTTP_201_CREATED, headers=told.NOT_KEPT)


class AlertKey(APIView):
    needs: ClassVar[Need] = "proof"

    @extend_schema(summary="Take a phone away", description="The team is told.", responses={200: shapes.AlertKeyView})
    def delete(self, request: Request, key_id: UUID) -> Response:
        row = keys.revoke_own(acting=acting(request), key_id=key_id, because=keys.REMOVED)
        return Response(told.alert_key_view(row))


class AlertKeyLost(APIView):
    needs: ClassVar[Need] = "proof"

    @extend_schema(
        summary="I have lost this phone", description="The team is told.", request=None, responses=shapes.AlertKeyView
    )
    def post(self, request: Request, key_id: UUID) -> Response:
        row = keys.revoke_own(acting=acting(request), key_id=key_id, because=keys.LOST)
        return Response(told.alert_key_view(row))


class PatientAlertKeys(APIView):
    @extend_schema(summary="A patient's phones that can call for help", responses=AlertKeysView)
    def get(self, request: Request, patient_id: UUID) -> Response:
        return Response(_list(keys.view(acting=acting(request), patient_id=patient_id)))


class PatientAlertKey(APIView):
    @extend_schema(
        summary="End the key of a phone that somebody else has",
        description="Whoever leads the team is told.",
        responses={200: shapes.AlertKeyView},
    )
    def delete(self, request: Request, patient_id: UUID, key_id: UUID) -> Response:
        return Response(told.alert_key_view(keys.revoke(acting=acting(request), patient_id=patient_id, key_id=key_id)))


def _list(rows: list[Any]) -> dict[str, Any]:
    return {"results": [told.alert_key_view(one) for one in rows], "next": None}
