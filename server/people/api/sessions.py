"""`demo/sign-in`, `me`: who I am, for whom I act, what I may do."""

from typing import Any, ClassVar

from django.conf import settings
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.people import actions
from server.people.actors import Acting, acting, acting_in
from server.people.api import shapes
from server.people.api.cookies import delete_cookies, set_cookies
from server.people.decide import Need, capabilities, within_limits
from server.people.demo import persona
from server.people.models import Engagement, Session
from server.people.names import display_names
from server.people.step_up import is_limited


def me_shape(who: Acting) -> dict[str, Any]:
    """The answer of `GET me`."""
    assert who.session is not None, "REST acts in a session"
    acted_for = who.engagement.id if who.engagement is not None else None
    engagements = Engagement.objects.current(who.at).filter(user_id=who.user.id)
    return dict(
        shapes.MeOut(
            {
                "user": who.user.id,
                "name": display_names([who.user.id]).get(who.user.id, ""),
                "language": who.user.language,
                "kind": who.kind,
                "patient": who.patient.id if who.patient is not None else None,
                "engagements": [
                    shapes.engagement_shape(one, acted_for)
                    for one in engagements.select_related("unit__controller").order_by("valid_from", "id")
                ],
                "appointment": who.officer,
                "capabilities": _offered(who, who.session),
                "session": {
                    "id": who.session.sid,
                    "sign_in": who.session.sign_in,
                    "level": who.session.level,
                    "valid_until": who.session.valid_until,
                    "idle_until": who.session.idle_until,
                    "ends_at": who.session.ends_at or who.session.valid_until,
                    "proved_at": who.session.strong_at,
                },
            }
        ).data
    )


def _offered(who: Acting, session: Session) -> list[str]:
    health = who.engagement is not None and who.engagement.health_personnel
    offered = capabilities(who.kind, health_personnel=health)
    return within_limits(offered, settings.ENV.in_person_may) if is_limited(session) else offered


class DemoSignIn(APIView):
    """Sign in as one of the demo town's personas. Routed in demo mode only."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_scope = "sign-in"

    @extend_schema(
        summary="Sign in as a demo persona",
        request=shapes.SignInIn,
        responses=shapes.SignedInOut,
        auth=[],
        examples=[OpenApiExample("Kari", value={"persona": "kari"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        asked = shapes.SignInIn(data=request.data)
        asked.is_valid(raise_exception=True)
        user = persona(asked.validated_data["persona"])
        session, token = actions.sign_in(user=user, method="demo")
        cookie = asked.validated_data["cookie"]
        response = Response(
            {"token": None if cookie else token, "user": str(user.id)}, headers={"Cache-Control": "no-store"}
        )
        if cookie:
            set_cookies(request, response, session, token)
        return response


class SignOut(APIView):
    """End the session that this request travels in."""

    needs: ClassVar[Need] = "nothing"
    throttle_classes = ()

    @extend_schema(summary="Sign out", request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        who = acting(request)
        assert who.session is not None
        actions.end_session(session=who.session, reason="signed_out", actor=who.actor)
        response = Response(status=status.HTTP_204_NO_CONTENT)
        delete_cookies(response)
        return response


class Me(APIView):
    """Who I am, for whom I act, what I may do."""

    needs: ClassVar[Need] = "nothing"

    @extend_schema(summary="Who I am", responses=shapes.MeOut)
    def get(self, request: Request) -> Response:
        return Response(me_shape(acting(request)))

    @extend_schema(
        summary="Change my language",
        request=shapes.MeIn,
        responses=shapes.MeOut,
        examples=[OpenApiExample("Nynorsk", value={"language": "nn"}, request_only=True)],
    )
    def patch(self, request: Request) -> Response:
        asked = shapes.MeIn(data=request.data)
        asked.is_valid(raise_exception=True)
        who = acting(request)
        if "language" in asked.validated_data:
            actions.set_language(acting=who, language=asked.validated_data["language"])
        return Response(me_shape(who))


class ChooseEngagement(APIView):
    """Act for another of one's own engagements from now on."""

    @extend_schema(
        summary="Choose the engagement to act for", request=shapes.EngagementChoiceIn, responses=shapes.MeOut
    )
    def post(self, request: Request) -> Response:
        asked = shapes.EngagementChoiceIn(data=request.data)
        asked.is_valid(raise_exception=True)
        session = actions.choose_engagement(acting=acting(request), engagement_id=asked.validated_data["engagement"])
        return Response(me_shape(acting_in(session)))
