"""`me/passkeys`, `me/totp`, `me/recovery-codes`: what I can prove who I am with."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.common.idempotency import idempotent
from server.common.schema import IDEMPOTENCY_KEY
from server.people import codes
from server.people.actions import one_time, passkeys, recovery
from server.people.actors import acting
from server.people.decide import Need, device_of
from server.people.models import DeviceKind, Passkey

NOT_KEPT = {"Cache-Control": "no-store"}
FRESH = "Needs a fresh proof (403 `step_up_needed`). My other devices are told."


class PasskeyOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    device = serializers.ChoiceField(choices=DeviceKind.choices, help_text="Where it was made.")
    backed_up = serializers.BooleanField(help_text="Synchronised to other devices of mine.")
    made_at = serializers.DateTimeField()
    used_at = serializers.DateTimeField(allow_null=True)


class PasskeysOut(serializers.Serializer[Any]):
    results = PasskeyOut(many=True)


class CredentialIn(serializers.Serializer[Any]):
    """What the browser or the telephone answered, as `PublicKeyCredential.toJSON()` has it."""

    credential = serializers.DictField(help_text="As WebAuthn's `PublicKeyCredential.toJSON()` says it.")


class WebauthnOptionsOut(serializers.Serializer[Any]):
    options = serializers.DictField(
        help_text="For `parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON`; the challenge is good once, in "
        "this session, for five minutes."
    )


class TotpOut(serializers.Serializer[Any]):
    set = serializers.BooleanField()
    confirmed_at = serializers.DateTimeField(allow_null=True)


class TotpNewOut(serializers.Serializer[Any]):
    """Told this once; null where it has been told before."""

    secret = serializers.CharField(allow_null=True, help_text="To be typed into an app.")
    uri = serializers.CharField(allow_null=True, help_text="The same as `otpauth://`.")
    qr = serializers.CharField(allow_null=True, help_text="The same for a camera: an SVG picture.")


class OneTimeCodeIn(serializers.Serializer[Any]):
    code = serializers.RegexField(r"^[0-9]{6}\Z", help_text="Six figures.")


class RecoveryCodesOut(serializers.Serializer[Any]):
    left = serializers.IntegerField(help_text="How many are still good.")


class RecoveryCodesNewOut(serializers.Serializer[Any]):
    codes = serializers.ListField(
        child=serializers.CharField(),
        allow_null=True,
        help_text="Each is good once. Told this once, and null afterwards.",
    )


def passkey_shape(one: Passkey) -> dict[str, Any]:
    shown: dict[str, Any] = PasskeyOut(one).data
    return shown


def credential_of(request: Request) -> dict[str, Any]:
    asked = CredentialIn(data=request.data)
    asked.is_valid(raise_exception=True)
    said: dict[str, Any] = asked.validated_data["credential"]
    return said


def one_time_code(request: Request) -> str:
    asked = OneTimeCodeIn(data=request.data)
    asked.is_valid(raise_exception=True)
    said: str = asked.validated_data["code"]
    return said


class Passkeys(APIView):
    """My passkeys."""

    needs: ClassVar[Need] = "nothing"

    @extend_schema(operation_id="own_passkeys_list", summary="My passkeys", responses=PasskeysOut)
    def get(self, request: Request) -> Response:
        return Response(PasskeysOut({"results": passkeys.own(acting(request).user.id)}).data)

    @extend_schema(
        operation_id="own_passkeys_register",
        summary="Keep a new passkey",
        description=f"With what the authenticator answered. {FRESH} 400 `passkey_unusable`, 409 `passkey_known`.",
        parameters=[IDEMPOTENCY_KEY],
        request=CredentialIn,
        responses={201: PasskeyOut},
    )
    def post(self, request: Request) -> Response:
        challenge = passkeys.spend_challenge(acting=acting(request), credential=credential_of(request))
        return self.register(request, challenge)  # whose transaction may be rolled back: the challenge stays spent

    @idempotent
    def register(self, request: Request, challenge: bytes | None) -> Response:
        meta = request.META
        device = device_of(meta.get("HTTP_USER_AGENT", ""), meta.get("HTTP_SEC_CH_UA_PLATFORM", ""))
        made = passkeys.register(
            acting=acting(request), credential=credential_of(request), challenge=challenge, device=device
        )
        return Response(passkey_shape(made), status=status.HTTP_201_CREATED)


class PasskeyOptions(APIView):
    needs: ClassVar[Need] = "nothing"

    @extend_schema(
        summary="What a new authenticator is asked",
        description="Needs a fresh proof (403 `step_up_needed`). 409 `too_many_passkeys` at ten.",
        request=None,
        responses=WebauthnOptionsOut,
    )
    def post(self, request: Request) -> Response:
        return Response({"options": passkeys.registration_options(acting=acting(request))}, headers=NOT_KEPT)


class OnePasskey(APIView):
    needs: ClassVar[Need] = "nothing"

    @extend_schema(summary="Take a passkey away", description=FRESH, request=None, responses={204: None})
    def delete(self, request: Request, passkey_id: UUID) -> Response:
        passkeys.remove(acting=acting(request), passkey_id=passkey_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Totp(APIView):
    """One-time codes from an app."""

    told_once = ("secret", "uri", "qr")
    needs: ClassVar[Need] = "nothing"

    @extend_schema(operation_id="own_totp", summary="Have I one-time codes?", responses=TotpOut)
    def get(self, request: Request) -> Response:
        row = one_time.in_use(acting(request).user.id)
        return Response(
            TotpOut({"set": row is not None, "confirmed_at": row.confirmed_at if row is not None else None}).data
        )

    @extend_schema(
        operation_id="own_totp_begin",
        summary="Begin with one-time codes",
        description="Needs a fresh proof (403 `step_up_needed`). It proves nothing until the first right code came "
        "back, within a quarter of an hour.",
        request=None,
        responses={201: TotpNewOut},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        begun = one_time.begin(acting=acting(request))
        shown = {"secret": begun.secret, "uri": begun.uri, "qr": codes.picture(begun.uri)}
        return Response(TotpNewOut(shown).data, status=status.HTTP_201_CREATED, headers=NOT_KEPT)

    @extend_schema(
        operation_id="own_totp_remove", summary="No more one-time codes", description=FRESH, responses={204: None}
    )
    def delete(self, request: Request) -> Response:
        one_time.remove(acting=acting(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class TotpConfirm(APIView):
    needs: ClassVar[Need] = "nothing"

    @extend_schema(
        summary="The first one-time code",
        description="409 `nothing_to_confirm`, 403 `proof_wrong`. My other devices are told.",
        request=OneTimeCodeIn,
        responses=TotpOut,
        examples=[OpenApiExample("A code", value={"code": "123456"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        row = one_time.confirm(acting=acting(request), code=one_time_code(request))
        return Response(TotpOut({"set": True, "confirmed_at": row.confirmed_at}).data)


class RecoveryCodes(APIView):
    """For when I have lost the rest."""

    told_once = ("codes",)
    needs: ClassVar[Need] = "nothing"

    @extend_schema(
        operation_id="own_recovery_codes", summary="How many recovery codes I have", responses=RecoveryCodesOut
    )
    def get(self, request: Request) -> Response:
        return Response({"left": recovery.left(acting(request).user.id).count()})

    @extend_schema(
        operation_id="own_recovery_codes_make",
        summary="New recovery codes",
        description=f"Ten; those before are good no more. {FRESH}",
        request=None,
        responses={201: RecoveryCodesNewOut},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        made = recovery.make(acting=acting(request))
        return Response({"codes": made}, status=status.HTTP_201_CREATED, headers=NOT_KEPT)
