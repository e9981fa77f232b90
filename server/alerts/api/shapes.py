"""Serializers: the words of this part of the API."""

from typing import Any

from rest_framework import serializers

from server.alerts import plan as plans
from server.alerts import policy
from server.alerts.api.fields import CriterionField, DutyNumberField, ExceptionsField, LineField, OfficeHoursField
from server.alerts.plan import PlanText
from server.people.api.shapes import SafeContactShape, TelephoneField

# --- requests --------------------------------------------------------------------------------------------


class ProgrammeIn(serializers.Serializer[Any]):
    code = serializers.SlugField(max_length=40)
    name = serializers.CharField(max_length=200)
    unit = serializers.UUIDField()
    is_default = serializers.BooleanField(default=False, help_text="Takes calls of patients who are in no programme.")


class ProgrammeChange(serializers.Serializer[Any]):
    """Only what is sent changes. `is_default` is an administrator's, all else is whoever's leads the team."""

    name = serializers.CharField(max_length=200, required=False)
    criterion = CriterionField(required=False)
    office_hours = OfficeHoursField(required=False)
    exceptions = ExceptionsField(required=False)
    on_call_number = DutyNumberField(max_length=30, allow_blank=True, required=False)
    final_number = DutyNumberField(
        max_length=30, allow_blank=True, required=False, help_text="A telephone staffed round the clock."
    )
    final_answered_by = serializers.CharField(max_length=200, allow_blank=True, required=False)
    final_agreement = serializers.CharField(
        max_length=200, allow_blank=True, required=False, help_text="Where the written agreement is filed."
    )
    final_agreed_on = serializers.DateField(allow_null=True, required=False)
    is_default = serializers.BooleanField(required=False)


class MemberIn(serializers.Serializer[Any]):
    user = serializers.UUIDField()
    leads = serializers.BooleanField(default=False)
    day_contact = serializers.BooleanField(default=False)


class MemberChange(serializers.Serializer[Any]):
    leads = serializers.BooleanField(required=False)
    day_contact = serializers.BooleanField(required=False)


class StepShape(serializers.Serializer[Any]):
    """`targets`: `on_call_now`, `on_call_next`, `team`, `day_contact`, `final`, or `person:` and a user's id."""

    targets = serializers.ListField(child=serializers.CharField(), min_length=1, max_length=20)
    wait_s = serializers.IntegerField(min_value=policy.MIN_WAIT_S, max_value=policy.MAX_WAIT_S, required=False)
    channels = serializers.ListField(child=serializers.ChoiceField(choices=policy.CHANNELS), required=False)
    voice_after_s = serializers.IntegerField(min_value=0, max_value=policy.VOICE_S, required=False)


class PolicyIn(serializers.Serializer[Any]):
    """At most ten steps; one of them calls `final`."""

    steps = StepShape(many=True)


class EnrolIn(serializers.Serializer[Any]):
    patient = serializers.UUIDField()


class AdmissionIn(serializers.Serializer[Any]):
    ward = serializers.UUIDField(help_text="The unit's id.")
    admitted_on = serializers.DateField()


class ContactShape(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=plans.NAME)
    relation = serializers.CharField(max_length=plans.NAME, allow_blank=True, default="")
    number = TelephoneField(max_length=30)


class PlanTextShape(serializers.Serializer[Any]):
    """Three lines that are read in seconds, then the rest."""

    danger = LineField(help_text="What is dangerous.")
    helps = LineField(help_text="What helps.")
    bring_in = LineField(help_text="Whom to bring in.")
    rest = serializers.CharField(max_length=plans.REST, allow_blank=True, default="")
    contacts = serializers.ListField(child=ContactShape(), max_length=plans.CONTACTS, default=list)


class PlanIn(PlanTextShape):
    made_with_patient = serializers.BooleanField()
    based_on = serializers.IntegerField(
        min_value=0, max_value=2**31 - 1, required=False, help_text="The version that was changed; 0: there was none."
    )

    def text(self) -> PlanText:
        said = self.validated_data
        contacts = tuple(plans.Contact(**one) for one in said["contacts"])
        return PlanText(said["danger"], said["helps"], said["bring_in"], said["rest"], contacts)


