"""`alerts`: calling for help, and answering (M3). Every answer carries the numbers that always answer."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from server.alerts import deeds, doors, router, shown
from server.alerts.actions import alerts as actions
from server.alerts.authentication import AlertKeyAuthentication
from server.alerts.models import Alert, AlertKey
from server.alerts.models.alerts import State
from server.alerts.numbers import numbers_of
from server.common.clock import now
from server.common.idempotency import idempotent
from server.people.actors import Acting, acting
from server.people.authentication import SessionTokenAuthentication

STATES = State.choices
NO_STORE = {"Cache-Control": "no-store"}
PAGE = 100
LONGEST_NOTE = 1000


class PressIn(serializers.Serializer[Any]):
    patient = serializers.UUIDField(required=False, allow_null=True, help_text="Staff: for whom. Left out by patients.")
    note = serializers.CharField(required=False, allow_blank=True, max_length=LONGEST_NOTE, help_text="Longer is cut.")


class NumberOut(serializers.Serializer[Any]):
    code = serializers.CharField()
    number = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment] # the field's name in JSON


class AlertLineOut(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="`registered`, `device_received`, `answered`, `nobody_yet`, …")
    at = serializers.DateTimeField()
    text = serializers.CharField()


class AlertPersonOut(serializers.Serializer[Any]):
    user = serializers.UUIDField()
    name = serializers.CharField()
    number = serializers.CharField(help_text="The duty telephone that the call comes from.")


class AlertPatientOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()


class AlertTaskOut(serializers.Serializer[Any]):
    kind = serializers.CharField()
    owner = serializers.UUIDField()
    due_at = serializers.DateTimeField()


class AlertTeamOut(serializers.Serializer[Any]):
    programme = serializers.UUIDField()
    patient = AlertPatientOut(allow_null=True)
    vars()["from"] = serializers.CharField(help_text="`patients_phone`: from the phone; who holds it is not known.")
    duty = serializers.CharField(allow_blank=True)
    due_at = serializers.DateTimeField(allow_null=True)
    step = serializers.IntegerField()
    cancelled_at = serializers.DateTimeField(allow_null=True)
    accepted_at = serializers.DateTimeField(allow_null=True)
    calling_at = serializers.DateTimeField(allow_null=True)
    contact_at = serializers.DateTimeField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)
    offered_to = AlertPersonOut(allow_null=True)
    offered = serializers.BooleanField()
    outcome = serializers.CharField(allow_blank=True)
    tasks = AlertTaskOut(many=True)


class FirstScreenPlanOut(serializers.Serializer[Any]):
    danger = serializers.CharField()
    helps = serializers.CharField()
    bring_in = serializers.CharField()
    rest = serializers.CharField(allow_blank=True)
    contacts = serializers.ListField(child=serializers.DictField(child=serializers.CharField(allow_blank=True)))


class FirstScreenOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    call_number = serializers.CharField(allow_blank=True)
    may_call = serializers.BooleanField()
    may_text = serializers.BooleanField()
    may_leave_message = serializers.BooleanField()
    others_may_answer = serializers.CharField(allow_blank=True)
    language = serializers.CharField()
    wrote = serializers.ListField(child=serializers.CharField())
    plan = FirstScreenPlanOut(allow_null=True)
    plan_shared = serializers.BooleanField()
    guidance = serializers.ListField(child=serializers.CharField())
    call_from = serializers.CharField(allow_blank=True)
    numbers = NumberOut(many=True)


class AlertOut(serializers.Serializer[Any]):
    id = serializers.UUIDField(help_text="The canonical one, whatever UUID was asked for.")
    state = serializers.ChoiceField(choices=STATES)
    generation = serializers.IntegerField()
    version = serializers.IntegerField()
    raised_at = serializers.DateTimeField()
    status = serializers.CharField(help_text="The code of the last line.")
    lines = AlertLineOut(many=True)
    responder = AlertPersonOut(allow_null=True)
    numbers = NumberOut(many=True)
    seen_as = serializers.CharField()
    team = AlertTeamOut(allow_null=True)


class AcceptedOut(AlertOut):
    first_screen = FirstScreenOut()


class AlertEventOut(serializers.Serializer[Any]):
    n = serializers.IntegerField()
    at = serializers.DateTimeField()
    type = serializers.CharField()
    code = serializers.CharField(allow_blank=True)
    generation = serializers.IntegerField()
    step = serializers.IntegerField()
    channel = serializers.CharField(allow_blank=True)
    page = serializers.UUIDField(allow_null=True)
    contact = AlertPersonOut(allow_null=True)
    actor = AlertPersonOut(allow_null=True)
    text = serializers.CharField(allow_null=True)


class AlertTimelineOut(serializers.Serializer[Any]):
    results = AlertEventOut(many=True)
    next = serializers.CharField(allow_null=True)


class AlertsOut(serializers.Serializer[Any]):
    results = AlertOut(many=True)
    next = serializers.CharField(allow_null=True)
    numbers = NumberOut(many=True)


class AcceptIn(serializers.Serializer[Any]):
    generation = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=2**31 - 1)


class InContactIn(serializers.Serializer[Any]):
    alone = serializers.BooleanField(default=False, help_text="Nobody else was listening.")


class AlertHandOverIn(serializers.Serializer[Any]):
    to = serializers.UUIDField(required=False, allow_null=True, help_text="A member of the team; left out: all of it.")


class AlertCloseIn(serializers.Serializer[Any]):
    outcome = serializers.ChoiceField(choices=deeds.OUTCOMES)
    children = serializers.ChoiceField(choices=deeds.CHILDREN, help_text="Were children there?")
    done = serializers.CharField(required=False, allow_blank=True, max_length=2000, help_text="What was done.")


class AlertNoteIn(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=2000)


class AlertView(APIView):
    """No throttle: a call for help is never held back. Numbers stand in refusals too."""

    throttle_classes: tuple[type[BaseThrottle], ...] = ()

    def handle_exception(self, exc: Exception) -> Response:
        answer = super().handle_exception(exc)
        if isinstance(answer.data, dict):
            answer.data.setdefault("numbers", numbers_of(None))
        return answer

    def recheck(self, request: Request, alert_id: UUID, **_: Any) -> dict[str, Any]:
        """A retry is told how it stands now, to whoever may still see it (law 3)."""
        return shown.shown(self.seen(request, alert_id), now())

    def seen(self, request: Request, alert_id: UUID, act: str = "alert.viewed") -> doors.Opened:
        return doors.open_alert(who(request), alert_id, act=act)

    def answer(self, request: Request, alert: Alert, status: int = 200) -> Response:
        """The alert as this person sees it after their deed."""
        return Response(shown.shown(self.seen(request, alert.id), now()), status=status, headers=NO_STORE)


class OwnAlertView(AlertView):
    """Open to the alert key too."""

    authentication_classes = (AlertKeyAuthentication, SessionTokenAuthentication)


def heard(request: Request) -> tuple[UUID | None, str]:
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
    asked = PressIn(data={"patient": said["patient"]})
    asked.is_valid(raise_exception=True)
    return asked.validated_data["patient"], _fitting(note)


def _fitting(note: object) -> str:
    return note.strip()[:LONGEST_NOTE] if isinstance(note, str) else ""


def who(request: Request) -> Acting | AlertKey:
    return request.auth if isinstance(request.auth, AlertKey) else acting(request)


class Alerts(OwnAlertView):
    """Open calls for help: the patient's own, or the team's."""

    @extend_schema(operation_id="alerts_list", summary="Open calls for help", responses=AlertsOut)
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
        request=PressIn,
        responses={201: AlertOut, 200: AlertOut},
        examples=[OpenApiExample("With words", value={"note": "Orker ikke mer"}, request_only=True)],
    )
    def put(self, request: Request, alert_id: UUID) -> Response:
        patient, note = heard(request)
        presser = actions.presser_of(who(request), patient)
        pressed = actions.press(presser=presser, alert_id=alert_id, note=note)
        router.soon(pressed.alert.id)
        return self.answer(request, pressed.alert, 201 if pressed.created else 200)

    @extend_schema(summary="Follow a call for help", responses=AlertOut)
    def get(self, request: Request, alert_id: UUID) -> Response:
        opened = self.seen(request, alert_id)
        doors.record_look([opened])
        return Response(shown.shown(opened, now()), headers=NO_STORE)


class Cancel(OwnAlertView):
    @extend_schema(
        summary="It was an accident",
        description="Staff speak with the patient all the same. From the patient's own phone or session only.",
        request=None,
        responses=AlertOut,
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
        request=AcceptIn,
        responses=AcceptedOut,
    )
    @idempotent
    def post(self, request: Request, alert_id: UUID) -> Response:
        asked = AcceptIn(data=request.data)
        asked.is_valid(raise_exception=True)
        generation = asked.validated_data.get("generation")
        alert = actions.accept(acting=acting(request), alert_id=alert_id, generation=generation)
        return Response(self.recheck(request, alert.id), headers=NO_STORE)

    def recheck(self, request: Request, alert_id: UUID, **_: Any) -> dict[str, Any]:
        opened = self.seen(request, alert_id)
        return shown.shown(opened, now()) | {"first_screen": shown.first_screen(acting(request), opened)}


class FirstScreen(AlertView):
    @extend_schema(summary="Who it is, and the plan; for the responder", responses=FirstScreenOut)
    def get(self, request: Request, alert_id: UUID) -> Response:
        opened = self.seen(request, alert_id, "alert.first_screen")
        return Response(shown.first_screen(acting(request), opened), headers=NO_STORE)


class Calling(AlertView):
    @extend_schema(summary="I am calling now", request=None, responses=AlertOut)
    @idempotent
    def post(self, request: Request, alert_id: UUID) -> Response:
        return self.answer(request, actions.calling(acting=acting(request), alert_id=alert_id))


class InContact(AlertView):
    @extend_schema(summary="We have spoken", request=InContactIn, responses=AlertOut)
    @idempotent
    def post(self, request: Request, alert_id: UUID) -> Response:
        asked = InContactIn(data=request.data)
        asked.is_valid(raise_exception=True)
        alone = asked.validated_data["alone"]
        return self.answer(request, actions.in_contact(acting=acting(request), alert_id=alert_id, alone=alone))


class NotReached(AlertView):
    @extend_schema(
        summary="No answer",
        description="It never ends by itself: calling the plan's contacts, then 113, are the next tasks.",
        request=None,
        responses=AlertOut,
    )
    @idempotent
    def post(self, request: Request, alert_id: UUID) -> Response:
        return self.answer(request, actions.not_reached(acting=acting(request), alert_id=alert_id))


class TaskDone(AlertView):
    @extend_schema(summary="A task is done", request=None, responses=AlertOut)
    @idempotent
    def post(self, request: Request, alert_id: UUID, kind: str) -> Response:
        return self.answer(request, actions.task_done(acting=acting(request), alert_id=alert_id, kind=kind))


class HandOver(AlertView):
    @extend_schema(
        summary="Offer it to somebody else",
        description="The giver stays responsible until the receiver has accepted (`accept`).",
        request=AlertHandOverIn,
        responses=AlertOut,
    )
    @idempotent
    def post(self, request: Request, alert_id: UUID) -> Response:
        asked = AlertHandOverIn(data=request.data)
        asked.is_valid(raise_exception=True)
        to = asked.validated_data.get("to")
        return self.answer(request, actions.hand_over(acting=acting(request), alert_id=alert_id, to=to))


class Close(AlertView):
    @extend_schema(summary="Close it", request=AlertCloseIn, responses=AlertOut)
    @idempotent
    def post(self, request: Request, alert_id: UUID) -> Response:
        asked = AlertCloseIn(data=request.data)
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
    @extend_schema(summary="Write a note on it", request=AlertNoteIn, responses={201: AlertOut})
    @idempotent
    def post(self, request: Request, alert_id: UUID) -> Response:
        asked = AlertNoteIn(data=request.data)
        asked.is_valid(raise_exception=True)
        alert = actions.add_note(acting=acting(request), alert_id=alert_id, text=asked.validated_data["text"])
        return self.answer(request, alert, 201)


class Timeline(AlertView):
    """Every page, receipt, decision and error, in order."""

    @extend_schema(
        summary="Everything that has happened",
        parameters=[OpenApiParameter("after", int, description="Number of the last event that is known.")],
        responses=AlertTimelineOut,
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
