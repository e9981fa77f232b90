"""What staff write down of a consent: an answer on paper or spoken before a witness, a correction of how it was
recorded, and an assessment of capacity to consent. The patient is told of each, and can undo it with one press."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from server.common.clock import now
from server.common.errors import Conflict, FieldError, Forbidden, Invalid, Refusal
from server.consent import actions, forms
from server.consent.actions import Answer, Recorded, answered, lock
from server.consent.document import Competence, Document, Grantor, Method
from server.consent.models import Act, Consent, State
from server.consent.records import excluded_people
from server.consent.versions import Change, minute_of
from server.duties import actions as duties
from server.duties.models import Kind
from server.people.access import current_engagement, require_staff
from server.people.actors import Acting

Verb = Literal["give", "decline", "withdraw", "change"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """How the answer came. Paper needs the SHA-256 of its scan, which stays in the record system; a spoken one the
    witness (another member of staff) and a minute. `given_at` is aware UTC."""

    kind: Literal["paper", "oral"]
    given_at: datetime
    capacity: str = "self"
    scan_sha256: str = ""
    witness: UUID | None = None
    minute: str = ""


@transaction.atomic
def record_answer(*, acting: Acting, consent: Consent, verb: Verb, answer: Answer, evidence: Evidence) -> Consent:
    """Write down what the patient answered. What changes nothing is not told.

    Raises Invalid for evidence that is not whole, Conflict (`capacity_off`) for a capacity that is not turned on here,
    and what the verb itself raises. A yes needs the digest of the text that was read or read aloud.
    """
    _check(acting, consent.patient_id, evidence)
    consent, before = lock(consent)
    if verb in ("give", "change") and not answer.shown:
        raise Invalid(errors=[_field("text_sha256", _("Say which text the patient was shown."))])
    if verb in ("give", "change"):
        _not_older(before, evidence.given_at)
    if answer.excluded_units is not None:  # a unit that the patient keeps out is let in by the patient alone
        kept_out = [one.unit for one in before.terms.excluded_units]
        answer = replace(answer, excluded_units=[*kept_out, *answer.excluded_units])
    patient = consent.patient.user_id if evidence.capacity == "self" else None
    recorded = Recorded(_method(evidence), Grantor(user=patient, capacity=evidence.capacity), *_when(evidence))
    match verb:
        case "give":
            done = actions.give(acting=acting, consent=consent, answer=answer, recorded=recorded)
        case "change":
            done = actions.change(acting=acting, consent=consent, answer=answer, recorded=recorded)
        case "decline":
            done = actions.decline(acting=acting, consent=consent, remark=answer.remark, recorded=recorded)
        case "withdraw":
            done = actions.withdraw(acting=acting, consent=consent, remark=answer.remark, recorded=recorded)
    if done.version != before.number:
        _tell(acting, consent, verb)
    return done


@transaction.atomic
def correct(*, acting: Acting, consent: Consent, evidence: Evidence, why: str) -> Consent:
    """Correct how the newest answer was recorded; who may take part, for what and until when stays as it is.

    Raises Conflict (`nothing_to_correct`) when it was not recorded by staff in this way, Invalid.
    """
    consent, before = lock(consent)
    if before.method.kind != evidence.kind:
        raise Conflict(code="nothing_to_correct")
    _check(acting, consent.patient_id, evidence)
    change = _same(before, why).recorded(_method(evidence), before.grantor or Grantor(user=None), *_when(evidence))
    done = answered(consent, change, acting, before, None)
    _tell(acting, consent, "correct")
    return done


@transaction.atomic
def assess(
    *, acting: Acting, consent: Consent, result: Literal["competent", "partly", "lacking"], assessed_at: datetime
) -> Consent:
    """Record an assessment of capacity to consent (pasient- og brukerrettighetsloven § 4-3), made at the unit acted
    for. While it says `lacking`, the patient can narrow and withdraw, and not widen.

    Raises Forbidden (`health_personnel_only`), Invalid for a time in the future.
    """
    engagement = require_staff(acting)
    if not engagement.health_personnel:
        refusal = Refusal("consent.assessed", "not_health_personnel", subject_id=consent.patient_id)
        raise Forbidden(code="health_personnel_only", refusal=refusal)
    if assessed_at > now():
        raise Invalid(errors=[_field("assessed_at", _("This lies in the future."))])
    consent, before = lock(consent)
    assessment = Competence(
        assessed_by=acting.user.id, assessed_at=assessed_at, result=result, where=engagement.unit_id
    )
    done = answered(consent, _same(before, "", assessment), acting, before, None)
    _tell(acting, consent, "assess")
    return done


def _not_older(before: Document, given_at: datetime) -> None:
    """A yes answers what was asked, and comes after it: an old paper never outdoes a newer no. A clock that is a minute
    slow is forgiven, unless it was the patient who spoke last."""
    slack = timedelta(minutes=1) if before.act == Act.REQUESTED else timedelta()
    if given_at < before.recorded_at - slack:
        raise Invalid(errors=[_field("given_at", _("This is older than what the patient was asked."))])


def _same(before: Document, why: str, competence: Competence | None = None) -> Change:
    return Change(
        Act.CORRECTED,
        State(before.state),
        before.terms,
        remark=why,
        shown=before,
        method=before.method,
        grantor=before.grantor,
        competence=competence,
        given_at=before.given_at,
        minute=minute_of(before),
    )


def _check(acting: Acting, patient_id: UUID, evidence: Evidence) -> None:
    if evidence.capacity not in forms.capacities():
        raise Invalid(errors=[_field("capacity", _("This value is not one of those that can be chosen."))])
    if evidence.capacity not in settings.ENV.capacities:
        raise Conflict(code="capacity_off")
    wrong: list[FieldError] = []
    if evidence.given_at > now():
        wrong.append(_field("given_at", _("This lies in the future.")))
    if evidence.kind == "paper" and not evidence.scan_sha256:
        wrong.append(_field("scan_sha256", _("Give the digest of the scanned paper.")))
    if evidence.kind == "oral":
        if not evidence.minute.strip():
            wrong.append(_field("minute", _("Write what was said.")))
        if evidence.witness is None or not _may_witness(acting, patient_id, evidence.witness):
            wrong.append(_field("witness", _("The witness is another member of staff.")))
    if wrong:
        raise Invalid(errors=wrong)


def _may_witness(acting: Acting, patient_id: UUID, witness: UUID) -> bool:
    """Another member of staff, of any of the agencies, whom the patient has not excluded."""
    at_work = current_engagement(witness) is not None
    return at_work and witness != acting.user.id and witness not in excluded_people(patient_id)


def _method(evidence: Evidence) -> Method:
    if evidence.kind == "paper":
        return Method(kind="paper", scan_sha256=evidence.scan_sha256)
    return Method(kind="oral", witness=evidence.witness)


def _when(evidence: Evidence) -> tuple[datetime, str]:
    return evidence.given_at, evidence.minute if evidence.kind == "oral" else ""


def _tell(acting: Acting, consent: Consent, code: str) -> None:
    """The patient is told what staff wrote down in their name."""
    if consent.patient.user_id is not None:
        duties.owe(
            kind=Kind.CONSENT_RECORDED,
            user_id=consent.patient.user_id,
            patient=consent.patient,
            room_id=consent.room_id,
            object_id=consent.id,
            code=code,
            actor=acting.actor,
        )


def _field(name: str, detail: str) -> FieldError:
    return {"field": name, "code": "invalid", "detail": detail}
