"""`alerts`: calling for help, and answering (M3). Every answer carries the numbers that always answer."""

from typing import Any, ClassVar
from uuid import UUID

import structlog
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.negotiation import BaseContentNegotiation, DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from server.alerts import doors, router, shown
from server.alerts.actions import alerts as actions
from server.alerts.api import call_shapes
from server.alerts.authentication import AlertKeyAuthentication
from server.alerts.models import Alert, AlertKey
from server.alerts.numbers import numbers_of
from server.common.clock import now
from server.common.idempotency import idempotent
from server.people.actors import Acting, acting
from server.people.authentication import SessionTokenAuthentication
from server.people.decide import Need
from server.vault.errors import VaultError

log = structlog.get_logger(__name__)

NO_STORE = {"Cache-Control": "no-store"}
PAGE = 100


class AsItIs(BaseContentNegotiation):
    """JSON, whatever is asked for: nobody is refused for a header."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        return DefaultContentNegotiation().select_parser(request, parsers)

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class AlertView(APIView):
    """No throttle: a call for help is never held back. Numbers stand in refusals too."""

    needs: ClassVar[Need] = "nothing"

    for_help = True
    throttle_classes: tuple[type[BaseThrottle], ...] = ()
    content_negotiation_class = AsItIs

    def handle_exception(self, exc: Exception) -> Response:
        answer = super().handle_exception(exc)
        if isinstance(answer.data, dict):
            answer.data.setdefault("numbers", numbers_of(None))
        return answer

    def recheck(self, request: Request, alert_id: UUID, **_: Any) -> dict[str, Any]:
        """A retry is told how it stands now, to whoever may still see it (law 3); a look, recorded."""
        opened = self.seen(request, alert_id)
        doors.record_look([opened])
        return shown.shown(opened, now())

    def seen(self, request: Request, alert_id: UUID, act: str = "alert.viewed") -> doors.Opened:
        return doors.open_alert(who(request), alert_id, act=act)

    def answer(self, request: Request, alert: Alert, status: int = 200) -> Response:
        """The alert as this person sees it after their deed."""
        return Response(shown.shown(self.seen(request, alert.id), now()), status=status, headers=NO_STORE)


class OwnAlertView(AlertView):
    """Open to the alert key too."""

    authentication_classes = (AlertKeyAuthentication, SessionTokenAuthentication)


def heard(request: Request, asker: Acting | AlertKey) -> tuple[UUID | None, str]:
    """For whom, and what was written. A call for help is not refused for its form: what cannot be read is left out, and
    what is too long is cut. Whom staff call for must be readable: Invalid."""
    try:
        body = request.data
    except (ParseError, UnsupportedMediaType):
        body = {}
    said = body if isinstance(body, dict) else {}
    note = said.get("note")
    if said.get("patient") is None:
        return None, _fitting(note)
    asked = call_shapes.PressIn(data={"patient": said["patient"]})
    own = isinstance(asker, AlertKey) or asker.patient is not None
    if asked.is_valid(raise_exception=not own):
        return asked.validated_data["patient"], _fitting(note)
    return None, _fitting(note)


def _fitting(note: object) -> str:
    return note.strip()[: call_shapes.LONGEST_NOTE] if isinstance(note, str) else ""


def who(request: Request) -> Acting | AlertKey:
    return request.auth if isinstance(request.auth, AlertKey) else acting(request)


class Alerts(OwnAlertView):
    """Open calls for help: the patient's own, or the team's."""

    @extend_schema(operation_id="alerts_list", summary="Open calls for help", responses=call_shapes.AlertsOut)
    def get(self, request: Request) -> Response:
        asker = who(request)
        at = now()
        found = doors.open_alerts(asker)
        doors.record_look(found)
        told = [shown.shown(one, at) for one in found]
        return Response({"results": told, "next": None, "numbers": numbers_of(None)}, headers=NO_STORE)


class AlertDetail(OwnAlertView):
    """Call for help, and follow it."""

    @extend_schema(
        summary="Call for help",
        description="Repeat it with the same UUID until it is answered: it is one call. 201 when it was raised, 200 "
        "when it was known. While another call is open, the answer carries that one's `id`. Session or `Alert-Key`.",
        request=call_shapes.PressIn,
        responses={201: call_shapes.AlertOut, 200: call_shapes.AlertOut},
        examples=[OpenApiExample("With words", value={"note": "Orker ikke mer"}, request_only=True)],
    )
    def put(self, request: Request, alert_id: UUID) -> Response:
        asker = who(request)
        patient, note = heard(request, asker)
        pressed = actions.press(presser=actions.presser_of(asker, patient), alert_id=alert_id, note=note)
        if pressed.known:
            doors.record_look([self.seen(request, alert_id)])
        router.soon(pressed.alert.id)
        return self.answer(request, pressed.alert, 201 if pressed.created else 200)

    @extend_schema(summary="Follow a call for help", responses=call_shapes.AlertOut)
    def get(self, request: Request, alert_id: UUID) -> Response:
        opened = self.seen(request, alert_id)
        doors.record_look([opened])
        return Response(shown.shown(opened, now()), headers=NO_STORE)


class Cancel(OwnAlertView):
    @extend_schema(
        summary="It was an accident",
        description="Staff speak with the patient all the same. From the patient's own phone or session only.",
        request=None,
        responses=call_shapes.AlertOut,
    )
    @idempotent
    def post(self, request: Request, alert_id: UUID) -> Response:
        alert = actions.cancel(who=who(request), alert_id=alert_id)
        router.soon(alert.id)
        return self.answer(request, alert)


class Accept(AlertView):
    @extend_schema(
        summary="Take it, or take over what is offered",
        description="One wins; the others get 409 `already_accepted` with `accepted_by`.",
        request=call_shapes.AcceptIn,
        responses=call_shapes.AcceptedOut,
    )
    def post(self, request: Request, alert_id: UUID) -> Response:
        asked = call_shapes.AcceptIn(data=request.data)
        asked.is_valid(raise_exception=True)
        generation = asked.validated_data.get("generation")
        alert = actions.accept(acting=acting(request), alert_id=alert_id, generation=generation)
        opened = self.seen(request, alert.id)
        try:
            screen = shown.first_screen(acting(request), opened)
        except VaultError:  # what cannot be opened must not undo that somebody has it
            log.critical("first_screen_unreadable", alert=str(alert.id))
            screen = None
        return Response(shown.shown(opened, now()) | {"first_screen": screen}, headers=NO_STORE)


class FirstScreen(AlertView):
    @extend_schema(summary="Who it is, and the plan; for the responder", responses=call_shapes.FirstScreenOut)
    def get(self, request: Request, alert_id: UUID) -> Response:
        opened = self.seen(request, alert_id, "alert.first_screen")
        return Response(shown.first_screen(acting(request), opened), headers=NO_STORE)


class Calling(AlertView):
    @extend_schema(summary="I am calling now", request=None, responses=call_shapes.AlertOut)
    @idempotent
    def post(self, request: Request, alert_id: UUID) -> Response:
        return self.answer(request, actions.calling(acting=acting(request), alert_id=alert_id))


class InContact(AlertView):
    @extend_schema(summary="We have spoken", request=call_shapes.InContactIn, responses=call_shapes.AlertOut)
    @idempotent
    def post(self, request: Request, alert_id: UUID) -> Response:
        asked = call_shapes.InContactIn(data=request.data)
        asked.is_valid(raise_exception=True)
        alone = asked.validated_data["alone"]
        return self.answer(request, actions.in_contact(acting=acting(request), alert_id=alert_id, alone=alone))


class NotReached(AlertView):
    @extend_schema(
        summary="No answer",
        description="It never ends by itself: calling the plan's contacts, then 113, are the next tasks.",
        request=None,
        responses=call_shapes.AlertOut,
    )
    @idempotent
    def post(self, request: Request, alert_id: UUID) -> Response:
        return self.answer(request, actions.not_reached(acting=acting(request), alert_id=alert_id))


class TaskDone(AlertView):
    @extend_schema(summary="A task is done", request=None, responses=call_shapes.AlertOut)
    @idempotent
    def post(self, request: Request, alert_id: UUID, kind: str) -> Response:
        return self.answer(request, actions.task_done(acting=acting(request), alert_id=alert_id, kind=kind))


class HandOver(AlertView):
    @extend_schema(
        summary="Offer it to somebody else",
        description="The giver stays responsible until the receiver has accepted (`accept`).",
        request=call_shapes.AlertHandOverIn,
        responses=call_shapes.AlertOut,
    )
    @idempotent
    def post(self, request: Request, alert_id: UUID) -> Response:
        asked = call_shapes.AlertHandOverIn(data=request.data)
        asked.is_valid(raise_exception=True)
        to = asked.validated_data.get("to")
        return self.answer(request, actions.hand_over(acting=acting(request), alert_id=alert_id, to=to))


class Close(AlertView):
    @extend_schema(summary="Close it", request=call_shapes.AlertCloseIn, responses=call_shapes.AlertOut)
    @idempotent
    def post(self, request: Request, alert_id: UUID) -> Response:
        asked = call_shapes.AlertCloseIn(data=request.data)
        asked.is_valid(raise_exception=True)
        said = asked.validated_data
        alert = actions.close(
            acting=acting(request),
            alert_id=alert_id,
            outcome=said["outcome"],
            children=said["children"],
            done=said.get("done", ""),
        )
        return self.answer(request, alert)


class Notes(AlertView):
    @extend_schema(summary="Write a note on it", request=call_shapes.AlertNoteIn, responses={201: call_shapes.AlertOut})
    @idempotent
    def post(self, request: Request, alert_id: UUID) -> Response:
        asked = call_shapes.AlertNoteIn(data=request.data)
        asked.is_valid(raise_exception=True)
        alert = actions.add_note(acting=acting(request), alert_id=alert_id, text=asked.validated_data["text"])
        return self.answer(request, alert, 201)


class Timeline(AlertView):
    """Every page, receipt, decision and error, in order."""

    @extend_schema(
        summary="Everything that has happened",
        parameters=[OpenApiParameter("after", int, description="Number of the last event that is known.")],
        responses=call_shapes.AlertTimelineOut,
    )
    def get(self, request: Request, alert_id: UUID) -> Response:
        opened = self.seen(request, alert_id, "alert.timeline_viewed")
        asked = AfterIn(data=request.query_params)
        asked.is_valid(raise_exception=True)
        doors.require_team(opened, "alert.timeline_viewed")
        rows = shown.timeline(acting(request), opened, asked.validated_data["after"], PAGE)
        more = f"{request.build_absolute_uri(request.path)}?after={rows[-1]['n']}" if len(rows) == PAGE else None
        return Response({"results": rows, "next": more}, headers=NO_STORE)


class AfterIn(serializers.Serializer[Any]):
    after = serializers.IntegerField(default=0, min_value=0, max_value=2**31 - 1)
