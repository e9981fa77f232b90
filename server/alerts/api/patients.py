"""REST for patients in programmes, their admissions and plans: parse, call, answer."""

from typing import Any, ClassVar
from uuid import UUID

from django.db import transaction
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.alerts.access import open_enrolled_patient, open_patient_of_team, open_programme
from server.alerts.actions import admissions, enrolments, plans
from server.alerts.api import shapes, told
from server.alerts.api.programmes import heard
from server.alerts.models import Enrolment
from server.common.idempotency import idempotent
from server.common.pagination import KeyCursorPagination
from server.people.actors import acting
from server.people.api.paging import page_of
from server.people.decide import Need

PLAN = {
    "danger": "Alene om natta uten søvn.",
    "helps": "Å snakke om hunden.",
    "bring_in": "Søsteren.",
    "rest": "",
    "contacts": [{"name": "Marit", "relation": "søster", "number": "+4740000009"}],
    "made_with_patient": True,
}


class AdmissionsView(serializers.Serializer[Any]):
    results = shapes.AdmissionView(many=True)
    next = serializers.CharField(allow_null=True)


class PlanVersionsView(serializers.Serializer[Any]):
    results = shapes.PlanVersionView(many=True)
    next = serializers.CharField(allow_null=True)


class Enrolments(APIView):
    """Patients in a programme whom I may know of. Each page is a look, and recorded for each patient."""

    pagination_class = KeyCursorPagination

    @extend_schema(
        summary="Patients in the programme",
        description="Those whom my unit helps, or who share with me.",
        responses=shapes.EnrolledView(many=True),
    )
    def get(self, request: Request, programme_id: UUID) -> Response:
        me = acting(request)
        programme = open_programme(me, programme_id, act="enrolment.viewed")
        with transaction.atomic():
            ids = enrolments.of_programme(me, programme)
            page = page_of(Enrolment.objects.filter(id__in=ids).select_related("patient"), request, self)
            shown = enrolments.show(acting=me, rows=page.rows)
        return page.answer(shapes.EnrolledView, [told.enrolled_view(one) for one in shown])

    @extend_schema(
        summary="Enrol a patient, and ask for the consent",
        description=(
            "For the team's units, apart from every room. Whether the criterion is met is counted, and turns nobody "
            "away. Again: 200, and units that have joined the team since are asked for."
        ),
        request=shapes.EnrolIn,
        responses={201: shapes.EnrolmentView, 200: shapes.EnrolmentView},
    )
    @idempotent
    def post(self, request: Request, programme_id: UUID) -> Response:
        said = heard(shapes.EnrolIn, request)
        row, is_new = enrolments.enrol(acting=acting(request), programme_id=programme_id, patient_id=said["patient"])
        code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return Response(told.enrolment_view(row), status=code)

    def recheck(self, request: Request, programme_id: UUID) -> None:
        enrolments.still_open(acting(request), programme_id, heard(shapes.EnrolIn, request)["patient"])


class EnrolmentEnd(APIView):
    @extend_schema(
        summary="The patient is no longer in the programme",
        description="The keys on the patient's phones still call for help; the default programme answers then.",
        request=None,
        responses=shapes.EnrolmentView,
    )
    def post(self, request: Request, programme_id: UUID, enrolment_id: UUID) -> Response:
        row = enrolments.end(acting=acting(request), programme_id=programme_id, enrolment_id=enrolment_id)
        return Response(told.enrolment_view(row))


class Admissions(APIView):
    @extend_schema(summary="Admissions that count, newest first", responses=AdmissionsView)
    def get(self, request: Request, patient_id: UUID) -> Response:
        found = admissions.view(acting=acting(request), patient_id=patient_id)
        return Response({"results": [told.admission_view(one) for one in found], "next": None})

    @extend_schema(
        summary="Record an admission",
        description="The same ward on the same day is the same admission: 200.",
        request=shapes.AdmissionIn,
        responses={201: shapes.AdmissionView, 200: shapes.AdmissionView},
    )
    @idempotent
    def post(self, request: Request, patient_id: UUID) -> Response:
        said = heard(shapes.AdmissionIn, request)
        row, is_new = admissions.record_admission(
            acting=acting(request), patient_id=patient_id, ward_id=said["ward"], admitted_on=said["admitted_on"]
        )
        code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return Response(told.admission_view(row), status=code)

    def recheck(self, request: Request, patient_id: UUID) -> None:
        open_patient_of_team(acting(request), patient_id, act="admission.recorded")


class AdmissionTakeBack(APIView):
    @extend_schema(summary="It was recorded by mistake", request=None, responses=shapes.AdmissionView)
    def post(self, request: Request, patient_id: UUID, admission_id: UUID) -> Response:
        row = admissions.take_back(acting=acting(request), patient_id=patient_id, admission_id=admission_id)
        return Response(told.admission_view(row))


class Plan(APIView):
    """What to do on a bad day. Each answer is a look, and recorded."""

    @extend_schema(
        summary="The plan: whom to call, three lines, then the rest",
        description=(
            "What the patient does not share with me is null. Whoever answers the patient's call for help always "
            "sees whom to call."
        ),
        parameters=[shapes.WhichVersion],
        responses=shapes.PlanView,
    )
    def get(self, request: Request, patient_id: UUID) -> Response:
        which = shapes.WhichVersion(data=request.query_params.dict())
        which.is_valid(raise_exception=True)
        shown = plans.view(acting=acting(request), patient_id=patient_id, version=which.validated_data.get("version"))
        return Response(told.plan_view(patient_id, shown), headers=told.NOT_KEPT)

    @extend_schema(
        summary="The next version of the plan",
        description="409 `plan_changed` when somebody wrote a version after `based_on`.",
        request=shapes.PlanIn,
        responses={201: shapes.PlanVersionView},
        examples=[OpenApiExample("A plan", value=PLAN, request_only=True)],
    )
    @idempotent
    def post(self, request: Request, patient_id: UUID) -> Response:
        said = shapes.PlanIn(data=request.data)
        said.is_valid(raise_exception=True)
        row = plans.write(
            acting=acting(request),
            patient_id=patient_id,
            text=said.text(),
            made_with_patient=said.validated_data["made_with_patient"],
            based_on=said.validated_data.get("based_on"),
        )
        return Response(told.plan_version_view(row), status=status.HTTP_201_CREATED)

    def recheck(self, request: Request, patient_id: UUID) -> None:
        open_enrolled_patient(acting(request), patient_id, act="plan.made")


class PlanHistory(APIView):
    @extend_schema(summary="Every version: who wrote it, and when", responses=PlanVersionsView)
    def get(self, request: Request, patient_id: UUID) -> Response:
        found = plans.history(acting=acting(request), patient_id=patient_id)
        return Response({"results": [told.plan_version_view(one) for one in found], "next": None})


class OwnPlan(APIView):
    needs: ClassVar[Need] = "nothing"

    @extend_schema(summary="My own plan for bad days", responses=shapes.OwnPlanView)
    def get(self, request: Request) -> Response:
        row, text = plans.view_own(acting=acting(request))
        return Response(told.own_plan_view(row, text), headers=told.NOT_KEPT)
