"""The patient's lines in words, for somebody in distress (S12); and what a responder should think of before calling."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from server.alerts.view import Line
from server.people.hours import OSLO

WORDS: Mapping[str, Any] = {
    "registered": _("We have it, since %(time)s."),
    "device_received": _("A duty telephone has received it."),
    "answered": _("%(name)s has answered, and will call you from %(number)s."),
    "calling": _("%(name)s is calling you now, from %(number)s."),
    "in_contact": _("You have spoken with %(name)s."),
    "not_reached": _("%(name)s has called and not reached you. Call %(number)s if you can. They go on trying."),
    "calling_others": _("We do not know that anybody has called you. We are trying to reach others."),
    "cancelled": _("You have said that it was an accident. Somebody will call you all the same."),
    "duty_phone_told": _("A duty centre has been told."),
    "nobody_yet": _(
        "Nobody has answered yet. We go on trying. Ring the out-of-hours doctor at 116 117; in danger of life 113."
    ),
    "nobody_now": _(
        "Nobody has it now. We go on trying. Ring the out-of-hours doctor at 116 117; in danger of life 113."
    ),
    "closed": _("This is over. Press again if you need help."),
}
GUIDANCE: tuple[Any, ...] = (
    _("The alert comes from the patient's phone. You cannot know yet who holds it."),
    _("Do not name the service until you are sure who answers."),
    _("On voicemail: only your first name and the number to call back. Nothing else."),
)


def say(line: Line, names: Mapping[UUID, str], number: str) -> str:
    """One line in the reader's language; the time is the wall clock's in Oslo."""
    name = names.get(line.who, "") if line.who is not None else ""
    return str(WORDS[line.code]) % {
        "time": clock(line.at),
        "name": name or gettext("Somebody on call"),
        "number": number or gettext("a number that may be hidden"),
    }


def clock(at: datetime) -> str:
    return at.astimezone(OSLO).strftime("%H:%M:%S")
