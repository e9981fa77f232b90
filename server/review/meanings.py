"""What the codes of the log mean, in plain words for an officer: about the act, and about nobody in particular.

Written in English; `server/locale` says the same in bokmål and nynorsk. A type of event without words fails a test.
What the person concerned reads stands in `words.py`.
"""

from typing import Any, NamedTuple

from django.utils.translation import gettext_lazy as _

TYPES: dict[str, Any] = {
    "access_log.detail_disclosed": _("Reading the details of one event, with what proves them."),
    "access_log.entry_read": _("Reading one event as it was sealed."),
    "access_log.exported": _("Taking out a copy of a patient's whole log."),
    "access_log.proof_read": _("Fetching a proof that an event is in the log."),
    "access_log.viewed": _("Reading a patient's log."),
    "admission.recorded": _("Recording that a patient was admitted."),
    "admission.taken_back": _("Taking back an admission that was recorded by mistake."),
    "admission.viewed": _("Seeing when a patient was admitted."),
    "agreement.ended": _("Ending an agreement between organisations."),
    "agreement.registered": _("Registering an agreement between organisations."),
    "alert_key.made": _("Letting a phone call for help for its patient."),
    "alert_key.revoked": _("Taking away a phone that could call for help."),
    "alert_key.viewed": _("Seeing which phones can call for help for a patient."),
    "alert.followed": _("Beginning to follow a call for help live."),
    "alert.unfollowed": _("Stopping to follow a call for help."),
    "answer.repeated": _("Asking again for an answer that was given before."),
    "audit.adopted": _("Beginning a new log that follows the old one, after a deliberate restore."),
    "audit.disclosed": _("Giving out the details of one event with a copy of the whole log, on the server."),
    "audit.entries_read": _("Reading sealed entries of the whole log, to verify them."),
    "audit.exported": _("Taking out the whole log, to have it verified."),
    "consent.answered": _("Answering whether to consent."),
    "consent.assessed": _("Recording an assessment of whether a patient can consent."),
    "consent.changed": _("Changing a consent."),
    "consent.corrected": _("Correcting how a patient's answer was written down."),
    "consent.declined": _("Recording that a patient says no to sharing."),
    "consent.expired": _("Recording that a consent has run out."),
    "consent.given": _("Recording a patient's consent."),
    "consent.history_viewed": _("Reading how a consent has changed."),
    "consent.receipt_viewed": _("Opening the receipt of a consent."),
    "consent.recorded": _("Writing down an answer that a patient gave on paper or in speech."),
    "consent.renewed": _("Renewing a consent."),
    "consent.requested": _("Asking a patient for consent."),
    "consent.sealed": _("Sealing a consent that was given before records were sealed."),
    "consent.text_viewed": _("Reading the text that a patient is asked to agree to."),
    "consent.viewed": _("Reading a consent."),
    "consent.withdrawn": _("Withdrawing a consent."),
    "controller.registered": _("Registering an organisation."),
    "crowd.engaged": _("Making invented staff for a trial."),
    "crowd.registered": _("Making invented patients for a trial."),
    "crowd.signed_in": _("Signing invented people in for a trial."),
    "directory.viewed": _("Looking in the staff directory."),
    "duty.done": _("Doing a task, or acknowledging it."),
    "duty.owed": _("Giving somebody a task."),
    "duty.released": _("Taking a task back."),
    "duty.viewed": _("Seeing a task."),
    "emergency_access.begun": _("Opening a room by emergency access."),
    "emergency_access.ended": _("Ending emergency access."),
    "emergency_access.rooms_viewed": _("Looking up which rooms a patient has, for an emergency."),
    "emergency_access.told": _("Telling a patient of emergency access."),
    "emergency_access.viewed": _("Reading why emergency access was used."),
    "engagement.begun": _("Registering that somebody works for a unit."),
    "engagement.chosen": _("Choosing which place of work to act for."),
    "engagement.ended": _("Registering that somebody no longer works for a unit."),
    "enrolment.ended": _("Recording that a patient is no longer in an after-hours service."),
    "enrolment.made": _("Enrolling a patient in an after-hours service."),
    "enrolment.viewed": _("Seeing which patients are in an after-hours service."),
    "events.viewed": _("Reading the conversation in a room."),
    "exclusion.lifted": _("Lifting the exclusion of a person."),
    "exclusions.viewed": _("Reading whom a patient has excluded."),
    "finding.closed": _("A finding was closed."),
    "finding.confirmed": _("An officer found no reason for what was asked about."),
    "finding.due_set": _("An officer said by when a finding will be answered."),
    "finding.explained": _("An officer found a good reason for what was asked about."),
    "finding.found": _("A rule found access that somebody should be asked about."),
    "finding.noted": _("An officer wrote a note beside a finding."),
    "finding.taken": _("An officer took a finding."),
    "ground.ended": _("Ending a ground in law to take part in a room."),
    "ground.recorded": _("Recording a ground in law to take part in a room."),
    "key.destroyed": _("Destroying a key, so that what was stored under it is gone for good."),
    "member.joined": _("Somebody was let into a room."),
    "member.left": _("Somebody's access to a room ended."),
    "member.proposed": _("Proposing somebody for a room."),
    "member.removed": _("Taking somebody out of a room."),
    "members.viewed": _("Seeing who takes part in a room."),
    "message.edit": _("Correcting a message."),
    "message.posted": _("Writing a message in a room."),
    "message.retraction": _("Taking back a message."),
    "officer.appointed": _("Appointing a privacy officer."),
    "officer.ended": _("Ending an appointment as privacy officer."),
    "officer.log_verifier_appointed": _("Appointing an officer to verify the whole log."),
    "own_posts.exported": _("Taking out what one has written oneself in a room."),
    "participation.changed": _("Changing how somebody takes part in a room."),
    "patient.account_opened": _("Opening an account for a patient."),
    "patient.registered": _("Registering a patient."),
    "patient.viewed": _("Seeing what is registered about a patient."),
    "plan.history_viewed": _("Seeing when a plan for bad days was changed, and by whom."),
    "plan.made": _("Writing a patient's plan for bad days."),
    "plan.viewed": _("Opening a patient's plan for bad days."),
    "policy.made": _("Changing who is called, in which order, when a patient calls for help."),
    "policy.viewed": _("Seeing who is called, in which order, when a patient calls for help."),
    "programme.changed": _("Changing the numbers, hours or criterion of an after-hours service."),
    "programme.closed": _("Closing an after-hours service."),
    "programme.made": _("Setting up an after-hours service."),
    "programme.opened": _("Opening an after-hours service."),
    "programme.viewed": _("Looking at an after-hours service."),
    "read.marked": _("Marking a conversation as read."),
    "receipts.viewed": _("Seeing how far everybody in a room has read."),
    "relation.ended": _("Recording that a unit no longer helps a patient."),
    "relation.recorded": _("Recording that a unit helps a patient."),
    "review.detail_disclosed": _("Reading the details of one event, with what proves them."),
    "review.entry_read": _("Reading one event as it was sealed."),
    "review.event_viewed": _("An officer opened one event of the log."),
    "review.events_viewed": _("An officer looked through the log."),
    "review.export_downloaded": _("An officer fetched an export of the log."),
    "review.export_made": _("An officer ordered an export of the log."),
    "review.export_viewed": _("An officer looked at an export of the log."),
    "review.exports_viewed": _("An officer saw the list of exports."),
    "review.patient_found": _("An officer looked for a patient by identity number, for a written reason."),
    "review.proof_read": _("Fetching a proof that an event is in the log."),
    "review.finding_viewed": _("An officer opened a finding."),
    "review.findings_viewed": _("An officer saw the list of findings."),
    "review.retention_viewed": _("An officer saw how long the log has been kept."),
    "review.revealed": _("An officer had the names and details of one case shown, for a written reason."),
    "review.reveals_viewed": _("An officer read who has had the names of a case shown before, and why."),
    "review.shield_decided": _("An officer decided that patients see a code in place of an employee's name."),
    "review.shield_ended": _("An officer decided that patients see an employee's name again."),
    "review.shields_viewed": _("An officer read which employees are shown by a code."),
    "review.staff_found": _("An officer looked for an employee by name, for a written reason."),
    "review.subject_exported": _(
        "An officer took out all that the log says about a patient, for a request for access."
    ),
    "room.followed": _("Beginning to follow a conversation live."),
    "room.listed": _("Seeing a room in a list."),
    "room.opened": _("Opening a room for a patient."),
    "room.unfollowed": _("Stopping to follow a conversation."),
    "room.viewed": _("Opening the front page of a room."),
    "session.ended": _("Ending a session."),
    "session.started": _("Signing in."),
    "staff.required": _("Asking for what only staff may do."),
    "team.viewed": _("Seeing who is in the team of an after-hours service."),
    "team_member.added": _("Taking somebody into the team of an after-hours service."),
    "team_member.changed": _("Changing who leads the team of an after-hours service, or answers by day."),
    "team_member.ended": _("Taking somebody out of the team of an after-hours service."),
    "unit.registered": _("Registering a unit."),
    "user.deactivated": _("Closing an account."),
    "user.language_set": _("Choosing a language."),
}
"""What was done or tried, by type of event."""

