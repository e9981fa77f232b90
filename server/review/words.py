"""Lines of the log in plain words, one sentence and its basis, for the person whom they are about (L2, S12).

Written in English; `server/locale` says the same in bokmål and nynorsk. A type of event without words fails a test.
"""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from server.review import night_words, rights_words

DONE: dict[str, Any] = {
    **night_words.DONE,
    **rights_words.DONE,
    "access_log.detail_disclosed": _("%(who)s read the details of one event in the log."),
    "access_log.entry_read": _("%(who)s read one event in the log as it was sealed."),
    "access_log.exported": _("%(who)s took out a copy of your whole log."),
    "access_log.proof_read": _("%(who)s fetched a proof that an event is in the log."),
    "access_log.viewed": _("%(who)s read your log."),
    "agreement.ended": _("%(who)s ended an agreement between organisations."),
    "agreement.registered": _("%(who)s registered an agreement between organisations."),
    "audit.adopted": _("%(who)s began a new log that follows the old one, after a deliberate restore."),
    "database.restored": _("%(who)s restored a back-up: what is newer than it is gone."),
    "audit.disclosed": _("%(who)s gave out the details of one event that concerns you, with a copy of the log."),
    "audit.entries_read": _("%(who)s read entries of the log, to verify them."),
    "audit.exported": _("%(who)s took out the log, to have it verified."),
    "consent.assessed": _("%(who)s recorded an assessment of whether you can consent."),
    "consent.changed": _("%(who)s changed your consent."),
    "consent.corrected": _("%(who)s corrected how your answer was written down."),
    "consent.declined": _("%(who)s recorded your no."),
    "consent.expired": _("%(who)s recorded that your consent had run out."),
    "consent.given": _("%(who)s recorded your consent."),
    "consent.history_viewed": _("%(who)s read how your consent has changed."),
    "consent.receipt_viewed": _("%(who)s opened the receipt of your consent."),
    "consent.renewed": _("%(who)s renewed your consent."),
    "consent.requested": _("%(who)s asked for your consent."),
    "consent.sealed": _("%(who)s sealed your consent."),
    "consent.text_viewed": _("%(who)s read the text that you are asked to agree to."),
    "consent.viewed": _("%(who)s read your consent."),
    "consent.withdrawn": _("%(who)s withdrew your consent."),
    "controller.registered": _("%(who)s registered an organisation."),
    "crowd.engaged": _("%(who)s made invented staff for a trial."),
    "crowd.registered": _("%(who)s made invented patients for a trial."),
    "crowd.signed_in": _("%(who)s signed invented people in for a trial."),
    "device.moved": _("%(who)s moved a device to another person."),
    "device.named": _("%(who)s gave a device of their own another name."),
    "device.registered": _("%(who)s registered a device for notifications."),
    "device.removed": _("%(who)s took a device away from notifications."),
    "device.replaced": _("%(who)s registered a device in place of another."),
    "device.tested": _("%(who)s sent a test to a device."),
    "duty.done": _("%(who)s did a task that concerns you."),
    "duty.owed": _("%(who)s gave somebody a task that concerns you."),
    "duty.released": _("%(who)s took back a task that concerns you."),
    "duty.viewed": _("%(who)s saw a task that concerns you."),
    "emergency_access.begun": _("%(who)s opened one of your rooms by emergency access."),
    "emergency_access.ended": _("%(who)s ended the emergency access to your room."),
    "emergency_access.rooms_viewed": _("%(who)s looked up which rooms you have, for an emergency."),
    "emergency_access.told": _("%(who)s told you of the emergency access."),
    "emergency_access.viewed": _("%(who)s read why emergency access was used."),
    "engagement.begun": _("%(who)s registered that somebody works there."),
    "engagement.chosen": _("%(who)s chose which place of work to act for."),
    "engagement.ended": _("%(who)s registered that somebody no longer works there."),
    "events.viewed": _("%(who)s read the conversation."),
    "exclusions.viewed": _("%(who)s read whom you have excluded."),
    "finding.closed": _("%(who)s closed a question about an access."),
    "finding.confirmed": _("%(who)s found no reason for an access."),
    "finding.due_set": _("%(who)s said by when a question about an access will be answered."),
    "finding.explained": _("%(who)s found a good reason for an access."),
    "finding.found": _("%(who)s found access that should be asked about."),
    "finding.noted": _("%(who)s wrote a note about an access."),
    "finding.taken": _("%(who)s began to ask about an access."),
    "ground.ended": _("%(who)s ended a ground in law to take part."),
    "ground.recorded": _("%(who)s recorded a ground in law to take part."),
    "identity.recorded": _("%(who)s recorded with which identity number somebody signs in at work."),
    "key.destroyed": _("%(who)s destroyed a key, so that what was stored under it is gone for good."),
    "member.joined": _("%(who)s let somebody into your room."),
    "member.left": _("%(who)s took somebody's access to your room away."),
    "member.proposed": _("%(who)s proposed somebody for your room."),
    "member.removed": _("%(who)s took somebody out of your room."),
    "members.viewed": _("%(who)s saw who takes part in the room."),
    "message.edit": _("%(who)s corrected a message."),
    "message.posted": _("%(who)s wrote in the conversation."),
    "message.retraction": _("%(who)s took back a message."),
    "officer.appointed": _("%(who)s appointed a privacy officer."),
    "officer.ended": _("%(who)s ended an appointment as privacy officer."),
    "officer.log_verifier_appointed": _("%(who)s appointed somebody to verify the log."),
    "own_posts.exported": _("%(who)s took out what they had written themselves."),
    "participation.changed": _("%(who)s changed how they take part in the room."),
    "passkey.looks_copied": _("%(who)s used a passkey that somebody may have copied. It was refused."),
    "passkey.registered": _("%(who)s began to use a passkey."),
    "passkey.removed": _("%(who)s took a passkey away."),
    "patient.account_opened": _("%(who)s opened an account for you."),
    "patient.registered": _("%(who)s registered you."),
    "patient.signed_out": _("%(who)s signed you out on all devices."),
    "patient.viewed": _("%(who)s saw what is registered about you."),
    "push_key.ended": _("%(who)s ended a key that notifications are signed with."),
    "push_key.made": _("%(who)s made a new key that notifications are signed with."),
    "quiet_hours.set": _("%(who)s set when they are not told of messages."),
    "reach.set": _("%(who)s set where they can be reached at work."),
    "receipts.viewed": _("%(who)s saw how far everybody has read."),
    "recovery_codes.made": _("%(who)s made new recovery codes."),
    "relation.ended": _("%(who)s recorded that you are no longer helped there."),
    "relation.recorded": _("%(who)s recorded that you are helped there."),
    "review.detail_disclosed": _("%(who)s read the details of one event in the log."),
    "review.entry_read": _("%(who)s read one event in the log as it was sealed."),
    "review.event_viewed": _("%(who)s opened a line of the log that concerns you."),
    "review.events_viewed": _("%(who)s looked through the log for what concerns you."),
    "review.export_downloaded": _("%(who)s took out an export of the log."),
    "review.export_made": _("%(who)s ordered an export of the log."),
    "review.export_viewed": _("%(who)s saw how far an export of the log had come."),
    "review.exports_viewed": _("%(who)s saw the list of exports of the log."),
    "review.patient_found": _("%(who)s looked you up by your identity number, for a written reason."),
    "review.proof_read": _("%(who)s fetched a proof that an event is in the log."),
    "review.finding_viewed": _("%(who)s opened a question about an access."),
    "review.findings_viewed": _("%(who)s saw which accesses are asked about."),
    "review.retention_viewed": _("%(who)s saw how long the log has been kept."),
    "review.revealed": _("%(who)s had names and details of a line about you shown, for a reason that they wrote down."),
    "review.reveals_viewed": _("%(who)s read who has had a line about you shown with names before."),
    "review.shield_decided": _("%(who)s decided that the log shows a code in place of an employee's name."),
    "review.shield_ended": _("%(who)s decided that the log shows an employee's name again."),
    "review.shields_viewed": _("%(who)s read which employees are shown by a code."),
    "review.staff_found": _("%(who)s looked up an employee by name, for a written reason."),
    "review.subject_exported": _(
        "%(who)s took out everything the log says about you, to answer your request for access."
    ),
    "room.followed": _("%(who)s began to follow the conversation live."),
    "room.listed": _("%(who)s saw your room in a list."),
    "room.opened": _("%(who)s opened a room for you."),
    "room.unfollowed": _("%(who)s stopped following the conversation."),
    "room.viewed": _("%(who)s opened the front page of your room."),
    "session.ended": _("%(who)s ended a session."),
    "session.proved": _("%(who)s proved anew who they are."),
    "session.limited": _("%(who)s used a phone that staff let in."),
    "session.refreshed": _("%(who)s went on being signed in."),
    "session.started": _("%(who)s signed in."),
    "sign_in_code.confirmed": _("%(who)s confirmed a code that lets a phone into your account."),
    "sign_in_code.made": _("%(who)s made a code that lets a phone into your account."),
    "sign_in_code.taken_back": _("%(who)s took back a code that lets a phone into your account."),
    "sign_in_code.used": _("%(who)s signed in on a phone with a code from staff."),
    "sign_in_code.viewed": _("%(who)s saw which phones have been let into your account with codes."),
    "totp.begun": _("%(who)s began to set up one-time codes."),
    "totp.confirmed": _("%(who)s began to use one-time codes."),
    "totp.removed": _("%(who)s stopped using one-time codes."),
    "unit.registered": _("%(who)s registered a unit."),
    "user.ways_in_ended": _("%(who)s put passkeys and codes out of use."),
    "user.deactivated": _("%(who)s closed an account."),
    "user.language_set": _("%(who)s chose a language."),
}
"""What was done, by type of event; `who` is put in."""

