"""REST for programmes, their teams and their policies: parse, call, answer."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.alerts.access import open_programme_as_keeper, open_programme_as_leader, require_administrator
from server.alerts.actions import policies, programmes, team
from server.alerts.api import shapes, told
from server.common.idempotency import idempotent
from server.people.actors import acting


class ProgrammesView(serializers.Serializer[Any]):
    results = shapes.ProgrammeView(many=True)
    next = serializers.CharField(allow_null=True)


class TeamView(serializers.Serializer[Any]):
    results = shapes.TeamMemberView(many=True)
    next = serializers.CharField(allow_null=True)


class PoliciesView(serializers.Serializer[Any]):
    results = shapes.PolicyView(many=True)
    next = serializers.CharField(allow_null=True)


class AnySteps(serializers.Serializer[Any]):
    """Judged as a whole by the verb, which names the step that is wrong."""

    steps = serializers.JSONField()


class Programmes(APIView):
    """Programmes of whose team I am; to administrators all. Each answer is a look, and recorded."""

    @extend_schema(operation_id="programmes_list", summary="My programmes", responses=ProgrammesView)
    def get(self, request: Request) -> Response:
        found = programmes.list_mine(acting=acting(request))
        return Response({"results": [told.programme_view(one) for one in found], "next": None})

    @extend_schema(
        summary="Set up a programme",
        description="Administrators only. It takes no call before whoever leads it opens it.",
        request=shapes.ProgrammeIn,
        responses={201: shapes.ProgrammeView},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        said = heard(shapes.ProgrammeIn, request)
        unit = said.pop("unit")
        me = acting(request)
        programme = programmes.make(acting=me, unit_id=unit, **said)
        shown = programmes.view(acting=me, programme_id=programme.id)
        return Response(told.programme_view(shown), status=status.HTTP_201_CREATED)

    def recheck(self, request: Request) -> None:
        require_administrator(acting(request), act="programme.made")


class OneProgramme(APIView):
    @extend_schema(summary="A programme, and what it lacks before it can open", responses=shapes.ProgrammeView)
    def get(self, request: Request, programme_id: UUID) -> Response:
        shown = programmes.view(acting=acting(request), programme_id=programme_id)
        return Response(told.programme_view(shown))

    @extend_schema(
        summary="Change its name, numbers, final target, criterion or hours",
        request=shapes.ProgrammeChange,
        responses=shapes.ProgrammeView,
        examples=[
            OpenApiExample(
                "Numbers", value={"on_call_number": "+4799000001", "final_number": "+4799000002"}, request_only=True
            )
        ],
    )
    def patch(self, request: Request, programme_id: UUID) -> Response:
        said = heard(shapes.ProgrammeChange, request)
        return Response(
            told.programme_view(programmes.change(acting=acting(request), programme_id=programme_id, to=said))
        )


class ProgrammeOpen(APIView):
    @extend_schema(
        summary="Let it take calls for help",
        description=(
            "409 `not_ready` with `missing`, the codes of what it lacks: without an on-call number and a final target, "
            "a telephone staffed round the clock under a written agreement, no programme opens."
        ),
        request=None,
        responses=shapes.ProgrammeView,
    )
    def post(self, request: Request, programme_id: UUID) -> Response:
        shown = programmes.open_up(acting=acting(request), programme_id=programme_id)
        return Response(told.programme_view(shown))


class ProgrammeClose(APIView):
    @extend_schema(
        summary="Take no more calls",
        description="409 `alerts_open`; `patients_enrolled` when no other open programme would take their calls.",
        request=None,
        responses=shapes.ProgrammeView,
    )
    def post(self, request: Request, programme_id: UUID) -> Response:
        shown = programmes.close(acting=acting(request), programme_id=programme_id)
        return Response(told.programme_view(shown))


class Team(APIView):
    @extend_schema(summary="Who is in the team", responses=TeamView)
    def get(self, request: Request, programme_id: UUID) -> Response:
        found = team.view(acting=acting(request), programme_id=programme_id)
        return Response({"results": [told.member_view(one) for one in found], "next": None})

    @extend_schema(
        summary="Take somebody into the team",
        description="Who leads it does. While nobody does, an administrator appoints a leader.",
        request=shapes.MemberIn,
        responses={201: shapes.TeamMemberView},
    )
    @idempotent
    def post(self, request: Request, programme_id: UUID) -> Response:
        said = heard(shapes.MemberIn, request)
        user = said.pop("user")
        member = team.add(acting=acting(request), programme_id=programme_id, user_id=user, **said)
        return Response(told.member_view(member), status=status.HTTP_201_CREATED)

    def recheck(self, request: Request, programme_id: UUID) -> None:
        open_programme_as_keeper(acting(request), programme_id, act="team_member.added")


class TeamMember(APIView):
    @extend_schema(
        summary="Who leads, and who answers by day", request=shapes.MemberChange, responses=shapes.TeamMemberView
    )
    def patch(self, request: Request, programme_id: UUID, member_id: UUID) -> Response:
        said = heard(shapes.MemberChange, request)
        member = team.change(acting=acting(request), programme_id=programme_id, member_id=member_id, **said)
        return Response(told.member_view(member))

    @extend_schema(
        summary="Take somebody out of the team",
        description="409 `not_ready` when an open programme would be left without a leader or a day contact.",
        responses={204: None},
    )
    def delete(self, request: Request, programme_id: UUID, member_id: UUID) -> Response:
        team.end(acting=acting(request), programme_id=programme_id, member_id=member_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Policies(APIView):
    @extend_schema(summary="Every version of who is called in which order, newest first", responses=PoliciesView)
    def get(self, request: Request, programme_id: UUID) -> Response:
        found = policies.view(acting=acting(request), programme_id=programme_id)
        return Response({"results": [told.policy_view(one) for one in found], "next": None})

    @extend_schema(
        summary="The next version",
        description="Calls that are open keep theirs. `errors` names the step, counted from 0.",
        request=shapes.PolicyIn,
        responses={201: shapes.PolicyView},
    )
    @idempotent
    def post(self, request: Request, programme_id: UUID) -> Response:
        steps = heard(AnySteps, request)["steps"]
        row = policies.make(acting=acting(request), programme_id=programme_id, steps=steps)
        return Response(told.policy_view(row), status=status.HTTP_201_CREATED)

    def recheck(self, request: Request, programme_id: UUID) -> None:
        open_programme_as_leader(acting(request), programme_id, act="policy.made")


def heard(shape: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """What the body says. Raises ValidationError."""
    serializer = shape(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)
