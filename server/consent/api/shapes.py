"""How consents are said and heard."""

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from server.consent.actions import Answer
from server.consent.choices import Choice
from server.consent.decide import Grant
from server.consent.document import Content
from server.consent.models import Act, Form, State

MAX_NAMED = 60
MAX_REMARK = 2000
METHODS = ("sign_in", "paper", "oral", "clock")
EVIDENCE = ("paper", "oral")


class _Named(serializers.Serializer[Any]):
    unit = serializers.UUIDField()
    role = serializers.CharField(max_length=40, required=False, allow_null=True)
    user = serializers.UUIDField(required=False, allow_null=True)


_GRANTEE: dict[str, Any] = {
    "oneOf": [
        {"type": "string", "format": "uuid"},
        {
            "type": "object",
            "required": ["unit"],
            "properties": {
                "unit": {"type": "string", "format": "uuid"},
                "role": {"type": ["string", "null"], "maxLength": 40},
                "user": {"type": ["string", "null"], "format": "uuid"},
            },
        },
    ]
}


@extend_schema_field(_GRANTEE)
class GranteeField(serializers.Field[Choice, Any, Any, Any]):
    """A user's id, or `{"unit", "role"?, "user"?}`: a unit, narrowed by role or person."""

    def to_internal_value(self, data: Any) -> Choice:
        if isinstance(data, dict):
            inner = _Named(data=data)
            inner.is_valid(raise_exception=True)
            said = inner.validated_data
            return Choice(person=said.get("user"), unit=said["unit"], role=said.get("role"))
        return Choice(person=serializers.UUIDField().to_internal_value(data))

    def to_representation(self, value: Choice) -> Any:
        return {"user": value.person, "unit": value.unit, "role": value.role}


