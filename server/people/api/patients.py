"""`patients`: those to whom the unit acted for has a relation."""

from uuid import UUID

from django.db import transaction
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.common.idempotency import idempotent
from server.common.pagination import KeyCursorPagination
from server.people import actions
from server.people.access import patients_of, recheck_registered
from server.people.actors import acting
from server.people.api import shapes
from server.people.api.paging import page_of
from server.people.sealed import load_keys, open_person

SYNTHETIC = {
    "name": "Test Testesen",
    "national_identity_number": "13486040364",
    "language": "nb",
    "phone": "+4799999999",
    "phone_verified": True,
    "safe_contact": {"may_call": True, "may_text": True, "may_leave_message": False, "others_may_answer": ""},
    "address_protected": False,
    "relation": {"kind": "treatment", "reason": "Henvist av fastlegen"},
}


class Patients(APIView):
    """Patients of the unit acted for. Each page is a look, and recorded."""

    pagination_class = KeyCursorPagination

    @extend_schema(summary="Patients of my unit", responses=shapes.PatientShortOut(many=True))
    def get(self, request: Request) -> Response:
        who = acting(request)
        with transaction.atomic():
            page = page_of(patients_of(who), request, self)
            load_keys(page.rows)
            actions.record_look(acting=who, patients=page.rows)
        return page.answer(shapes.PatientShortOut, [open_person(one) for one in page.rows])

    @extend_schema(
        summary="Register a patient, or a relation to one",
        description="When the number is registered already, only the relation is recorded; nothing is overwritten.",
        request=shapes.PatientIn,
        responses={201: shapes.PatientOut, 200: shapes.PatientOut},
        examples=[OpenApiExample("Synthetic person", value=SYNTHETIC, request_only=True)],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        asked = shapes.PatientIn(data=request.data)
        asked.is_valid(raise_exception=True)
        registered = actions.register_patient(acting=acting(request), **asked.arguments())
        code = status.HTTP_201_CREATED if registered.created else status.HTTP_200_OK
        return Response(shapes.patient_shape(registered.patient), status=code)

    def recheck(self, request: Request) -> None:
        asked = shapes.PatientIn(data=request.data)
        asked.is_valid(raise_exception=True)
        recheck_registered(acting(request), asked.validated_data["national_identity_number"])


class PatientDetail(APIView):
    """One patient. Each answer is a look, and recorded."""

    @extend_schema(summary="A patient", responses=shapes.PatientOut)
    def get(self, request: Request, patient_id: UUID) -> Response:
        return Response(shapes.patient_shape(actions.view_patient(acting=acting(request), patient_id=patient_id)))
