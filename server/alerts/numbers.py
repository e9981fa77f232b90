"""Telephone numbers that stand in every answer about a call for help, from the first second (M3)."""

from typing import Any

from django.utils.translation import gettext as _

from server.alerts.models import Programme

EMERGENCY, OUT_OF_HOURS = "113", "116117"


def numbers_of(programme: Programme | None) -> list[dict[str, Any]]:
    """The duty telephone, where there is one, and the two that always answer."""
    found = []
    if programme is not None and programme.on_call_number:
        found.append({"code": "on_call", "number": programme.on_call_number, "label": _("Duty telephone")})
    found.append({"code": "out_of_hours", "number": OUT_OF_HOURS, "label": _("Out-of-hours doctor")})
    found.append({"code": "emergency", "number": EMERGENCY, "label": _("In danger of life")})
    return found
