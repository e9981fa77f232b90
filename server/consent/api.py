"""REST for consents: parse, call, answer."""

from typing import Any
from uuid import UUID

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.audit.actions import record
from server.audit.entry import Entry
from server.common.errors import NotFound, Refusal
from server.common.idempotency import idempotent
from server.common.sql import rfc3339
from server.consent import actions, forms
from server.consent.access import is_own, open_consent, own_consent
from server.consent.models import Consent, ConsentVersion
from server.consent.ports import ROOM_EFFECTS
from server.people.actors import Acting, acting
from server.people.names import display_names
from server.vault import actions as vault


class Ask(serializers.Serializer[Any]):
    room = serializers.UUIDField()


class Answer(serializers.Serializer[Any]):
    """`grantees` (users) lets the patient choose; without it, everybody asked for. `text_sha256` is what they read."""

    grantees = serializers.ListField(child=serializers.UUIDField(), max_length=60, required=False)
    text_sha256 = serializers.RegexField(r"^[0-9a-f]{64}\Z", required=False, default="")
    remark = serializers.CharField(max_length=2000, required=False, default="", allow_blank=True)


class Said(serializers.Serializer[Any]):
    remark = serializers.CharField(max_length=2000, required=False, default="", allow_blank=True)


class Grantee(serializers.Serializer[Any]):
    user = serializers.UUIDField(allow_null=True)
    unit = serializers.UUIDField()
    name = serializers.CharField()
    role = serializers.CharField(allow_null=True)


class TextView(serializers.Serializer[Any]):
    form = serializers.CharField()
    version = serializers.IntegerField()
    language = serializers.CharField()
    first = serializers.CharField()
    more = serializers.CharField()
    yes = serializers.CharField()
    no = serializers.CharField()
    sha256 = serializers.CharField()


class ConsentView(serializers.Serializer[Any]):
    """To staff only `id`, `room`, `state` and `purpose` are said; the rest is the patient's."""

    id = serializers.UUIDField()
    room = serializers.UUIDField(allow_null=True)
    patient = serializers.UUIDField()
    purpose = serializers.CharField()
    state = serializers.CharField()
    version = serializers.IntegerField(required=False)
    grantees = Grantee(many=True, required=False)
    asked = Grantee(many=True, required=False)
    since = serializers.DateTimeField(allow_null=True, required=False)
    until = serializers.DateTimeField(allow_null=True, required=False)
    text = TextView(required=False)


