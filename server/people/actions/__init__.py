"""The verbs of this app. Keyword-only; one transaction and one audit entry each; hints after the commit."""

from server.people.actions.identities import record_identity
from server.people.actions.organisations import end_agreement, register_agreement, register_controller, register_unit
from server.people.actions.patients import (
    Registered,
    end_relation,
    open_account,
    record_look,
    record_relation,
    register_patient,
    view_patient,
)
from server.people.actions.sessions import (
    choose_engagement,
    end_all_sessions,
    end_session,
    end_spent_sessions,
    set_language,
    sign_in,
    sign_in_until,
)
from server.people.actions.staff import (
    appoint_log_verifier,
    appoint_officer,
    deactivate_user,
    end_appointment,
    end_engagement,
    engage,
)

__all__ = [
    "Registered",
    "appoint_log_verifier",
    "appoint_officer",
    "choose_engagement",
    "deactivate_user",
    "end_agreement",
    "end_all_sessions",
    "end_appointment",
    "end_engagement",
    "end_relation",
    "end_session",
    "end_spent_sessions",
    "engage",
    "open_account",
    "record_identity",
    "record_look",
    "record_relation",
    "register_agreement",
    "register_controller",
    "register_patient",
    "register_unit",
    "set_language",
    "sign_in",
    "sign_in_until",
    "view_patient",
]