class Ask(serializers.Serializer[Any]):
    """A room (and, if more than who waits there, `grantees`), or a patient with a form that is about no room."""

    room = serializers.UUIDField(required=False)
    patient = serializers.UUIDField(required=False)
    form = serializers.ChoiceField(choices=[Form.MULI.value], required=False)
    grantees = serializers.ListField(child=GranteeField(), max_length=MAX_NAMED, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("room" in attrs) == ("patient" in attrs):
            raise serializers.ValidationError({"room": _("Name a room, or a patient and a form.")})
        if "patient" in attrs and not ("form" in attrs and attrs.get("grantees")):
            raise serializers.ValidationError({"grantees": _("Name the form and the units to ask for.")})
        if any(choice.unit is None for choice in attrs.get("grantees", ())):
            raise serializers.ValidationError({"grantees": _("Name the unit of each.")})
        return attrs


def grants_asked(said: dict[str, Any]) -> list[Grant]:
    return [Grant(one.unit, one.person, one.role) for one in said.get("grantees", ()) if one.unit is not None]


class MomentField(serializers.DateTimeField):
    """A time that has to do with somebody alive: every clock, calendar and form here can say it."""

    def enforce_timezone(self, value: datetime) -> datetime:
        moment = super().enforce_timezone(value)
        if not 1900 <= moment.year < 2200:
            self.fail("overflow")
        return moment


class ContentRange(serializers.Serializer[Any]):
    start = MomentField(allow_null=True, required=False, default=None)
    end = MomentField(allow_null=True, required=False, default=None)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["start"] is not None and attrs["end"] is not None and attrs["start"] >= attrs["end"]:
            raise serializers.ValidationError({"end": _("Must lie after the start.")})
        return attrs


class Said(serializers.Serializer[Any]):
    remark = serializers.CharField(max_length=MAX_REMARK, required=False, default="", allow_blank=True)


class AnswerBody(Said):
    """`grantees` lets the patient choose; without it, everybody asked for. `text_sha256` is what they read; `until` an
    earlier end; `content` which content is meant, by when it was written; `excluded_units` never take part."""

    grantees = serializers.ListField(child=GranteeField(), max_length=MAX_NAMED, required=False)
    text_sha256 = serializers.RegexField(r"^[0-9a-f]{64}\Z", required=False, default="")
    until = MomentField(required=False)
    excluded_units = serializers.ListField(child=serializers.UUIDField(), max_length=MAX_NAMED, required=False)
    content = ContentRange(required=False)


def answer_of(said: dict[str, Any]) -> Answer:
    content = said.get("content")
    return Answer(
        choices=said.get("grantees"),
        shown=said["text_sha256"],
        remark=said["remark"],
        until=said.get("until"),
        excluded_units=said.get("excluded_units"),
        content=Content(start=content["start"], end=content["end"]) if content is not None else None,
    )


class EvidenceBody(serializers.Serializer[Any]):
    method = serializers.ChoiceField(choices=EVIDENCE)
    given_at = MomentField()
    capacity = serializers.CharField(max_length=40, required=False, default="self")
    scan_sha256 = serializers.RegexField(r"^[0-9a-f]{64}\Z", required=False, default="")
    witness = serializers.UUIDField(required=False, allow_null=True, default=None)
    minute = serializers.CharField(max_length=MAX_REMARK, required=False, default="", allow_blank=True)


class RecordBody(EvidenceBody, AnswerBody):
    answer = serializers.ChoiceField(choices=["give", "decline", "withdraw", "change"])


class CorrectBody(EvidenceBody):
    why = serializers.CharField(max_length=MAX_REMARK)


class AssessBody(serializers.Serializer[Any]):
    result = serializers.ChoiceField(choices=["competent", "partly", "lacking"])
    assessed_at = MomentField()


class RenewBody(Said):
    text_sha256 = serializers.RegexField(r"^[0-9a-f]{64}\Z", required=False, default="")


class GroundBody(serializers.Serializer[Any]):
    ground = serializers.CharField(max_length=40)
    reason = serializers.CharField(max_length=MAX_REMARK)
    until = MomentField()


class GroundView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    room = serializers.UUIDField()
    ground = serializers.CharField()
    until = serializers.DateTimeField()


class ExcludeBody(serializers.Serializer[Any]):
    user = serializers.UUIDField()


class Excluded(serializers.Serializer[Any]):
    user = serializers.UUIDField()
    name = serializers.CharField()


class ExclusionsView(serializers.Serializer[Any]):
    """Everybody whom the patient has excluded, and in plain words what that means."""

    results = Excluded(many=True)
    next = serializers.CharField(allow_null=True)
    sentence = serializers.CharField()
    record = serializers.UUIDField(allow_null=True)


class Grantee(serializers.Serializer[Any]):
    user = serializers.UUIDField(allow_null=True)
    unit = serializers.UUIDField()
    org_number = serializers.CharField()
    unit_name = serializers.CharField()
    name = serializers.CharField()
    role = serializers.CharField(allow_null=True)


class UnitView(serializers.Serializer[Any]):
    unit = serializers.UUIDField()
    name = serializers.CharField()


class TextView(serializers.Serializer[Any]):
    """The exact text: a first screen, what stands under «Mer», and two answers of equal weight."""

    form = serializers.CharField()
    version = serializers.IntegerField()
    language = serializers.CharField()
    first = serializers.CharField()
    more = serializers.CharField()
    yes = serializers.CharField()
    no = serializers.CharField()
    sha256 = serializers.CharField()


class WithdrawalView(serializers.Serializer[Any]):
    """What withdrawing this stops, and what it does not."""

    stops = serializers.CharField()
    stays = serializers.CharField()


class LegalDutyView(serializers.Serializer[Any]):
    code = serializers.CharField()
    words = serializers.CharField()
    sentence = serializers.CharField()
    statute = serializers.CharField()


class ConsentView(serializers.Serializer[Any]):
    """To staff only `id`, `room`, `patient`, `form`, `purpose`, `state` and `duties` are said; the rest is the
    patient's. `readable` is false when the record cannot be verified: then nothing is shared."""

    id = serializers.UUIDField()
    room = serializers.UUIDField(allow_null=True)
    patient = serializers.UUIDField()
    form = serializers.ChoiceField(choices=Form.choices)
    purpose = serializers.CharField()
    state = serializers.ChoiceField(choices=State.choices)
    duties = LegalDutyView(many=True, required=False)
    readable = serializers.BooleanField(required=False)
    version = serializers.IntegerField(required=False)
    sentence = serializers.CharField(required=False)
    grantees = Grantee(many=True, required=False)
    asked = Grantee(many=True, required=False)
    excluded_units = UnitView(many=True, required=False)
    categories = serializers.DictField(child=serializers.CharField(), required=False)
    content = ContentRange(required=False)
    since = serializers.DateTimeField(allow_null=True, required=False)
    until = serializers.DateTimeField(allow_null=True, required=False)
    method = serializers.ChoiceField(choices=METHODS, required=False)
    text = TextView(required=False)
    withdrawal = WithdrawalView(required=False)


class ConsentsView(serializers.Serializer[Any]):
    results = ConsentView(many=True)
    next = serializers.CharField(allow_null=True)


class VersionView(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    act = serializers.ChoiceField(choices=Act.choices)
    words = serializers.CharField()
    state = serializers.ChoiceField(choices=State.choices)
    grantees = Grantee(many=True)
    asked = Grantee(many=True)
    given_at = serializers.DateTimeField()
    recorded_at = serializers.DateTimeField()
    by = serializers.CharField()
    capacity = serializers.CharField(allow_null=True)
    competence = serializers.CharField(allow_null=True)
    method = serializers.ChoiceField(choices=METHODS)
    witness = serializers.CharField(allow_null=True)
    minute = serializers.CharField(allow_null=True)
    language = serializers.CharField()
    text = serializers.CharField()
    text_sha256 = serializers.CharField()
    remark = serializers.CharField(allow_null=True)
    hash = serializers.CharField()
    document = serializers.CharField()
    signature = serializers.CharField()


class HistoryQuery(serializers.Serializer[Any]):
    """By the number of versions: those after `after`, at most `limit`."""

    after = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=0)
    limit = serializers.IntegerField(min_value=1, max_value=100, default=50)


class HistoryView(serializers.Serializer[Any]):
    """Every version. `sound` says whether seals, chain and log agree; `document` is the sealed RFC 8785 JSON, and
    `signature` (hexadecimal) Ed25519 over it with `seal_key`."""

    sound = serializers.BooleanField()
    seal_key = serializers.CharField()
    results = VersionView(many=True)
    next = serializers.CharField(allow_null=True)


class FormView(serializers.Serializer[Any]):
    """`texts` by language, each with `first`, `more`, `yes`, `no`, `stops`, `stays` …; `purposes` and `categories` by
    code, then by language."""

    id = serializers.CharField()
    version = serializers.IntegerField()
    months = serializers.IntegerField()
    endless = serializers.BooleanField()
    remind_days = serializers.IntegerField()
    texts = serializers.DictField(child=serializers.DictField(child=serializers.CharField()))
    purposes = serializers.DictField(child=serializers.DictField(child=serializers.CharField()))
    categories = serializers.DictField(child=serializers.DictField(child=serializers.CharField()))


class EmergencyGroundView(serializers.Serializer[Any]):
    code = serializers.CharField()
    words = serializers.CharField()
    statute = serializers.CharField()


class FormsView(serializers.Serializer[Any]):
    results = FormView(many=True)
    next = serializers.CharField(allow_null=True)
    duties = LegalDutyView(many=True)
    emergency_grounds = EmergencyGroundView(many=True)
