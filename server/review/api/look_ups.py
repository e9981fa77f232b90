"""REST for officers who need to know whom a name or a number is: parse, call, answer."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, PolymorphicProxySerializer, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.people.actors import acting
from server.people.api.shapes import IdentityNumberField
from server.people.models import Engagement
from server.review import look_ups
from server.review.access import require_officer

KINDS = ["patient", "staff"]
TYPES = {"patient": look_ups.PATIENT, "staff": look_ups.STAFF}
NEEDED = {"patient": "identity_number", "staff": "name"}


class LookUpBody(serializers.Serializer[Any]):
    """A patient is looked up by `identity_number`, staff by `name`."""

    kind = serializers.ChoiceField(choices=KINDS)
    identity_number = IdentityNumberField(
        max_length=20, required=False, write_only=True, help_text="Of a patient; kept nowhere, and logged nowhere."
    )
    name = serializers.RegexField(
        r"^[^\d]+\Z", min_length=2, max_length=100, required=False, help_text="Of staff, or a part of it; no digits."
    )
    reason = serializers.CharField(
        min_length=10, max_length=2000, help_text="Why, in the officer's words; sealed, and kept with the look-up."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        needed = NEEDED[attrs["kind"]]
        if needed not in attrs:
            raise serializers.ValidationError({needed: [self.fields[needed].error_messages["required"]]}, "required")
        return attrs


class FoundPatient(serializers.Serializer[Any]):
    patient = serializers.UUIDField()


class PatientsFound(serializers.Serializer[Any]):
    """One, or none."""

    results = FoundPatient(many=True)


class FoundStaff(serializers.Serializer[Any]):
    """One place of work; `current` is false once it has ended."""

    user = serializers.UUIDField()
    name = serializers.CharField()
    unit = serializers.UUIDField()
    unit_name = serializers.CharField()
    role = serializers.CharField()
    current = serializers.BooleanField()


class StaffFound(serializers.Serializer[Any]):
    """`more`: others fit too; give more of the name."""

    results = FoundStaff(many=True)
    more = serializers.BooleanField()


class LookUps(APIView):
    """Each asking is a look, and on record as one. A POST, so that no address holds a name or a number."""

    throttle_scope = "look-up"

    @extend_schema(
        summary="Find a patient by identity number, or staff by name, for a written reason",
        description="A patient who has, or has had, to do with the controller; of everybody else the answer is the "
        "same empty list. It stands in the patient's own log. Staff who work, or have worked, for the controller.",
        request=LookUpBody,
        responses=PolymorphicProxySerializer(
            component_name="LookUpFound", serializers=[PatientsFound, StaffFound], resource_type_field_name=None
        ),
        examples=[
            OpenApiExample(
                "A patient",
                value={"kind": "patient", "identity_number": "13486040364", "reason": "Krav om innsyn i brev."},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        me = acting(request)
        kind = request.data.get("kind") if isinstance(request.data, dict) else ""
        require_officer(me, TYPES.get(str(kind), look_ups.STAFF))
        body = LookUpBody(data=request.data)
        body.is_valid(raise_exception=True)
        said = body.validated_data
        answer: dict[str, Any]
        if said["kind"] == "patient":
            found = look_ups.patient(acting=me, number=said["identity_number"], reason=said["reason"])
            answer = {"results": [] if found is None else [{"patient": str(found)}]}
        else:
            staff = look_ups.staff(acting=me, words=said["name"], reason=said["reason"])
            answer = {"results": [view(one) for one in staff.found], "more": staff.more}
        return Response(answer, headers={"Cache-Control": "no-store"})


def view(engagement: Engagement) -> dict[str, Any]:
    return {
        "user": str(engagement.user_id),
        "name": engagement.user.name,
        "unit": str(engagement.unit_id),
        "unit_name": engagement.unit.name,
        "role": engagement.role,
        "current": engagement.current,  # type: ignore[attr-defined] # annotated
    }
