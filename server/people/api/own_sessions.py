"""`sign-in/refresh`, `me/sessions`: a session's next tokens, and where one is signed in."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.common.errors import Unauthenticated
from server.common.limiting import spend
from server.common.proxies import address_key
from server.people.actions import own_sessions
from server.people.actions.refresh import refresh
from server.people.actors import acting
from server.people.api.cookies import REFRESH_COOKIE, set_cookies
from server.people.api.lasting import UntilOut, until
from server.people.authentication import enforce_csrf
from server.people.decide import Need
from server.people.models import DeviceKind


class RefreshIn(serializers.Serializer[Any]):
    refresh = serializers.CharField(
        max_length=200, required=False, help_text="Absent: the browser's cookie, with the `X-CSRFToken` header."
    )


class RefreshedOut(UntilOut):
    token = serializers.CharField(allow_null=True, help_text="Null where the cookies carry it.")
    refresh = serializers.CharField(allow_null=True)


class OwnSessionOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    this = serializers.BooleanField(help_text="The one that this request travels in.")
    device = serializers.ChoiceField(choices=DeviceKind.choices)
    sign_in = serializers.CharField(help_text="How: `citizen_oidc`, `staff_oidc`, `in_person`, `demo`, …")
    level = serializers.IntegerField(help_text="Level of assurance, 0 to 4.")
    created = serializers.DateTimeField()
    seen = serializers.DateTimeField(help_text="Last used, to within ten minutes.")
    ends_at = serializers.DateTimeField(help_text="It is over by then in any case.")
    devices = serializers.IntegerField(help_text="How many devices get pushes through it.")


class OwnSessionsOut(serializers.Serializer[Any]):
    results = OwnSessionOut(many=True)


class RefreshTokens(APIView):
    """New tokens. Nobody has to be signed in: the token that opens doors may have run out long ago.

    Nothing is counted before the token is known: whoever sends rubbish from a hospital's address signs nobody there
    out. A token that is somebody's counts for its session, one that is nobody's for the address."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()

    @extend_schema(
        summary="Refresh a session",
        description="The tokens before open nothing any more. Asked twice within a short grace, the answer is the "
        "same; a refresh token that comes back later ends the session (`refresh_reused`).",
        request=RefreshIn,
        responses=RefreshedOut,
        auth=[],
        examples=[OpenApiExample("An app", value={"refresh": "5d…"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        asked = RefreshIn(data=request.data)
        asked.is_valid(raise_exception=True)
        token, by_cookie = asked.validated_data.get("refresh"), False
        if token is None:
            token, by_cookie = request.COOKIES.get(REFRESH_COOKIE), True
            if not token:
                raise Unauthenticated
            enforce_csrf(request)
        try:
            done = refresh(token=token)
        except Unauthenticated as refusal:
            if refusal.code == Unauthenticated.code:  # nobody's token: whoever tries others is slowed down, alone
                spend("refresh-unknown", address_key(request.META.get("REMOTE_ADDR", "")))
            raise
        session = done.session
        response = Response(
            RefreshedOut(
                {
                    "token": None if by_cookie else done.token,
                    "refresh": None if by_cookie else done.refresh,
                    **until(session),
                }
            ).data,
            headers={"Cache-Control": "no-store"},
        )
        if by_cookie:
            set_cookies(request, response, session, done.token, done.refresh)
        return response


class OwnSessions(APIView):
    """Where I am signed in. Not counted, nor is ending a session: whoever holds one of mine cannot keep me from ending
    it by asking without end."""

    needs: ClassVar[dict[str, Need]] = {"GET": "nothing", "DELETE": "proof"}
    throttle_classes = ()

    @extend_schema(summary="Where I am signed in", responses=OwnSessionsOut)
    def get(self, request: Request) -> Response:
        return Response(OwnSessionsOut({"results": own_sessions.mine(acting(request))}).data)

    @extend_schema(
        operation_id="me_sessions_others_destroy",
        summary="Sign out everywhere else",
        request=None,
        responses={204: None},
    )
    def delete(self, request: Request) -> Response:
        own_sessions.sign_out_others(acting=acting(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class OwnSession(APIView):
    """One place where I am signed in."""

    needs: ClassVar[Need] = "proof"
    throttle_classes = ()

    @extend_schema(
        summary="Sign out there",
        description="Its sockets close within a second, and its devices get nothing more. Alert keys still call.",
        request=None,
        responses={204: None},
    )
    def delete(self, request: Request, sid: UUID) -> Response:
        own_sessions.sign_out_there(acting=acting(request), sid=sid)
        return Response(status=status.HTTP_204_NO_CONTENT)


class PatientSessions(APIView):
    """A patient's sessions, for staff."""

    @extend_schema(
        summary="Sign a patient out everywhere",
        description="For a phone that is lost or in the wrong hands, when the patient asks. For staff whose unit has a "
        "relation to the patient. The patient signs in anew; alert keys still call for help.",
        request=None,
        responses={204: None},
    )
    def delete(self, request: Request, patient_id: UUID) -> Response:
        own_sessions.sign_out_patient(acting=acting(request), patient_id=patient_id)
        return Response(status=status.HTTP_204_NO_CONTENT)
