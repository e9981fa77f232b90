"""What a finding asks, in plain words for an officer: what was compared, what tripped, and what may explain it.

No name stands in them, and no verdict. Written in English; `server/locale` says the same in bokmål and nynorsk.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.utils.translation import gettext_lazy as _

from server.review.odd import Kind

TITLES: dict[str, Any] = {
    Kind.LOOK_WITHOUT_ACT: _("A look that nothing followed"),
    Kind.MANY_PATIENTS: _("Many patients in a short time"),
    Kind.SAME_SURNAME: _("The same surname as the patient"),
    Kind.COLLEAGUE: _("The patient is a colleague"),
    Kind.SELF_GRANTED: _("Access that somebody gave themself"),
    Kind.EMERGENCY: _("Emergency access"),
    Kind.WITHDRAWAL: _("Access around a withdrawal"),
    Kind.DENIED: _("Denied again and again"),
    Kind.DORMANT: _("An account in use again after a long time"),
}

REASONS: dict[str, Any] = {
    Kind.LOOK_WITHOUT_ACT: _(
        "Somebody opened something about a patient who had not let them in personally, and did nothing for that "
        "patient in the %(days)s days after it. Perhaps they phoned, or it settled itself: the log does not know."
    ),
    Kind.MANY_PATIENTS: _(
        "Somebody opened %(patients)s different patients one by one within %(minutes)s minutes; the limit is "
        "%(limit)s. Perhaps they prepared a meeting or went through a list that they are in charge of."
    ),
    Kind.SAME_SURNAME: _(
        "Somebody opened something about a patient with the same last name, who had not let them in personally. "
        "Only the last names were compared. Most people with the same name are not related."
    ),
    Kind.COLLEAGUE: _(
        "Somebody opened something about a patient who works for the same organisation and had not let them in "
        "personally. Places of work were compared. Colleagues are patients too, and somebody has to help them."
    ),
    Kind.SELF_GRANTED: _(
        "Somebody opened the door for themself, and looked within %(hours)s hours: they recorded the relation, opened "
        "the room, asked to be let in or recorded a ground in law, and nobody else has answered in between. At a first "
        "meeting it can hardly be done otherwise."
    ),
    Kind.EMERGENCY: _(
        "Emergency access was used. It is always reviewed; the task to review it answers this question and closes it."
    ),
    Kind.WITHDRAWAL: _(
        "A patient stopped sharing. Compared were the %(minutes)s minutes before it (%(pages)s pages read; the limit "
        "is %(pages_limit)s) and the %(hours)s hours after it (denied %(tries)s times; the limit is %(tries_limit)s; "
        "looks by law or emergency: %(looks)s, each is asked about). Perhaps they were helping the patient just then."
    ),
    Kind.DENIED: _(
        "Somebody asked for what is not open to them %(times)s times within %(minutes)s minutes; the limit is "
        "%(limit)s. Perhaps a link was old, or an access that they need is missing."
    ),
    Kind.DORMANT: _(
        "An account without any act for at least %(days)s days has looked at a patient. Perhaps somebody is back from "
        "leave. Make sure that it was the person themself."
    ),
}

COMMON = _("The name is among the most common ones in the country.")
QUESTION = _("This is a question, not a reproach. Ask before you conclude.")


class Asked(NamedTuple):
    """In the language that is active."""

    title: str
    reason: str


def asked(kind: str, parameters: Mapping[str, int]) -> Asked:
    """What a finding asks."""
    said = [str(REASONS[kind]) % parameters]
    if parameters.get("common"):
        said.append(str(COMMON))
    said.append(str(QUESTION))
    return Asked(str(TITLES[kind]), " ".join(said))
