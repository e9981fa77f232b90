"""What a code means, in plain words for whoever reads it, perhaps in distress (S12). Codes absent here are answered
with the title of their class. Written in English; `server/locale` says the same in bokmål and nynorsk.
"""

from typing import Any

from django.utils.translation import gettext_lazy as _

_SIGN_IN_AGAIN = _("Your session is over. Sign in again. In an emergency call 113; the out-of-hours doctor: 116 117.")

WORDS: dict[str, Any] = {
    # Who somebody is
    "session_ended": _SIGN_IN_AGAIN,
    "session_expired": _SIGN_IN_AGAIN,
    "refresh_reused": _(
        "Somebody may have used your sign-in from another place, so it was ended. Sign in again. In an emergency call "
        "113; the out-of-hours doctor: 116 117."
    ),
    "engagement_ended": _("You no longer work there, so this session is over. Sign in again."),
    "account_deactivated": _("This account is closed. In an emergency call 113; the out-of-hours doctor: 116 117."),
    "no_engagement": _("You have no place of work registered here now."),
    "staff_only": _("Only people who work here can do this."),
    "patient_only": _("Only the patient can do this."),
    "health_personnel_only": _("Only health personnel can do this."),
    "step_up_needed": _(
        "Sign in again, and then try at once: this needs a fresh sign-in. If it is urgent, phone instead."
    ),
    "in_person_only": _(
        "Staff let this phone in, and it may not do this. "
        "Sign in with your electronic ID. If it is urgent, phone instead."
    ),
    "proof_wrong": _("This did not prove who you are. Try again, or prove it in another way."),
    "totp_stopped": _("Too many one-time codes were wrong here. Prove it in another way, or sign in again."),
    "passkey_copied": _("Somebody may have copied this passkey, so it was refused. Take it away, and make a new one."),
    "passkey_unusable": _("This passkey cannot be used here. Begin again, or use another device."),
    "passkey_known": _("This passkey is known here already."),
    "too_many_passkeys": _("You have ten passkeys already. Take away one that you no longer use."),
    "no_passkey": _("You have no passkey here."),
    "nothing_to_confirm": _("There is nothing to confirm. Begin again: a new one is good for a quarter of an hour."),
    "code_unusable": _("This code cannot be used. Ask whoever gave it to you for a new one."),
    "colleague_needed": _("A colleague of whoever gave you the code has to confirm it first. Then try again."),
    "code_over": _("This code is used, taken back or too old. Make a new one."),
    "not_your_own": _("Nobody does this alone, or for themselves. Ask a colleague."),
    "has_account": _("The patient already signs in with another account."),
    "csrf_failed": _("Your browser's request could not be trusted. Load the page again."),
    "foreign_origin": _("This came from a page of another site, and is not taken from there."),
    "sign_in_unavailable": _(
        "We cannot reach those who check who you are. Try again soon. In an emergency call 113; "
        "the out-of-hours doctor: 116 117."
    ),
    "sign_in_expired": _("This sign-in is over."),
    "sign_in_code": _("This sign-in is over, or belongs to another app. Begin again."),
    "sign_in_refused": _("We could not sign you in: the answer about who you are could not be trusted."),
    "sign_in_cancelled": _("You did not sign in."),
    "sign_in_level": _("You need a safer way to show who you are."),
    "sign_in_other_person": _("This was somebody else than who is signed in here."),
    "not_registered": _("You are not registered here yet."),
    "no_account_here": _("You have no account for work here."),
    "other_provider": _("This way in is not for you. Choose another one."),
    "patient_account": _("This is a patient's account. At work the person needs another one."),
    "identity_taken": _("This number leads to another account already."),
    # Rooms
    "consent_missing": _("The patient has not answered yet. Until then nobody can write here."),
    "nobody_here": _("Nobody else can read here now, so it was not sent. If it is urgent, phone instead."),
    "ended": _("You can no longer write here."),
    "read_only": _("You can read here, but not write."),
    "already_inside": _("You are in this room already."),
    "other_engagement": _("You are in this room for another place of work. Choose that one first."),
    "no_agreement": _("There is no agreement between these organisations."),
    "room_full": _("The room is full."),
    "patient_without_account": _("The patient cannot sign in yet, and so cannot be asked."),
    "not_your_message": _("Only whoever wrote a message can change it."),
    "not_yours_to_remove": _("Only the patient can take others out."),
    "retracted": _("This message has been taken back."),
    "cursor_ahead": _("There is nothing that far ahead."),
    "txn_id_reused": _("This was sent before with other words. The new words were not sent."),
    "try_again": _("Something changed meanwhile. Try again."),
    # Consent
    "text_changed": _("The text has changed since you read it. Read it again before you answer."),
    "not_active": _("You have not said yes to this, so there is nothing to change."),
    "nobody_asked": _("Nobody is waiting for your answer."),
    "nobody_left": _("Nobody would be left. To stop sharing altogether, withdraw your consent."),
    "record_unreadable": _(
        "This cannot be verified just now. Nothing is shared meanwhile, and the privacy officer is told."
    ),
    "capacity_lacking": _(
        "An assessment says that you cannot agree to more right now. You can always share less, or stop."
    ),
    "capacity_off": _("Here only the patient can decide. Others cannot do it in the patient's place."),
    "nothing_to_withdraw": _("This is lifted person by person, not withdrawn."),
    "nothing_to_correct": _("The newest answer was not recorded in this way, so there is nothing to correct."),
    "ground_off": _("This ground is not in use here."),
    "members_only": _("Only those who take part here can write this down. Ask the patient to answer in the app."),
    # Duties
    "answer_needed": _("Write what you found. Until then it stays open."),
    "no_answer_wanted": _("This only needs to be acknowledged; it takes no words."),
    "answered_already": _("This was done before, with other words or none. The new words were not kept."),
    # Review
    "reason_needed": _("As privacy officer you look people up one by one, for a reason that you write down."),
    "officer_only": _("Only the privacy officer can do this."),
    "own_shield": _("Nobody decides this about themselves. Ask another officer."),
    "shielded_already": _("This is decided already. End that decision before you make a new one."),
    "not_sealed_yet": _("This has not been sealed yet. Try again in a second."),
    "log_verifier_only": _("Only somebody appointed to verify the log can read its entries."),
    "shielded": _("This names somebody whom their employer shields. Ask the privacy officer."),
    "reveal_first": _("Have the case revealed first, and say why."),
    "not_your_export": _("Only whoever ordered this export can fetch it. Order one of your own, and say why."),
    "concerns_you": _("This is about yourself. Another officer answers it."),
    "finding_taken": _("Another officer has taken this."),
    "take_first": _("Take it first; then others see that you are on it."),
    "answer_first": _("Say first what you found: explained or confirmed."),
    "finding_answered": _("This is answered already. Write a note if there is more."),
    "finding_closed": _("This is closed. A note can still be added."),
    "duty_answers": _("The task to review the emergency access answers this, and closes it."),
    "erasure_open": _("It has been asked already that this patient's data be destroyed. See how that stands."),
    "erased": _("What was held about this patient has been destroyed already."),
    "erasure_begun": _("It has begun, and cannot be stopped or changed any more."),
    "erasure_over": _("This is over."),
    "erasure_hindered": _("Something still stands in the way. See the list, and ask those who can do something."),
    "export_not_fetched": _("Fetch all that is held about the patient first, to its end, and name that export."),
    "username_taken": _("This user name is taken."),
    "four_eyes": _("Whoever asked for it cannot confirm it. Another officer does."),
    # Devices
    "push_endpoint": _("This device's address for notifications cannot be used. Try again, or use another browser."),
    "no_push_here": _("Notifications on devices are not set up here. Ask your administrator."),
    "no_means": _("There is nothing here to send this with. Ask your administrator."),
    "bad_signature": _("This was not signed by the gateway."),
    # Calls for help
    "already_accepted": _("Somebody else has it already. You need do nothing."),
    "old_page": _("This button is from before. Open the alert to see how it stands."),
    "alert_closed": _("This alert is closed."),
    "accept_first": _("Accept it first; then it is yours."),
    "speak_alone_first": _(
        "It was cancelled from the phone, and that may have been forced. Speak with the patient alone first."
    ),
    "contact_first": _("Speak with the patient first or, when that fails, call 113 for the patient."),
    "already_in_contact": _("You have spoken with the patient already."),
    "tell_in_contact": _("Say it with «in contact», and that you were alone."),
    "no_such_task": _("There is no such task now."),
    "nobody_to_hand_over": _("There is nobody to hand it over to, or from."),
    "no_programme": _(
        "No service can take your call here. Ring the out-of-hours doctor at 116 117; in danger of life 113."
    ),
    # Services outside office hours
    "administrator_only": _("Only a system administrator can do this."),
    "leader_only": _("Only whoever leads the team can do this."),
    "not_ready": _("Something is missing that a call for help needs. See what, and mend it first."),
    "not_open": _("This service takes no calls now."),
    "alerts_open": _("Somebody's call for help is still open here. Close it first."),
    "patients_enrolled": _("There are patients here, and no other open service would answer them."),
    "enrolled_elsewhere": _("The patient is in another service of this kind. That has to end first."),
    "code_taken": _("This short name is taken."),
    "other_default": _("Another service takes calls of those who are in none. Change that there first."),
    "plan_changed": _("Somebody has changed the plan since you read it. Read it again first."),
    "too_many_alert_keys": _("Ten phones can call for help for you already. Take away one that you no longer use."),
    # Rosters
    "override_over": _("This exception is over. What has been stays as it was."),
    "not_shift_time": _("A shift can be started from one hour before it begins until it ends."),
    "too_many_feeds": _("You have as many calendar addresses as there can be. End one that you no longer use."),
    "not_asked_yet": _("You have not been asked about this shift yet. You are asked some hours before it begins."),
    # The request itself
    "malformed": _("The body is not usable JSON."),
    "too_large": _("The request is too large."),
    "headers_too_large": _("The request's headers are too large, or too many."),
    "too_slow": _("The request took too long to arrive. Try again."),
    "method_not_allowed": _("This address does not answer to that method."),
    "unsupported_media_type": _("Send application/json."),
    "not_acceptable": _("Ask for application/json."),
    "idempotency_key": _("This Idempotency-Key cannot be used."),
    "idempotency_key_reused": _("This Idempotency-Key was used for something else."),
}