class VersionView(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    act = serializers.CharField()
    state = serializers.CharField()
    grantees = Grantee(many=True)
    asked = Grantee(many=True)
    recorded_at = serializers.DateTimeField()
    by = serializers.CharField()
    method = serializers.CharField()
    language = serializers.CharField()
    text = serializers.CharField()
    text_sha256 = serializers.CharField()
    remark = serializers.CharField(allow_null=True)


class HistoryView(serializers.Serializer[Any]):
    results = VersionView(many=True)
    next = serializers.CharField(allow_null=True)


class FormView(serializers.Serializer[Any]):
    """`texts` by language, each with `first`, `more`, `yes`, `no`; `purposes` by code, then by language."""

    id = serializers.CharField()
    version = serializers.IntegerField()
    months = serializers.IntegerField()
    texts = serializers.DictField(child=serializers.DictField(child=serializers.CharField()))
    purposes = serializers.DictField(child=serializers.DictField(child=serializers.CharField()))


class FormsView(serializers.Serializer[Any]):
    results = FormView(many=True)
    next = serializers.CharField(allow_null=True)


class Forms(APIView):
    @extend_schema(summary="The forms, in every language", responses=FormsView)
    def get(self, request: Request) -> Response:
        return Response({"results": forms.all_forms(), "next": None})


class Consents(APIView):
    @extend_schema(summary="Ask the patient for whoever waits in a room", request=Ask, responses={201: ConsentView})
    @idempotent
    def post(self, request: Request) -> Response:
        serializer = Ask(data=request.data)
        serializer.is_valid(raise_exception=True)
        me, room_id = acting(request), serializer.validated_data["room"]
        with transaction.atomic():
            waiting = ROOM_EFFECTS().may_ask(me, room_id)
            asked = Consent.objects.select_related("patient").filter(room_id=room_id).first()
            if asked is None:
                raise NotFound(refusal=Refusal("consent.requested", "missing", room_id=room_id))
            consent = actions.ask(
                acting=me, patient=asked.patient, room_id=room_id, purpose=asked.purpose, grants=waiting
            )
        return Response(view(consent, me), status=201)

    def recheck(self, request: Request) -> None:
        serializer = Ask(data=request.data)
        serializer.is_valid(raise_exception=True)
        ROOM_EFFECTS().may_ask(acting(request), serializer.validated_data["room"])


class OneConsent(APIView):
    @extend_schema(summary="What is asked or agreed, in plain words", responses=ConsentView)
    def get(self, request: Request, consent_id: UUID) -> Response:
        me = acting(request)
        consent = open_consent(me, consent_id)
        with transaction.atomic():
            record(
                Entry(
                    type="consent.viewed",
                    actor=me.actor,
                    subject_id=consent.patient_id,
                    room_id=consent.room_id,
                    object_id=consent.id,
                    purpose=consent.purpose,
                    basis="self" if is_own(me, consent) else "membership",
                )
            )
        return Response(view(consent, me))


class _Act(APIView):
    """One verb of the patient's."""

    def heard(self, request: Request, kind: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        serializer = kind(data=request.data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def recheck(self, request: Request, consent_id: UUID) -> None:
        own_consent(acting(request), consent_id)


class Give(_Act):
    @extend_schema(summary="Yes", request=Answer, responses=ConsentView)
    @idempotent
    def post(self, request: Request, consent_id: UUID) -> Response:
        said, me = self.heard(request, Answer), acting(request)
        consent = actions.give(
            acting=me,
            consent=own_consent(me, consent_id),
            people=said.get("grantees"),
            shown=said["text_sha256"],
            remark=said["remark"],
        )
        return Response(view(consent, me))


class Alter(_Act):
    @extend_schema(summary="Let others in too, or fewer", request=Answer, responses=ConsentView)
    @idempotent
    def post(self, request: Request, consent_id: UUID) -> Response:
        said, me = self.heard(request, Answer), acting(request)
        consent = actions.change(
            acting=me,
            consent=own_consent(me, consent_id),
            people=said.get("grantees"),
            shown=said["text_sha256"],
            remark=said["remark"],
        )
        return Response(view(consent, me))


class Decline(_Act):
    @extend_schema(summary="No", request=Said, responses=ConsentView)
    @idempotent
    def post(self, request: Request, consent_id: UUID) -> Response:
        said, me = self.heard(request, Said), acting(request)
        consent = actions.decline(acting=me, consent=own_consent(me, consent_id), remark=said["remark"])
        return Response(view(consent, me))


class Withdraw(_Act):
    @extend_schema(summary="Stop sharing, at once", request=Said, responses=ConsentView)
    @idempotent
    def post(self, request: Request, consent_id: UUID) -> Response:
        said, me = self.heard(request, Said), acting(request)
        consent = actions.withdraw(acting=me, consent=own_consent(me, consent_id), remark=said["remark"])
        return Response(view(consent, me))


class History(APIView):
    @extend_schema(summary="Every version, with the exact text that was shown", responses=HistoryView)
    def get(self, request: Request, consent_id: UUID) -> Response:
        me = acting(request)
        consent = own_consent(me, consent_id)
        versions = list(ConsentVersion.objects.filter(consent=consent).order_by("number"))
        who = _people(versions)
        with transaction.atomic():
            record(
                Entry(
                    type="consent.history_viewed",
                    actor=me.actor,
                    subject_id=consent.patient_id,
                    room_id=consent.room_id,
                    object_id=consent.id,
                    basis="self",
                )
            )
        return Response({"results": [_version_view(one, consent, who) for one in versions], "next": None})


def view(consent: Consent, me: Acting) -> dict[str, Any]:
    """The consent as this person may know it."""
    own = is_own(me, consent)
    told: dict[str, Any] = {
        "id": str(consent.id),
        "room": str(consent.room_id) if consent.room_id else None,
        "patient": str(consent.patient_id),
        "purpose": consent.purpose,
        "state": consent.state if own else ROOM_EFFECTS().state_shown(me, consent),
    }
    if not own:
        return told
    version = actions.newest(consent)
    who = _people([version])
    text = vault.unseal(bytes(version.text_sealed), place="consent_version.text", row=version.id)
    words = forms.form(version.form)["texts"][version.language]
    first = text[: -len(words["more"]) - 2] if text.endswith(words["more"]) else text
    return told | {
        "version": version.number,
        "grantees": [_grantee(row, who) for row in version.grants],
        "asked": [_grantee(row, who) for row in version.asked],
        "since": rfc3339(version.valid_from) if version.valid_from else None,
        "until": rfc3339(version.valid_to) if version.valid_to else None,
        "text": {
            "form": version.form,
            "version": version.form_version,
            "language": version.language,
            "first": first,
            "more": words["more"],
            "yes": words["yes"],
            "no": words["no"],
            "sha256": version.text_sha256,
        },
    }


def _people(versions: list[ConsentVersion]) -> dict[UUID, str]:
    ids = {UUID(row["person"]) for one in versions for row in (*one.grants, *one.asked) if row["person"]}
    return display_names(ids | {one.acted_by_id for one in versions if one.acted_by_id})


def _grantee(row: dict[str, Any], who: dict[UUID, str]) -> dict[str, Any]:
    return {
        "user": row["person"],
        "unit": row["unit"],
        "name": who.get(UUID(row["person"]), "") if row["person"] else "",
        "role": row["role"],
    }


def _version_view(version: ConsentVersion, consent: Consent, who: dict[UUID, str]) -> dict[str, Any]:
    remark = version.remark_sealed
    return {
        "number": version.number,
        "act": version.act,
        "state": version.state,
        "grantees": [_grantee(row, who) for row in version.grants],
        "asked": [_grantee(row, who) for row in version.asked],
        "recorded_at": rfc3339(version.recorded_at),
        "by": who.get(version.acted_by_id, "") if version.acted_by_id else "",
        "method": version.method,
        "language": version.language,
        "text": vault.unseal(bytes(version.text_sealed), place="consent_version.text", row=version.id),
        "text_sha256": version.text_sha256,
        "remark": vault.unseal(bytes(remark), place="consent_version.remark", row=version.id) if remark else None,
    }
