"""What sections and fields are called on the page. A field without words is shown by its own name, which a machine
reads in the other file."""

from typing import Any

from django.utils.translation import gettext_lazy as _

_WHEN_MADE, _WHEN_ENDED, _ROOM = _("Recorded"), _("Ended"), _("Room")

TITLES: dict[str, Any] = {
    "account": _("Your account"),
    "acts": _("What you have done here"),
    "addresses": _("Where you are reached"),
    "admissions": _("Admissions"),
    "alert_aliases": _("Calls for help that were sent again"),
    "alert_events": _("What happened with your calls for help"),
    "alert_keys": _("Phones that can call for help"),
    "alert_tasks": _("What was to be done after your calls for help"),
    "alerts": _("Your calls for help"),
    "appointments": _("Appointments"),
    "calendar_feeds": _("Private calendar addresses"),
    "consent_versions": _("What you have answered, word by word"),
    "consents": _("What you have been asked for"),
    "contact": _("How you may be reached"),
    "contact_points": _("Contact points"),
    "deliveries": _("Messages that were sent to you"),
    "duties": _("Tasks"),
    "emergency_access": _("Emergency access"),
    "engagements": _("Where you work"),
    "enrolments": _("After-hours services"),
    "erasures": _("Requests to destroy what is held about you"),
    "exports": _("Copies that were taken out"),
    "grounds": _("Who has taken part by law"),
    "identity": _("That your identity number leads to this account"),
    "log": _("Who has seen or changed what is about you"),
    "members": _("Who takes part in your rooms"),
    "messages": _("The conversation"),
    "one_time_codes": _("One-time codes for signing in"),
    "overrides": _("Exceptions in rosters"),
    "passkeys": _("Passkeys"),
    "person": _("What is registered about you"),
    "places_in_rooms": _("Rooms where you take part"),
    "plans": _("Plans for bad days"),
    "quiet_hours": _("When you are not disturbed"),
    "recovery_codes": _("Recovery codes"),
    "relations": _("Who helps you, and why"),
    "rooms": _("Your rooms"),
    "sessions": _("Devices that were signed in"),
    "shields": _("That patients see a code in place of your name"),
    "shift_checks": _("Whether you could be reached before a shift"),
    "shifts": _("Shifts"),
    "sign_in_codes": _("Codes for signing in that you were given in person"),
    "teams": _("Teams of after-hours services"),
}

LABELS: dict[str, Any] = {
    "actor_id": _("Who"),
    "at": _("When"),
    "begun_at": _("Begun"),
    "controller_id": _("Organisation"),
    "created_at": _WHEN_MADE,
    "document": _("As it was sealed"),
    "done_at": _("Done"),
    "ended_at": _WHEN_ENDED,
    "home_id": _("Organisation"),
    "kind": _("Kind"),
    "language": _("Language"),
    "made_at": _WHEN_MADE,
    "made_by_id": _("By"),
    "minute_sealed": _("Minute"),
    "name": _("Name"),
    "name_sealed": _("Name"),
    "others_may_answer_sealed": _("Who else may answer the telephone"),
    "phone_sealed": _("Telephone"),
    "plan_sealed": _("What the plan says"),
    "purpose": _("Purpose"),
    "reason_sealed": _("Reason"),
    "recorded_at": _WHEN_MADE,
    "recorded_by_id": _("By"),
    "registered_at": _WHEN_MADE,
    "remark_sealed": _("Remark"),
    "role": _("Role"),
    "room_id": _ROOM,
    "sealed": _("Text"),
    "sender_id": _("By"),
    "state": _("State"),
    "text_sealed": _("Text"),
    "unit_id": _("Unit"),
    "user_id": _("Who"),
    "valid_from": _("From"),
    "valid_to": _("To"),
    "words": _("What"),
}


def title(section: str) -> Any:
    return TITLES[section]


def label(field: str) -> str:
    return str(LABELS.get(field, field))
