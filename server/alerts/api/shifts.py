"""REST for one's own shifts: starting one, saying that one can be reached, and calendars that fetch them."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from server.alerts.access import open_programme
from server.alerts.actions import feeds, shifts
from server.alerts.api.programmes import heard
from server.alerts.api.told import NOT_KEPT
from server.alerts.models import CalendarFeed
from server.common.files import AsItIs, unless_known
from server.common.idempotency import idempotent
from server.common.sql import rfc3339
from server.people.actors import acting

CALENDAR = "text/calendar; charset=utf-8"


class StartedView(serializers.Serializer[Any]):
    """`token` is told this once; keep it behind the phone's own lock. Null where it has been told before: start the
    shift again, under another name."""

    token = serializers.CharField(allow_null=True)
    until = serializers.DateTimeField()


class CheckView(serializers.Serializer[Any]):
    """When a device answered the test, and when the telephone was picked up or confirmed."""

    shift = serializers.UUIDField()
    device_at = serializers.DateTimeField(allow_null=True)
    number_at = serializers.DateTimeField(allow_null=True)


class FeedIn(serializers.Serializer[Any]):
    programme = serializers.UUIDField()
    whole_team = serializers.BooleanField(default=False, help_text="Colleagues' shifts too, with their names.")


class FeedView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    programme = serializers.UUIDField()
    whole_team = serializers.BooleanField()
    made_at = serializers.DateTimeField()


class NewFeedView(FeedView):
    """`url` is told this once: whoever has it reads the shifts. Null where it has been told before."""

    url = serializers.CharField(allow_null=True)


class FeedsView(serializers.Serializer[Any]):
    results = FeedView(many=True)
    next = serializers.CharField(allow_null=True)


class ShiftStart(APIView):
    told_once = ("token",)

    @extend_schema(
        summary="Start my shift",
        description=(
            "From an hour before it until its end: a session that lasts the shift and an hour more, for the "
            "engagement acted for. 409 `not_shift_time`."
        ),
        request=None,
        responses={201: StartedView},
    )
    @idempotent
    def post(self, request: Request, shift_id: UUID) -> Response:
        token, until = shifts.start(acting=acting(request), shift_id=shift_id)
        told = {"token": token, "until": rfc3339(until)}
        return Response(told, status=status.HTTP_201_CREATED, headers=NOT_KEPT)

    def recheck(self, request: Request, shift_id: UUID) -> None:
        shifts.may_start(acting(request), shift_id)


class ShiftConfirm(APIView):
    @extend_schema(
        summary="My telephone works and lies beside me",
        description="409 `not_asked_yet` before somebody has been asked, some hours before the shift.",
        request=None,
        responses=CheckView,
    )
    def post(self, request: Request, shift_id: UUID) -> Response:
        check = shifts.confirm(acting=acting(request), shift_id=shift_id)
        told = {
            "shift": str(check.shift_id),
            "device_at": rfc3339(check.device_at) if check.device_at else None,
            "number_at": rfc3339(check.number_at) if check.number_at else None,
        }
        return Response(told)


class Feeds(APIView):
    """Addresses of mine from which calendars fetch shifts."""

    told_once = ("url",)

    @extend_schema(operation_id="feeds_list", summary="My calendar addresses", responses=FeedsView)
    def get(self, request: Request) -> Response:
        return Response({"results": [_feed(one) for one in feeds.mine(acting(request))], "next": None})

    @extend_schema(
        summary="An address for my calendar",
        description="Of my own shifts, or the whole team's. 409 `too_many_feeds` at twenty.",
        request=FeedIn,
        responses={201: NewFeedView},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        said = heard(FeedIn, request)
        feed, token = feeds.make(acting=acting(request), programme_id=said["programme"], whole_team=said["whole_team"])
        path = reverse("feed-shifts", kwargs={"token": token})
        url = f"{settings.ENV.public_url}{path}" if settings.ENV.public_url else request.build_absolute_uri(path)
        return Response(_feed(feed) | {"url": url}, status=status.HTTP_201_CREATED, headers=NOT_KEPT)

    def recheck(self, request: Request) -> None:
        open_programme(acting(request), heard(FeedIn, request)["programme"], act="calendar_feed.made")


class Feed(APIView):
    @extend_schema(summary="End it", responses={204: None})
    def delete(self, request: Request, feed_id: UUID) -> Response:
        feeds.end(acting=acting(request), feed_id=feed_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


class OwnShifts(APIView):
    content_negotiation_class = AsItIs

    @extend_schema(
        operation_id="own_shifts", summary="My shifts as a calendar", responses={(200, "text/calendar"): str}
    )
    def get(self, request: Request) -> HttpResponseBase:
        body = feeds.own(acting=acting(request)).encode()
        return HttpResponse(body, content_type=CALENDAR, headers=NOT_KEPT)


class FeedShifts(APIView):
    """Open to whoever has the address; rate limits count by it."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    content_negotiation_class = AsItIs

    @extend_schema(
        operation_id="feed_shifts",
        summary="Shifts as a calendar, by a private address",
        description='When, and "Vakt"; of the whole team also who. Nothing of any patient.',
        auth=[],
        responses={(200, "text/calendar"): str},
    )
    @transaction.atomic
    def get(self, request: Request, token: str) -> HttpResponseBase:
        feed, body = feeds.read(token)
        answer = unless_known(request, body.encode(), content_type=CALENDAR, cache="no-store")
        if answer.status_code == status.HTTP_200_OK:
            feeds.record_read(feed)
        return answer


def _feed(feed: CalendarFeed) -> dict[str, Any]:
    return {
        "id": str(feed.id),
        "programme": str(feed.programme_id),
        "whole_team": feed.whole_team,
        "made_at": rfc3339(feed.made_at),
    }
