"""Serializers of calls for help: what is said to the service, and what it tells."""

from typing import Any

from rest_framework import serializers

from server.alerts import deeds
from server.alerts.models.alerts import State

STATES = State.choices
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


class WroteOut(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    by = serializers.CharField(help_text="`phone`: from the patient's phone or session; `staff`: for the patient.")
    name = serializers.CharField(allow_blank=True, help_text="Of staff.")
    text = serializers.CharField()


class FirstScreenOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    call_number = serializers.CharField(allow_blank=True)
    may_call = serializers.BooleanField()
    may_text = serializers.BooleanField()
    may_leave_message = serializers.BooleanField()
    others_may_answer = serializers.CharField(allow_blank=True)
    language = serializers.CharField()
    wrote = WroteOut(many=True)
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
    first_screen = FirstScreenOut(allow_null=True)


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
