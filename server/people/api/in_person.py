"""In-person sign-in: staff make a code for a patient's phone, and the phone sends it."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.common.idempotency import idempotent
from server.people import codes
from server.people.actions import in_person
from server.people.actors import acting
from server.people.api.cookies import set_cookies
from server.people.api.lasting import UntilOut, until
from server.people.decide import device_of
from server.people.models import InPersonCode
from server.people.names import display_names

NOT_KEPT = {"Cache-Control": "no-store"}
HOW = ("identity_card", "passport", "driving_licence", "known_in_person")
STATES = ("open", "waits", "used", "expired", "taken_back", "replaced")


class SignInCodeIn(serializers.Serializer[Any]):
    how = serializers.ChoiceField(choices=HOW, help_text="How you made sure who the patient is.")


class SignInCodeOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=STATES, help_text="`waits`: a colleague has to confirm it first.")
    how = serializers.CharField()
    made_by = serializers.UUIDField()
    made_by_name = serializers.CharField()
    confirmed_by = serializers.UUIDField(allow_null=True)
    made_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    used_at = serializers.DateTimeField(allow_null=True)
    replaced_by = serializers.UUIDField(allow_null=True, help_text="Who made a newer one before this was used.")
    replaced_by_name = serializers.CharField(allow_null=True)
    replaced_at = serializers.DateTimeField(allow_null=True)
    session = serializers.UUIDField(allow_null=True, help_text="The session that it began.")
    device = serializers.CharField(allow_null=True, help_text="The kind of phone that was let in.")


class NewSignInCodeOut(SignInCodeOut):
    code = serializers.CharField(allow_null=True, help_text="To be typed; told this once, and null afterwards.")
    qr = serializers.CharField(allow_null=True, help_text="The same for the app's camera: an SVG picture.")


class SignInCodesOut(serializers.Serializer[Any]):
    results = SignInCodeOut(many=True)


class InPersonIn(serializers.Serializer[Any]):
    code = serializers.CharField(max_length=40, help_text="As it was typed or scanned; case and dashes do not matter.")
    secret = serializers.RegexField(
        r"^[A-Za-z0-9._~-]{43,128}\Z",
        required=False,
        allow_null=True,
        default=None,
        help_text="Drawn by lot by this phone, at least 256 bits; kept until the answer has come. When it is lost, the "
        "same code and secret are answered the same for as long as a code is good, until the tokens are used.",
    )
    cookie = serializers.BooleanField(default=False, help_text="Set HttpOnly cookies; the tokens are then null.")


class InPersonOut(UntilOut):
    token = serializers.CharField(allow_null=True)
    refresh = serializers.CharField(allow_null=True, help_text="Good once; it gives the next pair.")
    user = serializers.UUIDField()


def code_shape(rows: list[InPersonCode]) -> list[dict[str, Any]]:
    newer = {row.id: row.replaced_by for row in rows if row.replaced_by is not None}
    names = display_names({row.made_by.user_id for row in [*rows, *newer.values()]})
    return [
        {
            "id": row.id,
            "state": in_person.state_of(row),
            "how": row.how,
            "made_by": row.made_by.user_id,
            "made_by_name": names.get(row.made_by.user_id, ""),
            "confirmed_by": row.seconded_by.user_id if row.seconded_by is not None else None,
            "made_at": row.made_at,
            "expires_at": row.expires_at,
            "used_at": row.used_at,
            "replaced_by": newer[row.id].made_by.user_id if row.id in newer else None,
            "replaced_by_name": names.get(newer[row.id].made_by.user_id, "") if row.id in newer else None,
            "replaced_at": newer[row.id].made_at if row.id in newer else None,
            "session": row.session_id,
            "device": row.session.device if row.session is not None else None,
        }
        for row in rows
    ]


class SignInCodes(APIView):
    """Codes that let a patient's phone in, for staff whose unit has a relation to the patient."""

    told_once = ("code", "qr")

    @extend_schema(
        operation_id="patient_sign_in_codes_list",
        summary="A patient's sign-in codes",
        description="The newest twenty, and which of them were used.",
        responses=SignInCodesOut,
    )
    def get(self, request: Request, patient_id: UUID) -> Response:
        rows = in_person.made_for(acting=acting(request), patient_id=patient_id)
        return Response(SignInCodesOut({"results": code_shape(rows)}).data)

    @extend_schema(
        operation_id="patient_sign_in_codes_make",
        summary="Let a patient's phone in",
        description="When you have checked, face to face, who the patient is. The code is good once and for minutes; a "
        "new one ends those before. Where the patient has signed in before, a colleague has to confirm it. The "
        "patient's other devices are told, and whoever leads your unit. Needs a fresh proof (403 "
        "`step_up_needed`). 409 `not_your_own` for yourself.",
        request=SignInCodeIn,
        responses={201: NewSignInCodeOut},
        examples=[OpenApiExample("A passport", value={"how": "passport"}, request_only=True)],
    )
    @idempotent
    def post(self, request: Request, patient_id: UUID) -> Response:
        asked = SignInCodeIn(data=request.data)
        asked.is_valid(raise_exception=True)
        made = in_person.make(acting=acting(request), patient_id=patient_id, how=asked.validated_data["how"])
        shown = {**code_shape([made.row])[0], "code": made.code, "qr": codes.picture(made.code)}
        return Response(NewSignInCodeOut(shown).data, status=status.HTTP_201_CREATED, headers=NOT_KEPT)

    def recheck(self, request: Request, patient_id: UUID) -> None:
        in_person.made_for(acting=acting(request), patient_id=patient_id)


