"""Paths of the after-hours service, for `paths.ROUTES`: they hold nothing of any room. What keeps strangers, former
members and whom the patient has excluded out of them is shown where they are tested (tests/alerts, tests/notify).
"""

from tests.exposure.asks import Plain

_CALL = "a call for help, and what became of it"
_OF_PROGRAMME = "an after-hours service: people on call and numbers"
_OF_PATIENT = "the plan for bad days, admissions and phones of a patient in the service"
_KEYS = "phones that can call for help"
_NIGHT = "calls for help of a night or a week, for the team"
_ROSTER = "who is on call, and when"

WHY: dict[str, tuple[str, ...]] = {
    _CALL: (
        "GET alerts",
        "GET alerts/{alert_id}",
        "PUT alerts/{alert_id}",
        "GET alerts/{alert_id}/first-screen",
        "GET alerts/{alert_id}/timeline",
        "POST alerts/{alert_id}/accept",
        "POST alerts/{alert_id}/calling",
        "POST alerts/{alert_id}/cancel",
        "POST alerts/{alert_id}/close",
        "POST alerts/{alert_id}/hand-over",
        "POST alerts/{alert_id}/in-contact",
        "POST alerts/{alert_id}/not-reached",
        "POST alerts/{alert_id}/notes",
        "POST alerts/{alert_id}/tasks/{kind}/done",
    ),
    _NIGHT: (
        "GET programmes/{programme_id}/figures",
        "GET programmes/{programme_id}/nights/{night}",
        "GET programmes/{programme_id}/weekly",
    ),
    _ROSTER: (
        "GET on-call",
        "GET on-call/now",
        "GET on-call/feeds",
        "POST on-call/feeds",
        "DELETE on-call/feeds/{feed_id}",
        "GET on-call/feeds/{token}/shifts.ics",
        "GET on-call/shifts.ics",
        "POST on-call/shifts/{shift_id}/confirm",
        "POST on-call/shifts/{shift_id}/start",
        "GET programmes/{programme_id}/overrides",
        "POST programmes/{programme_id}/overrides",
        "DELETE programmes/{programme_id}/overrides/{override_id}",
        "GET programmes/{programme_id}/roster-report",
        "GET programmes/{programme_id}/rotations",
        "POST programmes/{programme_id}/rotations",
        "POST programmes/{programme_id}/rotations/{rotation_id}/end",
        "GET programmes/{programme_id}/shifts",
    ),
    _KEYS: (
        "GET alert-keys",
        "POST alert-keys",
        "DELETE alert-keys/{key_id}",
        "POST alert-keys/{key_id}/lost",
        "GET patients/{patient_id}/alert-keys",
        "DELETE patients/{patient_id}/alert-keys/{key_id}",
    ),
    _OF_PATIENT: (
        "GET me/plan",
        "GET patients/{patient_id}/admissions",
        "POST patients/{patient_id}/admissions",
        "POST patients/{patient_id}/admissions/{admission_id}/take-back",
        "GET patients/{patient_id}/plan",
        "POST patients/{patient_id}/plan",
        "GET patients/{patient_id}/plan/history",
    ),
    _OF_PROGRAMME: (
        "GET programmes",
        "POST programmes",
        "GET programmes/{programme_id}",
        "PATCH programmes/{programme_id}",
        "POST programmes/{programme_id}/close",
        "POST programmes/{programme_id}/open",
        "GET programmes/{programme_id}/enrolments",
        "POST programmes/{programme_id}/enrolments",
        "POST programmes/{programme_id}/enrolments/{enrolment_id}/end",
        "GET programmes/{programme_id}/policies",
        "POST programmes/{programme_id}/policies",
        "GET programmes/{programme_id}/team",
        "POST programmes/{programme_id}/team",
        "PATCH programmes/{programme_id}/team/{member_id}",
        "DELETE programmes/{programme_id}/team/{member_id}",
    ),
}
ROUTES: dict[str, Plain] = {path: Plain(why, ()) for why, listed in WHY.items() for path in listed}
