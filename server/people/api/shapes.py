"""Serializers: the words of this app's API."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from server.people import identity
from server.people.hours import is_open, next_attended
from server.people.models import Engagement, Language, Patient, RelationKind, Unit
from server.people.sealed import SafeContact, open_person

# --- requests -------------------------------------------------------------------------------------------


class UniformField(serializers.CharField):
    """A number that is made uniform; the error says what is wanted, never what came (law 9)."""

    default_error_messages: ClassVar[dict[str, Any]] = {"unusable": _("This is not a usable number.")}

    def uniform(self, text: str) -> str:
        raise NotImplementedError

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            return self.uniform(text)
        except identity.Unusable:
            self.fail("unusable")


class IdentityNumberField(UniformField):
    """National identity number, D-number or synthetic test number."""

    def uniform(self, text: str) -> str:
        return identity.national_identity_number(text)


class TelephoneField(UniformField):
    """Telephone number; answered as E.164."""

    def uniform(self, text: str) -> str:
        return identity.telephone(text)


class SignInIn(serializers.Serializer[Any]):
    persona = serializers.CharField(max_length=50)
    cookie = serializers.BooleanField(default=False, help_text="Set an HttpOnly cookie; the token is then null.")


class EngagementChoiceIn(serializers.Serializer[Any]):
    engagement = serializers.UUIDField()


class MeIn(serializers.Serializer[Any]):
    language = serializers.ChoiceField(choices=Language.choices, required=False)


class SafeContactShape(serializers.Serializer[Any]):
    """Is it safe to call, text or leave a message, and who else may answer."""

    may_call = serializers.BooleanField(default=False)
    may_text = serializers.BooleanField(default=False)
    may_leave_message = serializers.BooleanField(default=False)
    others_may_answer = serializers.CharField(max_length=300, allow_blank=True, default="")


class RelationIn(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=RelationKind.choices)
    reason = serializers.CharField(max_length=500)


class PatientIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=200)
    national_identity_number = IdentityNumberField(max_length=20, write_only=True)
    language = serializers.ChoiceField(choices=Language.choices, default=Language.BOKMAL)
    phone = TelephoneField(max_length=30, allow_blank=True, default="")
    phone_verified = serializers.BooleanField(default=False, help_text="The number was checked with the patient.")
    safe_contact = SafeContactShape(default=dict)
    address_protected = serializers.BooleanField(default=False)
    relation = RelationIn()

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `actions.register_patient`."""
        data = dict(self.validated_data)
        relation, contact = data.pop("relation"), data.pop("safe_contact")
        number = data.pop("national_identity_number")
        return {
            **data,
            "number": number,
            "safe_contact": SafeContact(**contact),
            "relation_kind": relation["kind"],
            "reason": relation["reason"],
        }


class DirectoryQuery(serializers.Serializer[Any]):
    q = serializers.CharField(
        required=False, allow_blank=True, max_length=100, help_text="Part of a name, a role or a unit's name."
    )
    unit = serializers.UUIDField(required=False)
    role = serializers.CharField(required=False, allow_blank=True, max_length=40, help_text="Part of a role.")


# --- answers ----------------------------------------------------------------------------------------------


class SignedInOut(serializers.Serializer[Any]):
    token = serializers.CharField(allow_null=True)
    user = serializers.UUIDField()


class ControllerOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    org_number = serializers.CharField()
    name = serializers.CharField()


class UnitOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.CharField()
    controller = ControllerOut()


class EngagementOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    unit = UnitOut()
    role = serializers.CharField()
    health_personnel = serializers.BooleanField()
    valid_from = serializers.DateTimeField()
    valid_to = serializers.DateTimeField(allow_null=True)
    acting_for = serializers.BooleanField()


class AppointmentOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    controller = ControllerOut()


class SessionOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    sign_in = serializers.CharField()
    level = serializers.IntegerField()
    valid_until = serializers.DateTimeField(help_text="The token opens doors until then.")
    idle_until = serializers.DateTimeField(
        allow_null=True, help_text="Over by then unless refreshed; null: it cannot be."
    )
    ends_at = serializers.DateTimeField(help_text="Over by then in any case.")
    proved_at = serializers.DateTimeField(allow_null=True, help_text="When its owner last proved who they are.")


class MeOut(serializers.Serializer[Any]):
    user = serializers.UUIDField()
    name = serializers.CharField()
    language = serializers.CharField()
    kind = serializers.ChoiceField(choices=["patient", "staff", "officer", "administrator", "nobody"])
    patient = serializers.UUIDField(allow_null=True)
    engagements = EngagementOut(many=True)
    appointment = AppointmentOut(allow_null=True)
    capabilities = serializers.ListField(child=serializers.CharField())
    session = SessionOut()


class AttendantOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()


class ContactPointOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    label = serializers.CharField()  # type: ignore[assignment]
    user = AttendantOut(allow_null=True)


class OrganisationOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    org_number = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.CharField()
    controller = ControllerOut()
    contact_points = ContactPointOut(many=True)
    response_hours = serializers.IntegerField(help_text="Agreed response time, in attended hours.")
    office_hours = serializers.DictField(
        child=serializers.ListField(child=serializers.ListField(child=serializers.CharField())),
        help_text="Wall-clock intervals per day (Europe/Oslo); `holiday` holds on public holidays.",
    )
    attended = serializers.BooleanField()
    next_attended_at = serializers.DateTimeField(allow_null=True)


class DirectoryOut(serializers.Serializer[Any]):
    user = serializers.UUIDField()
    name = serializers.CharField()
    role = serializers.CharField()
    health_personnel = serializers.BooleanField()
    engagement = serializers.UUIDField()
    unit = UnitOut()


class PatientShortOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    user = serializers.UUIDField(allow_null=True)
    name = serializers.CharField()
    language = serializers.CharField()
    address_protected = serializers.BooleanField()


class PatientOut(PatientShortOut):
    phone = serializers.CharField(allow_blank=True, help_text="E.164, or empty.")
    phone_verified = serializers.BooleanField()
    safe_contact = SafeContactShape()


def engagement_shape(engagement: Engagement, acted_for: UUID | None) -> dict[str, Any]:
    return {
        "id": engagement.id,
        "unit": engagement.unit,
        "role": engagement.role,
        "health_personnel": engagement.health_personnel,
        "valid_from": engagement.valid_from,
        "valid_to": engagement.valid_to,
        "acting_for": engagement.id == acted_for,
    }


def organisation_shape(unit: Unit, at: datetime) -> dict[str, Any]:
    """A unit with its attendance at `at`."""
    return {
        "id": unit.id,
        "org_number": unit.org_number,
        "name": unit.name,
        "kind": unit.kind,
        "controller": unit.controller,
        "contact_points": unit.contact_points.all(),
        "response_hours": unit.response_hours,
        "office_hours": unit.office_hours,
        "attended": is_open(unit.office_hours, at),
        "next_attended_at": next_attended(unit.office_hours, at),
    }


def directory_shape(engagement: Engagement) -> dict[str, Any]:
    return {
        "user": engagement.user_id,
        "name": engagement.user.name,
        "role": engagement.role,
        "health_personnel": engagement.health_personnel,
        "engagement": engagement.id,
        "unit": engagement.unit,
    }


def patient_shape(patient: Patient) -> dict[str, Any]:
    """The detail of a patient; its key should be loaded."""
    return dict(PatientOut(open_person(patient)).data)