TRIED: dict[str, Any] = {
    **night_words.TRIED,
    **rights_words.TRIED,
    "access_log.detail_disclosed": _("%(who)s tried to read the details of an event in the log. It was refused."),
    "access_log.entry_read": _("%(who)s tried to read an event in the log as it was sealed. It was refused."),
    "access_log.exported": _("%(who)s tried to take out the log of a patient. It was refused."),
    "access_log.proof_read": _("%(who)s tried to fetch a proof of an event in the log. It was refused."),
    "access_log.viewed": _("%(who)s tried to read the log of a patient. It was refused."),
    "answer.repeated": _("%(who)s tried to see an old answer from your room again. It was refused."),
    "audit.entries_read": _("%(who)s tried to read entries of the log. It was refused."),
    "consent.answered": _("%(who)s tried to answer in your place. It was refused."),
    "consent.assessed": _("%(who)s tried to record an assessment of whether you can consent. It was refused."),
    "consent.recorded": _("%(who)s tried to write down an answer of yours. It was refused."),
    "consent.requested": _("%(who)s tried to ask for your consent. It was refused."),
    "consent.viewed": _("%(who)s tried to read your consent. It was refused."),
    "directory.viewed": _("%(who)s tried to look in the staff directory. It was refused."),
    "duty.done": _("%(who)s tried to do a task that concerns you. It was refused."),
    "duty.viewed": _("%(who)s tried to see a task that concerns you. It was refused."),
    "emergency_access.begun": _("%(who)s tried to open one of your rooms by emergency access. It was refused."),
    "emergency_access.ended": _("%(who)s tried to end an emergency access. It was refused."),
    "emergency_access.rooms_viewed": _(
        "%(who)s tried to look up which rooms you have, for an emergency. It was refused."
    ),
    "emergency_access.viewed": _("%(who)s tried to read why emergency access was used. It was refused."),
    "engagement.chosen": _("%(who)s tried to act for another place of work. It was refused."),
    "events.viewed": _("%(who)s tried to read the conversation. It was refused."),
    "exclusion.lifted": _("%(who)s tried to lift an exclusion. It was refused."),
    "exclusions.viewed": _("%(who)s tried to read whom a patient has excluded. It was refused."),
    "ground.ended": _("%(who)s tried to end a ground in law to take part. It was refused."),
    "ground.recorded": _("%(who)s tried to record a ground in law to take part. It was refused."),
    "member.proposed": _("%(who)s tried to propose somebody for your room. It was refused."),
    "member.removed": _("%(who)s tried to take somebody out of your room. It was refused."),
    "members.viewed": _("%(who)s tried to see who takes part in the room. It was refused."),
    "message.edit": _("%(who)s tried to correct a message. It was refused."),
    "message.posted": _("%(who)s tried to write in the conversation. It was refused."),
    "message.retraction": _("%(who)s tried to take back a message. It was refused."),
    "own_posts.exported": _("%(who)s tried to take out what they had written themselves. It was refused."),
    "participation.changed": _("%(who)s tried to change how somebody takes part in the room. It was refused."),
    "passkey.registered": _("%(who)s tried to begin to use a passkey. It was refused."),
    "passkey.removed": _("%(who)s tried to take a passkey away. It was refused."),
    "patient.viewed": _("%(who)s tried to see what is registered about you. It was refused."),
    "read.marked": _("%(who)s tried to mark the conversation as read. It was refused."),
    "receipts.viewed": _("%(who)s tried to see how far everybody has read. It was refused."),
    "recovery_codes.made": _("%(who)s tried to make new recovery codes. It was refused."),
    "review.detail_disclosed": _("%(who)s tried to read the details of an event in the log. It was refused."),
    "review.entry_read": _("%(who)s tried to read an event in the log as it was sealed. It was refused."),
    "review.event_viewed": _("%(who)s tried to open a line of the log that concerns you. It was refused."),
    "review.events_viewed": _("%(who)s tried to look through the log. It was refused."),
    "review.export_downloaded": _("%(who)s tried to take out an export of the log. It was refused."),
    "review.export_made": _("%(who)s tried to order an export of the log. It was refused."),
    "review.export_viewed": _("%(who)s tried to see an export of the log. It was refused."),
    "review.exports_viewed": _("%(who)s tried to see the list of exports of the log. It was refused."),
    "review.patient_found": _("%(who)s looked for somebody by identity number, and was shown nothing."),
    "review.proof_read": _("%(who)s tried to fetch a proof of an event in the log. It was refused."),
    "review.retention_viewed": _("%(who)s tried to see how long the log has been kept. It was refused."),
    "review.revealed": _("%(who)s tried to have names and details of a line about you shown. It was refused."),
    "review.reveals_viewed": _("%(who)s tried to read who has had a line about you shown with names. It was refused."),
    "review.shield_decided": _(
        "%(who)s tried to have the log show a code in place of an employee's name. It was refused."
    ),
    "review.shield_ended": _("%(who)s tried to have the log show an employee's name again. It was refused."),
    "review.shields_viewed": _("%(who)s tried to read which employees are shown by a code. It was refused."),
    "review.staff_found": _("%(who)s looked for an employee by name, and was shown nothing."),
    "review.subject_exported": _("%(who)s tried to take out what the log says about you. It was refused."),
    "room.followed": _("%(who)s tried to follow the conversation live. It was refused."),
    "room.opened": _("%(who)s tried to open a room for you. It was refused."),
    "room.viewed": _("%(who)s tried to open the front page of your room. It was refused."),
    "session.ended": _("%(who)s tried to end a session. It was refused."),
    "session.limited": _("%(who)s tried to do more than a phone that staff let in may do. It was refused."),
    "session.proved": _("%(who)s tried to prove anew who they are. It was refused."),
    "sign_in_code.confirmed": _("%(who)s tried to confirm a code that lets a phone into your account. It was refused."),
    "sign_in_code.made": _("%(who)s tried to make a code that lets a phone into your account. It was refused."),
    "sign_in_code.taken_back": _(
        "%(who)s tried to take back a code that lets a phone into your account. It was refused."
    ),
    "sign_in_code.used": _("%(who)s tried to sign in with a code from staff. It was refused."),
    "sign_in.refused": _("%(who)s tried to sign in. It was refused."),
    "staff.required": _("%(who)s tried to do what only staff may do. It was refused."),
    "totp.begun": _("%(who)s tried to set up one-time codes. It was refused."),
    "totp.removed": _("%(who)s tried to stop using one-time codes. It was refused."),
}
"""What was tried and refused."""

