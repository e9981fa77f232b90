"""`me/step-up`: prove anew who holds this session, before what a found telephone must not do."""

from datetime import datetime
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.people.actions import one_time, passkeys, proofs, recovery
from server.people.actors import acting
from server.people.api.credentials import (
    NOT_KEPT,
    CredentialIn,
    OneTimeCodeIn,
    WebauthnOptionsOut,
    credential_of,
    one_time_code,
)
from server.people.decide import Need
from server.people.step_up import fresh_until

WRONG = "403 `proof_wrong`, whatever was wrong with it."


class StepUpOut(serializers.Serializer[Any]):
    fresh_until = serializers.DateTimeField(allow_null=True, help_text="Null: what needs a fresh proof is refused now.")
    proved_by = serializers.CharField(
        allow_blank=True, help_text="`passkey`, `totp`, `recovery`, or a way of signing in."
    )
    ways = serializers.ListField(
        child=serializers.CharField(), help_text="Of `passkey`, `totp`, `recovery`; signing in anew is always one more."
    )


class StepUpProvedOut(serializers.Serializer[Any]):
    strong_at = serializers.DateTimeField(help_text="Since when the proof counts.")


class RecoveryCodeIn(serializers.Serializer[Any]):
    code = serializers.CharField(max_length=40, help_text="One of the ten; case and dashes do not matter.")


def proved_shape(at: datetime) -> dict[str, Any]:
    shown: dict[str, Any] = StepUpProvedOut({"strong_at": at}).data
    return shown


class StepUp(APIView):
    """Whether I have just proved who I am, and how I can."""

    needs: ClassVar[Need] = "nothing"

    @extend_schema(summary="Is my proof fresh?", responses=StepUpOut)
    def get(self, request: Request) -> Response:
        me = acting(request)
        assert me.session is not None, "REST acts in a session"
        return Response(
            StepUpOut({"fresh_until": fresh_until(me), "proved_by": me.session.strong_by, "ways": proofs.ways(me)}).data
        )


class StepUpOptions(APIView):
    needs: ClassVar[Need] = "nothing"
    device_scope = "passkey"

    @extend_schema(
        summary="What my authenticator is asked",
        description="409 `no_passkey` without one.",
        request=None,
        responses=WebauthnOptionsOut,
    )
    def post(self, request: Request) -> Response:
        return Response({"options": passkeys.proof_options(acting=acting(request))}, headers=NOT_KEPT)


class StepUpPasskey(APIView):
    needs: ClassVar[Need] = "nothing"
    device_scope = "passkey"

    @extend_schema(
        summary="Prove it with a passkey",
        description=f"{WRONG} 403 `passkey_copied` when its counter has gone back: I am told on all my devices.",
        request=CredentialIn,
        responses=StepUpProvedOut,
    )
    def post(self, request: Request) -> Response:
        return Response(proved_shape(passkeys.prove(acting=acting(request), credential=credential_of(request))))


class StepUpTotp(APIView):
    needs: ClassVar[Need] = "nothing"

    @extend_schema(
        summary="Prove it with a one-time code",
        description=f"{WRONG} A code is good once. 403 `totp_stopped` after ten wrong ones: prove it in another way.",
        request=OneTimeCodeIn,
        responses=StepUpProvedOut,
        examples=[OpenApiExample("A code", value={"code": "123456"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        return Response(proved_shape(one_time.prove(acting=acting(request), code=one_time_code(request))))


class StepUpRecovery(APIView):
    needs: ClassVar[Need] = "nothing"

    @extend_schema(
        summary="Prove it with a recovery code",
        description=f"{WRONG} A code is good once; my other devices are told.",
        request=RecoveryCodeIn,
        responses=StepUpProvedOut,
        examples=[OpenApiExample("A code", value={"code": "7QK2-M9TX-4HZD"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        asked = RecoveryCodeIn(data=request.data)
        asked.is_valid(raise_exception=True)
        return Response(proved_shape(recovery.prove(acting=acting(request), code=asked.validated_data["code"])))
