"""REST for consents: forms, asking, reading."""

from typing import Any, ClassVar
from uuid import UUID

from django.db import transaction
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.audit.actions import record, record_many
from server.audit.entry import Entry
from server.common.errors import Forbidden, NotFound, Refusal
from server.common.idempotency import idempotent
from server.consent import actions, forms, receipt, sealing, telling, verify
from server.consent.access import consent_to_record, is_own, open_consent, own_consent
from server.consent.api import shapes as s
from server.consent.enrolment import ask_enrolment
from server.consent.models import Consent
from server.consent.ports import ROOM_EFFECTS
from server.consent.versions import newest
from server.people.access import open_patient
from server.people.actors import Acting, acting
from server.people.decide import Need
from server.vault import actions as vault


class Forms(APIView):
    needs: ClassVar[Need] = "nothing"

    @extend_schema(summary="The forms in every language, and the duties that never rest on them", responses=s.FormsView)
    def get(self, request: Request) -> Response:
        told = {"results": forms.all_forms(), "next": None, "duties": telling.legal_duties()}
        return Response(told | {"emergency_grounds": telling.emergency_grounds()})


class Consents(APIView):
    needs: ClassVar[Need] = "nothing"

    @extend_schema(
        operation_id="consents_list",
        summary="Who may take part, for what, until when, since when, on which text: the patient's own",
        responses=s.ConsentsView,
    )
    def get(self, request: Request) -> Response:
        me = acting(request)
        if me.patient is None:
            raise Forbidden(code="patient_only", refusal=Refusal("consent.viewed", "patient_only"))
        mine = list(Consent.objects.filter(patient=me.patient).select_related("patient").order_by("id"))
        with transaction.atomic():
            record_many([_look(me, consent) for consent in mine])
        return Response({"results": [telling.view(consent, me) for consent in mine], "next": None})

    @extend_schema(
        summary="Ask the patient: for whoever waits in a room, or for units that a form names",
        request=s.Ask,
        responses={201: s.ConsentView},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        me, said = acting(request), _heard(request)
        consent = _ask_room(me, said) if "room" in said else _ask_form(me, said)
        return Response(telling.view(consent, me), status=201)

    def recheck(self, request: Request) -> dict[str, Any]:
        me, said = acting(request), _heard(request)
        if "room" in said:
            ROOM_EFFECTS().may_ask(me, said["room"])
            asked = Consent.objects.filter(room_id=said["room"])
        else:
            open_patient(me, said["patient"])
            asked = Consent.objects.filter(patient_id=said["patient"], form=said["form"])
        return telling.view(asked.select_related("patient").get(), me)


class OneConsent(APIView):
    needs: ClassVar[Need] = "nothing"

    @extend_schema(summary="What is asked or agreed, in plain words", responses=s.ConsentView)
    def get(self, request: Request, consent_id: UUID) -> Response:
        me = acting(request)
        consent = open_consent(me, consent_id)
        with transaction.atomic():
            record(_look(me, consent))
        return Response(telling.view(consent, me))


class History(APIView):
    needs: ClassVar[Need] = "nothing"

    @extend_schema(
        summary="Every version: the exact text that was shown, and its seal",
        parameters=[s.HistoryQuery],
        responses=s.HistoryView,
    )
    def get(self, request: Request, consent_id: UUID) -> Response:
        query = s.HistoryQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        after, limit = query.validated_data["after"], query.validated_data["limit"]
        me = acting(request)
        consent = own_consent(me, consent_id)
        with transaction.atomic():
            record(_look(me, consent, "consent.history_viewed"))
        told = {
            "sound": not verify.faults(consent),
            "seal_key": vault.public_key(vault.seal_key(), sealing.VERSION).hex(),
            "results": telling.history(consent, after=after, limit=limit),
            "next": request.build_absolute_uri(f"{request.path}?after={after + limit}&limit={limit}")
            if after + limit < consent.version
            else None,
        }
        return Response(told)


class Renewal(APIView):
    needs: ClassVar[Need] = "nothing"

    @extend_schema(summary="The text to renew under: the same people, a new end", responses=s.TextView)
    def get(self, request: Request, consent_id: UUID) -> Response:
        me = acting(request)
        consent = own_consent(me, consent_id)
        text = actions.renewal(consent)
        with transaction.atomic():
            record(_look(me, consent))
        return Response(telling.exact_view(text.form, text.version, text.language, text.exact, text.sha256))


class Text(APIView):
    needs: ClassVar[Need] = "nothing"

    @extend_schema(summary="The text to read out or print, for whoever writes the answer down", responses=s.TextView)
    def get(self, request: Request, consent_id: UUID) -> Response:
        me = acting(request)
        consent = consent_to_record(me, consent_id, "text")
        document = newest(consent)
        with transaction.atomic():
            record(_look(me, consent, "consent.text_viewed"))
        return Response(telling.text_view(document))


class Receipt(APIView):
    needs: ClassVar[Need] = "nothing"

    @extend_schema(summary="A receipt to keep or print", responses={(200, "text/html"): str})
    def get(self, request: Request, consent_id: UUID) -> HttpResponse:
        me = acting(request)
        consent = own_consent(me, consent_id)
        page = receipt.page(consent)
        with transaction.atomic():
            record(_look(me, consent, "consent.receipt_viewed"))
        return HttpResponse(page, content_type="text/html; charset=utf-8", headers=receipt.HEADERS)


def _heard(request: Request) -> dict[str, Any]:
    serializer = s.Ask(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


@transaction.atomic
def _ask_room(me: Acting, said: dict[str, Any]) -> Consent:
    room_id = said["room"]
    waiting = ROOM_EFFECTS().may_ask(me, room_id)
    asked = Consent.objects.select_related("patient").filter(room_id=room_id).first()
    if asked is None:
        raise NotFound(refusal=Refusal("consent.requested", "missing", room_id=room_id))
    grants = s.grants_asked(said) or waiting
    return actions.ask(acting=me, patient=asked.patient, room_id=room_id, purpose=asked.purpose, grants=grants)


def _ask_form(me: Acting, said: dict[str, Any]) -> Consent:
    return ask_enrolment(acting=me, patient_id=said["patient"], form=said["form"], grants=s.grants_asked(said))


def _look(me: Acting, consent: Consent, type_: str = "consent.viewed") -> Entry:
    return Entry(
        type=type_,
        actor=me.actor,
        subject_id=consent.patient_id,
        room_id=consent.room_id,
        object_id=consent.id,
        purpose=consent.purpose,
        basis="self" if is_own(me, consent) else "membership",
    )
