"""REST for what stands beside consents: the people whom a patient excludes, and statutory grounds."""

from typing import Any, ClassVar
from uuid import UUID

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.audit.actions import record
from server.audit.entry import Entry
from server.common.idempotency import idempotent
from server.common.sql import rfc3339
from server.consent import exclusions, forms, grounds, records
from server.consent.api import shapes as s
from server.consent.models import Consent, Form
from server.consent.ports import ROOM_EFFECTS
from server.people.actors import Acting, acting
from server.people.decide import Need
from server.people.names import display_names


class Exclusions(APIView):
    needs: ClassVar[Need] = "nothing"

    @extend_schema(summary="Whom the patient has excluded", responses=s.ExclusionsView)
    def get(self, request: Request) -> Response:
        me = acting(request)
        patient = exclusions.own(me)
        with transaction.atomic():
            record(Entry("exclusions.viewed", me.actor, subject_id=patient.id, basis="self"))
        return Response(_view(me))

    @extend_schema(
        summary="Exclude a member of staff: from every room, call for help and emergency access",
        request=s.ExcludeBody,
        responses={201: s.ExclusionsView},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        serializer = s.ExcludeBody(data=request.data)
        serializer.is_valid(raise_exception=True)
        me = acting(request)
        exclusions.exclude(acting=me, person_id=serializer.validated_data["user"])
        return Response(_view(me), status=201)

    def recheck(self, request: Request) -> None:
        exclusions.own(acting(request))


class OneExclusion(APIView):
    needs: ClassVar[Need] = "nothing"

    @extend_schema(summary="Lift an exclusion; it opens nothing by itself", responses={200: s.ExclusionsView})
    def delete(self, request: Request, user_id: UUID) -> Response:
        me = acting(request)
        exclusions.lift(acting=me, person_id=user_id)
        return Response(_view(me))


class Grounds(APIView):
    @extend_schema(
        summary="Record a statutory ground to take part (only kinds that the installation has turned on)",
        request=s.GroundBody,
        responses={201: s.GroundView},
    )
    @idempotent
    def post(self, request: Request, room_id: UUID) -> Response:
        serializer = s.GroundBody(data=request.data)
        serializer.is_valid(raise_exception=True)
        said, me = serializer.validated_data, acting(request)
        with transaction.atomic():
            room = ROOM_EFFECTS().facts(me, room_id)
            ground = grounds.record_ground(
                acting=me,
                room_id=room_id,
                patient_id=room.patient_id,
                purpose=room.purpose,
                code=said["ground"],
                words=said["reason"],
                valid_to=said["until"],
            )
        told = {"id": str(ground.id), "room": str(room_id), "ground": said["ground"], "until": rfc3339(ground.ends_at)}
        return Response(told, status=201)

    def recheck(self, request: Request, room_id: UUID) -> None:
        ROOM_EFFECTS().facts(acting(request), room_id)


class OneGround(APIView):
    @extend_schema(summary="End a statutory ground", responses={204: None})
    def delete(self, request: Request, room_id: UUID, ground_id: UUID) -> Response:
        grounds.end_ground(acting=acting(request), room_id=room_id, ground_id=ground_id)
        return Response(status=204)


def _view(me: Acting) -> dict[str, Any]:
    patient = exclusions.own(me)
    names = display_names(set(records.excluded_people(patient.id)))
    told = sorted(names.items(), key=lambda one: one[1])
    sentence = forms.sentence(
        form_id=Form.EXCLUSIONS,
        language=patient.language,
        state="active",
        names=[name for _, name in told],
        purpose=exclusions.PURPOSE,
    )
    of_it = Consent.objects.filter(patient=patient, form=Form.EXCLUSIONS).values_list("id", flat=True).first()
    return {
        "results": [{"user": str(user_id), "name": name} for user_id, name in told],
        "next": None,
        "sentence": sentence if told else "",
        "record": str(of_it) if of_it else None,
    }
