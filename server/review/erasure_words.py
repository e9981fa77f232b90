"""What stands in the way of an erasure, in plain words: what it is, and who can do what about it."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from server.review.erasure_decide import Obstacle

WORDS: dict[str, Any] = {
    "also_works": _("The patient also works with this account. Give them another one for work first."),
    "authors_may_export": _("Those who wrote in the rooms may still take out what they wrote."),
    "duty": _("A task that concerns the patient is not done."),
    "emergency_access": _("Emergency access is open, or the patient has not been told of it."),
    "enrolment": _("The patient is in an after-hours service. Its team ends that."),
    "export": _("Somebody is taking out what is held about the patient. Wait until they are done."),
    "finding": _("A question about an access to what is the patient's is not answered and closed."),
    "ground": _("Somebody takes part in a room by law. Whoever recorded the ground ends it."),
    "must_be_kept": _("The archive rules say that some of it must be kept longer."),
    "open_alert": _("A call for help from the patient is open. Whoever has it closes it."),
    "open_elsewhere": _("Another controller has something open about the patient. Ask its officer."),
    "open_room": _("Somebody takes part in a room with the patient, or waits for it. They leave, or are taken out."),
    "part_missing": _("A controller has not said that it has exported what it must keep, or needs none of it."),
    "relation": _("A unit still helps the patient. It ends that first."),
    "rules_unconfirmed": _(
        "Nobody with the authority has confirmed for how long what is held must be kept. Ask the administrators."
    ),
    "running_consent": _("A consent runs, or an answer is waited for. The patient withdraws it, or it runs out."),
    "shield": _(
        "An employee who has had to do with the patient is shielded. Ask whether what is held is still needed."
    ),
    "unconfirmed": _("Another officer has not confirmed it."),
    "waiting_time": _("The time to think better of it is not over."),
}


def words(obstacle: Obstacle) -> str:
    """In the language that is active."""
    return str(WORDS[obstacle.code])