BASES: dict[str, Any] = {
    "": _("No basis is stated: it needs none, or it was refused."),
    "alert": _("A call for help was open to the unit."),
    "consent": _("The patient's consent."),
    "duty": _("A task that the person must do."),
    "emergency": _("Emergency access, without the patient's consent. It is always reviewed."),
    "membership": _("The person takes part in the room, or is asked for."),
    "officer": _("The person is privacy officer, and checks how the log is used."),
    "own_posts": _("The person wrote it."),
    "period": _("The time agreed was over."),
    "relation": _("It is recorded that the unit helps the patient."),
    "self": _("It is the person's own."),
    "statute": _("A provision of law."),
}
"""Why it was allowed."""

OUTCOMES: dict[str, Any] = {
    "success": _("It was done, or shown."),
    "refused": _("It was refused: nothing was changed or shown."),
}

_UNKNOWN = _("This page has no words for this code.")


class Meaning(NamedTuple):
    """In the language that is active."""

    type: str
    basis: str
    outcome: str


def meaning(type_: str, basis: str, outcome: str) -> Meaning:
    """The three codes of an event in words."""
    return Meaning(
        str(TYPES.get(type_, _UNKNOWN)), str(BASES.get(basis, _UNKNOWN)), str(OUTCOMES.get(outcome, _UNKNOWN))
    )
