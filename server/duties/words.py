"""What a duty says to whoever owes it, in plain words and without names (S12), and what was answered."""

from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from server.duties.models import Duty, Kind
from server.vault import actions as vault
from server.vault.errors import Unreadable

ANSWER = "duty.answer"

WORDS: dict[str, Any] = {
    Kind.OFFER_CALL: _("Offer the patient a call. Sharing has stopped; care has not."),
    Kind.CONSENT_ENDING: _(
        "Something you have agreed to share ends soon. Say yes again if it should go on. "
        "If you do nothing, the sharing stops; your care does not."
    ),
    Kind.CONSENT_RECORDED: _(
        "Staff have recorded a consent that you gave on paper or in speech. "
        "Read it: you can change it or withdraw it whenever you like."
    ),
    Kind.EMERGENCY_TOLD: _("Emergency access to a room has been used where you work. You are told so that you know."),
    Kind.EMERGENCY_USED: _(
        "Health personnel have used emergency access to one of your rooms. Your log says who and when."
    ),
    Kind.EMERGENCY_REVIEW: _("Emergency access has been used. Find out if it was right, and write what you found."),
    Kind.RECORD_UNREADABLE: _(
        "A consent record cannot be verified, so it lets nobody in. Find out why, and write what you found."
    ),
    Kind.ALERT_KEY_LOST: _(
        "A phone that a patient calls for help with has been lost or taken away. "
        "Make sure that the patient has another, or knows which number to ring."
    ),
    Kind.ALERT_KEY_MADE: _(
        "A phone can now call for help in your name. If it is not yours, take it away, and tell the team."
    ),
    Kind.ALERT_KEY_MADE_TOLD: _(
        "A patient has put the key to call for help on a phone. You are told so that you know."
    ),
    Kind.SHIFT_NOT_READY: _(
        "Somebody who is soon on call has not shown that they can be reached. Speak with them, or put another on call."
    ),
    Kind.ROSTER_GAP: _("Nobody is on call in a time to come. Look at the roster, and put somebody on call."),
    Kind.PHONE_LET_IN: _(
        "Staff have made a code that lets a phone into your account. Your log says who and when. "
        "If you were not with them, sign that phone out, and tell the team or the privacy officer."
    ),
    Kind.PHONE_LET_IN_TOLD: _(
        "Somebody where you work has let a phone into a patient's account with a code. You are told so that you know."
    ),
    Kind.ERASURE_COMING: _(
        "All that is held about you here is to be destroyed, for ever. Your log says who has asked for it. "
        "If you do not want it, tell the team or the privacy officer now."
    ),
    Kind.ERASURE_TOLD: _(
        "All that is held about a patient is to be destroyed, for ever. Look at it, and stop it if it is wrong."
    ),
    Kind.WAY_IN_CHANGED: _(
        "What you prove who you are with has been changed or used. "
        "If it was not you, sign out everywhere else, and tell whoever runs this service."
    ),
}


def answer_of(duty: Duty) -> str | None:
    """What was answered, or a word that says that its key is destroyed; None when nothing was."""
    if duty.answer_sealed is None:
        return None
    try:
        return vault.unseal(duty.answer_sealed, place=ANSWER, row=duty.id)
    except Unreadable:
        return gettext("(erased)")


def load_answers(duties: list[Duty]) -> None:
    """Fetch the keys of the answers on one page in one statement."""
    vault.load_keys([duty.patient_key for duty in duties if duty.answer_sealed is not None])