BASES: dict[str, Any] = {
    "alert": _("an open call for help"),
    "consent": _("your consent"),
    "duty": _("a task that they must do"),
    "emergency": _("emergency access, without your consent; it is always reviewed"),
    "membership": _("they take part in the room, or are asked for"),
    "officer": _("they are privacy officer, and check how the log is used"),
    "own_posts": _("they wrote it themselves"),
    "period": _("the time agreed was over"),
    "relation": _("it is recorded that you are helped there"),
    "self": _("it is your own"),
    "statute": _("a provision of law"),
}

ROLES: dict[str, Any] = {
    "administrator": _("administrator"),
    "officer": _("privacy officer"),
    "patient": _("patient"),
    "staff": _("staff"),
}
"""Roles that are codes of ours; those of an engagement are words already."""


@dataclass(frozen=True, slots=True)
class Who:
    """Who acted, as the reader may know them. `own`: the reader; `code` stands in the name's place for the shielded."""

    name: str = ""
    role: str = ""
    place: str = ""
    own: bool = False
    code: str = ""


def who_words(who: Who) -> str:
    """«Kari Nes (psykolog, Fjordvik)», «You», «Employee K7QX (psykolog, Fjordvik)»."""
    if who.own:
        return str(_("You"))
    if who.role == "system":
        return str(_("The system"))
    if who.role == "nobody":
        return str(_("Somebody who was not signed in"))
    name = str(_("Employee %(code)s")) % {"code": who.code} if who.code else who.name or str(_("Somebody"))
    beside = ", ".join(word for word in (role_words(who.role), who.place) if word)
    return f"{name} ({beside})" if beside else name


def role_words(role: str) -> str:
    return str(ROLES.get(role, role))


def is_emergency(type_: str, basis: str) -> bool:
    """Whether a line tells of emergency access: everything that was done on that basis, and the access itself."""
    return basis == "emergency" or type_.startswith("emergency_access.")


def sentence(type_: str, *, outcome: str, basis: str, who: Who) -> str:
    """One line of the log, as whoever it is about reads it; in the language that is active."""
    spoken = {"who": who_words(who), "type": type_}
    refused = outcome == "refused"
    said = str((TRIED if refused else DONE).get(type_, _refused() if refused else _unknown())) % spoken
    if is_emergency(type_, basis):
        said = str(_("Emergency access: %(sentence)s")) % {"sentence": said}
    if refused or basis not in BASES:
        return said
    return f"{said} {str(_('Basis: %(basis)s.')) % {'basis': BASES[basis]}}"


def _unknown() -> Any:
    return _("%(who)s did something that this page has no words for (%(type)s).")


def _refused() -> Any:
    return _("%(who)s tried something that was refused (%(type)s).")
