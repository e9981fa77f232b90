"""Addresses of this app, under `/api/v1/`."""

from django.urls import path

from server.alerts.api import calls, keys, nights, on_call, patients, programmes, rosters, shifts

urlpatterns = [
    path("alerts", calls.Alerts.as_view(), name="alerts"),
    path("alerts/<uuid:alert_id>", calls.AlertDetail.as_view(), name="alert"),
    path("alerts/<uuid:alert_id>/accept", calls.Accept.as_view(), name="alert-accept"),
    path("alerts/<uuid:alert_id>/calling", calls.Calling.as_view(), name="alert-calling"),
    path("alerts/<uuid:alert_id>/cancel", calls.Cancel.as_view(), name="alert-cancel"),
    path("alerts/<uuid:alert_id>/close", calls.Close.as_view(), name="alert-close"),
    path("alerts/<uuid:alert_id>/first-screen", calls.FirstScreen.as_view(), name="alert-first-screen"),
    path("alerts/<uuid:alert_id>/hand-over", calls.HandOver.as_view(), name="alert-hand-over"),
    path("alerts/<uuid:alert_id>/in-contact", calls.InContact.as_view(), name="alert-in-contact"),
    path("alerts/<uuid:alert_id>/not-reached", calls.NotReached.as_view(), name="alert-not-reached"),
    path("alerts/<uuid:alert_id>/notes", calls.Notes.as_view(), name="alert-notes"),
    path("alerts/<uuid:alert_id>/tasks/<slug:kind>/done", calls.TaskDone.as_view(), name="alert-task-done"),
    path("alerts/<uuid:alert_id>/timeline", calls.Timeline.as_view(), name="alert-timeline"),
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
    # --- who is on call ---
    path("on-call", on_call.OnCallDay.as_view(), name="on-call"),
    path("on-call/now", on_call.OnCallNow.as_view(), name="on-call-now"),
    path("programmes/<uuid:programme_id>/rotations", rosters.Rotations.as_view(), name="rotations"),
    path(
        "programmes/<uuid:programme_id>/rotations/<uuid:rotation_id>/end",
        rosters.RotationEnd.as_view(),
        name="rotation-end",
    ),
    path("programmes/<uuid:programme_id>/overrides", rosters.Overrides.as_view(), name="overrides"),
    path("programmes/<uuid:programme_id>/overrides/<uuid:override_id>", rosters.OneOverride.as_view(), name="override"),
    path("programmes/<uuid:programme_id>/shifts", rosters.ProgrammeShifts.as_view(), name="programme-shifts"),
    path("programmes/<uuid:programme_id>/roster-report", rosters.RosterReport.as_view(), name="roster-report"),
    path("programmes/<uuid:programme_id>/nights/<str:night>", nights.Night.as_view(), name="night"),
    path("programmes/<uuid:programme_id>/weekly", nights.Weekly.as_view(), name="weekly"),
    path("on-call/feeds", shifts.Feeds.as_view(), name="feeds"),
    path("on-call/feeds/<uuid:feed_id>", shifts.Feed.as_view(), name="feed"),
    path("on-call/feeds/<str:token>/shifts.ics", shifts.FeedShifts.as_view(), name="feed-shifts"),
    path("on-call/shifts.ics", shifts.OwnShifts.as_view(), name="own-shifts"),
    path("on-call/shifts/<uuid:shift_id>/confirm", shifts.ShiftConfirm.as_view(), name="shift-confirm"),
    path("on-call/shifts/<uuid:shift_id>/start", shifts.ShiftStart.as_view(), name="shift-start"),
    path("programmes/<uuid:programme_id>/figures", nights.Figures.as_view(), name="figures"),
]
