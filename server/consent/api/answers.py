"""REST for a patient's answers, and for what staff write down of them."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.common.idempotency import idempotent
from server.consent import actions, recorded
from server.consent.access import consent_to_record, own_consent
from server.consent.api import shapes as s
from server.consent.models import Consent
from server.consent.recorded import Evidence
from server.consent.telling import view
from server.people.actors import Acting, acting
from server.people.decide import Need

Body = type[serializers.Serializer[Any]]


class Act(APIView):
    """One verb: what may be said (`body`), who may say it (`door`), and the action."""

    needs: ClassVar[Need] = "nothing"

    body: ClassVar[Body]

    def door(self, request: Request, consent_id: UUID) -> Consent:
        return own_consent(acting(request), consent_id)

    def act(self, me: Acting, consent: Consent, said: dict[str, Any]) -> Consent:
        raise NotImplementedError

    @idempotent
    def post(self, request: Request, consent_id: UUID) -> Response:
        serializer = self.body(data=request.data)
        serializer.is_valid(raise_exception=True)
        me = acting(request)
        done = self.act(me, self.door(request, consent_id), dict(serializer.validated_data))
        return Response(view(done, me))

    def recheck(self, request: Request, consent_id: UUID) -> dict[str, Any]:
        me = acting(request)
        return view(self.door(request, consent_id), me)


class ByStaff(Act):
    """One verb of staff, about a consent that concerns them."""

    verb: ClassVar[str] = ""

    def door(self, request: Request, consent_id: UUID) -> Consent:
        return consent_to_record(acting(request), consent_id, self.verb)


@extend_schema(summary="Yes", request=s.AnswerBody, responses=s.ConsentView)
class Give(Act):
    body = s.AnswerBody

    def act(self, me: Acting, consent: Consent, said: dict[str, Any]) -> Consent:
        return actions.give(acting=me, consent=consent, answer=s.answer_of(said))


@extend_schema(
    summary="Let others in too, or fewer; an earlier end; units kept out", request=s.AnswerBody, responses=s.ConsentView
)
class Alter(Act):
    body = s.AnswerBody

    def act(self, me: Acting, consent: Consent, said: dict[str, Any]) -> Consent:
        return actions.change(acting=me, consent=consent, answer=s.answer_of(said))


@extend_schema(summary="No", request=s.Said, responses=s.ConsentView)
class Decline(Act):
    body = s.Said

    def act(self, me: Acting, consent: Consent, said: dict[str, Any]) -> Consent:
        return actions.decline(acting=me, consent=consent, remark=said["remark"])


@extend_schema(summary="Stop sharing, at once", request=s.Said, responses=s.ConsentView)
class Withdraw(Act):
    body = s.Said

    def act(self, me: Acting, consent: Consent, said: dict[str, Any]) -> Consent:
        return actions.withdraw(acting=me, consent=consent, remark=said["remark"])


@extend_schema(summary="Yes to a new end", request=s.RenewBody, responses=s.ConsentView)
class Renew(Act):
    body = s.RenewBody

    def act(self, me: Acting, consent: Consent, said: dict[str, Any]) -> Consent:
        return actions.renew(acting=me, consent=consent, shown=said["text_sha256"], remark=said["remark"])


@extend_schema(
    summary="Staff write down an answer given on paper or spoken before a witness",
    request=s.RecordBody,
    responses=s.ConsentView,
)
class Record(ByStaff):
    body = s.RecordBody

    def door(self, request: Request, consent_id: UUID) -> Consent:
        answer = request.data.get("answer", "") if isinstance(request.data, dict) else ""
        return consent_to_record(acting(request), consent_id, str(answer))

    def act(self, me: Acting, consent: Consent, said: dict[str, Any]) -> Consent:
        return recorded.record_answer(
            acting=me, consent=consent, verb=said["answer"], answer=s.answer_of(said), evidence=_evidence(said)
        )


@extend_schema(
    summary="Staff correct how an answer was recorded, never what it says",
    request=s.CorrectBody,
    responses=s.ConsentView,
)
class Correct(ByStaff):
    body = s.CorrectBody
    verb = "correct"

    def act(self, me: Acting, consent: Consent, said: dict[str, Any]) -> Consent:
        return recorded.correct(acting=me, consent=consent, evidence=_evidence(said), why=said["why"])


@extend_schema(
    summary="Health personnel record an assessment of capacity to consent",
    request=s.AssessBody,
    responses=s.ConsentView,
)
class Assess(ByStaff):
    body = s.AssessBody
    verb = "assess"

    def act(self, me: Acting, consent: Consent, said: dict[str, Any]) -> Consent:
        return recorded.assess(acting=me, consent=consent, result=said["result"], assessed_at=said["assessed_at"])


def _evidence(said: dict[str, Any]) -> Evidence:
    return Evidence(
        kind=said["method"],
        given_at=said["given_at"],
        capacity=said["capacity"],
        scan_sha256=said["scan_sha256"],
        witness=said["witness"],
        minute=said["minute"],
    )