class WhichVersion(serializers.Serializer[Any]):
    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False)


class AlertKeyIn(serializers.Serializer[Any]):
    label = serializers.CharField(  # type: ignore[assignment] # the field's name in JSON
        max_length=60, allow_blank=True, default="", help_text="Your own name for the phone; the team sees it."
    )


# --- answers ---------------------------------------------------------------------------------------------


class ProgrammeView(serializers.Serializer[Any]):
    """`missing` are codes of what it lacks before it can open."""

    id = serializers.UUIDField()
    code = serializers.CharField()
    name = serializers.CharField()
    unit = serializers.UUIDField()
    criterion = serializers.JSONField()
    office_hours = serializers.JSONField()
    exceptions = serializers.JSONField()
    on_call_number = serializers.CharField(allow_blank=True)
    final_number = serializers.CharField(allow_blank=True)
    final_answered_by = serializers.CharField(allow_blank=True)
    final_agreement = serializers.CharField(allow_blank=True)
    final_agreed_on = serializers.DateField(allow_null=True)
    is_default = serializers.BooleanField()
    is_open = serializers.BooleanField()
    opened_at = serializers.DateTimeField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)
    missing = serializers.ListField(child=serializers.CharField())
    mine = serializers.BooleanField(help_text="I am in its team.")
    leads = serializers.BooleanField(help_text="I lead its team.")


class TeamMemberView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    user = serializers.UUIDField()
    name = serializers.CharField()
    role = serializers.CharField()
    unit = serializers.UUIDField()
    leads = serializers.BooleanField()
    day_contact = serializers.BooleanField()
    since = serializers.DateTimeField()


class PolicyView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    version = serializers.IntegerField()
    steps = StepShape(many=True)
    made_at = serializers.DateTimeField()
    made_by = serializers.UUIDField(allow_null=True)


class EnrolmentView(serializers.Serializer[Any]):
    """`consent` is the id of what the patient was asked; null for a patient who cannot sign in yet."""

    id = serializers.UUIDField()
    programme = serializers.UUIDField()
    patient = serializers.UUIDField()
    consent = serializers.UUIDField(allow_null=True)
    meets_criterion = serializers.BooleanField(help_text="As counted then; it advises.")
    enrolled_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class EnrolledView(EnrolmentView):
    name = serializers.CharField()
    consent_state = serializers.CharField(allow_blank=True)
    shares = serializers.BooleanField(help_text="The patient shares the plan with me.")


class AdmissionView(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    ward = serializers.UUIDField()
    admitted_on = serializers.DateField()
    recorded_at = serializers.DateTimeField()
    recorded_by = serializers.UUIDField()
    taken_back_at = serializers.DateTimeField(allow_null=True)


class PlanVersionView(serializers.Serializer[Any]):
    version = serializers.IntegerField()
    made_at = serializers.DateTimeField()
    made_by = serializers.UUIDField()
    made_with_patient = serializers.BooleanField()


class PersonView(serializers.Serializer[Any]):
    name = serializers.CharField()
    phone = serializers.CharField(allow_blank=True)
    language = serializers.CharField()
    safe_contact = SafeContactShape()


class OwnPlanView(serializers.Serializer[Any]):
    """`made` is null while there is no plan; `plan` too where it cannot be shown."""

    made = PlanVersionView(allow_null=True)
    plan = PlanTextShape(allow_null=True)


class PlanView(OwnPlanView):
    """`person` is whom to call, null where that is not shared; `shared`: the patient shares the plan with me."""

    patient = serializers.UUIDField()
    person = PersonView(allow_null=True)
    shared = serializers.BooleanField()


class AlertKeyView(serializers.Serializer[Any]):
    """`revoked_because`: `lost`, `removed` (by the patient) or `by_team`."""

    id = serializers.UUIDField()
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment] # the field's name in JSON
    made_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)
    revoked_because = serializers.CharField(allow_blank=True)


class NewAlertKeyView(serializers.Serializer[Any]):
    """`key` is told this once; keep it where no other app reads it. Null where it has been told before."""

    id = serializers.UUIDField()
    key = serializers.CharField(allow_null=True)
