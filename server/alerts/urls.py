"""Addresses of this app, under `/api/v1/`."""

from django.urls import path

from server.alerts.api import keys, patients, programmes

urlpatterns = [
    path("programmes", programmes.Programmes.as_view(), name="programmes"),
    path("programmes/<uuid:programme_id>", programmes.OneProgramme.as_view(), name="programme"),
    path("programmes/<uuid:programme_id>/open", programmes.ProgrammeOpen.as_view(), name="programme-open"),
    path("programmes/<uuid:programme_id>/close", programmes.ProgrammeClose.as_view(), name="programme-close"),
    path("programmes/<uuid:programme_id>/team", programmes.Team.as_view(), name="team"),
    path("programmes/<uuid:programme_id>/team/<uuid:member_id>", programmes.TeamMember.as_view(), name="team-member"),
    path("programmes/<uuid:programme_id>/policies", programmes.Policies.as_view(), name="policies"),
    path("programmes/<uuid:programme_id>/enrolments", patients.Enrolments.as_view(), name="enrolments"),
    path(
        "programmes/<uuid:programme_id>/enrolments/<uuid:enrolment_id>/end",
        patients.EnrolmentEnd.as_view(),
        name="enrolment-end",
    ),
    path("patients/<uuid:patient_id>/admissions", patients.Admissions.as_view(), name="admissions"),
    path(
        "patients/<uuid:patient_id>/admissions/<uuid:admission_id>/take-back",
        patients.AdmissionTakeBack.as_view(),
        name="admission-take-back",
    ),
    path("patients/<uuid:patient_id>/plan", patients.Plan.as_view(), name="plan"),
    path("patients/<uuid:patient_id>/plan/history", patients.PlanHistory.as_view(), name="plan-history"),
    path("me/plan", patients.OwnPlan.as_view(), name="own-plan"),
    path("alert-keys", keys.AlertKeys.as_view(), name="alert-keys"),
    path("alert-keys/<uuid:key_id>", keys.AlertKey.as_view(), name="alert-key"),
    path("alert-keys/<uuid:key_id>/lost", keys.AlertKeyLost.as_view(), name="alert-key-lost"),
    path("patients/<uuid:patient_id>/alert-keys", keys.PatientAlertKeys.as_view(), name="patient-alert-keys"),
    path(
        "patients/<uuid:patient_id>/alert-keys/<uuid:key_id>", keys.PatientAlertKey.as_view(), name="patient-alert-key"
    ),
]