class SignInCode(APIView):
    """One of them."""

    @extend_schema(
        summary="Take a sign-in code back",
        description="It lets nobody in any more. One that is used stays used: sign the patient out instead.",
        request=None,
        responses={204: None},
    )
    def delete(self, request: Request, patient_id: UUID, code_id: UUID) -> Response:
        in_person.take_back(acting=acting(request), patient_id=patient_id, code_id=code_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


class SignInCodeConfirm(APIView):
    """A second person's word."""

    @extend_schema(
        summary="Confirm a colleague's sign-in code",
        description="When you know that the patient is there and wants a phone let in. Needs a fresh proof. 409 "
        "`not_your_own` for whoever made it, `code_over` when it is used, taken back or old.",
        request=None,
        responses=SignInCodeOut,
    )
    def post(self, request: Request, patient_id: UUID, code_id: UUID) -> Response:
        row = in_person.confirm(acting=acting(request), patient_id=patient_id, code_id=code_id)
        return Response(SignInCodeOut(code_shape([row])[0]).data)


class InPersonSignIn(APIView):
    """The patient's phone sends the code."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_scope = "sign-in"

    @extend_schema(
        summary="Sign in with a code from staff",
        description="401 `code_unusable`, the same for used, old, taken back and never made; 409 `colleague_needed` "
        "until a second person has confirmed it. No answer? Send the same again, with the same `secret`.",
        request=InPersonIn,
        responses=InPersonOut,
        auth=[],
        examples=[OpenApiExample("As typed", value={"code": "7QK2-M9TX-4HZD"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        asked = InPersonIn(data=request.data)
        asked.is_valid(raise_exception=True)
        meta = request.META
        device = device_of(meta.get("HTTP_USER_AGENT", ""), meta.get("HTTP_SEC_CH_UA_PLATFORM", ""))
        said = asked.validated_data
        done = in_person.sign_in(code=said["code"], device=device, secret=said["secret"] or "")
        session, cookie = done.session, said["cookie"]
        response = Response(
            InPersonOut(
                {
                    "token": None if cookie else done.token,
                    "refresh": None if cookie else done.refresh,
                    "user": session.user_id,
                    **until(session),
                }
            ).data,
            headers=NOT_KEPT,
        )
        if cookie:
            set_cookies(request, response, session, done.token, done.refresh)
        return response
