"""In-person sign-in, for patients without electronic identification: staff check who somebody is, and let one phone in
(docs/credentials.md, docs/decisions/0038-step-up.md).

Whoever can let a phone in could let in their own. So it is on record on both sides, the patient's other devices and
whoever leads the team are told, a colleague has to confirm where there is something to see, and the session may do less
(`IN_PERSON_MAY`).
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from knox.crypto import hash_token

from server.audit.actions import record
from server.audit.entry import Entry
from server.common.clock import now
from server.common.errors import Conflict, NotFound, Refusal, Unauthenticated
from server.common.ids import new_id
from server.common.limiting import spend_each
from server.people import codes
from server.people.access import leaders_of, open_unless_excluded, require_staff
from server.people.actions.identities import patients_account
from server.people.actions.sessions import SignedIn, close_sessions, sign_in_lasting
from server.people.actors import Acting, actor_of
from server.people.authentication import is_answered, refusal_code
from server.people.decide import IN_PERSON
from server.people.models import Engagement, InPersonCode, Patient, Relation, Session, SpentRefresh
from server.people.periods import NOW
from server.people.ports import EXCLUSIONS, OWNERS_TOLD
from server.people.step_up import require_fresh
from server.vault import actions as vault

GROUPS = 3
"""Of twenty bits: nobody guesses 60 in ten minutes."""
LEVEL = 2
"""Of assurance: somebody was looked at by one who answers for it, and no electronic identification was used."""
MADE, USED = "code_made", "code_used"
REPLACED = "replaced"
"""Why a session ended that nobody had used when a newer code was made."""
INDEX = "people.in_person_code"
SHOWN = 20


@dataclass(frozen=True, slots=True)
class NewCode:
    """`code` is told this once."""

    row: InPersonCode
    code: str


@transaction.atomic
def make(*, acting: Acting, patient_id: UUID, how: str) -> NewCode:
    """A code that lets one phone into the patient's account. Earlier ones that nobody has used open nothing any more,
    nor do sessions that such a code began and that nobody has used: their answer was lost.

    Raises Forbidden `staff_only`, `step_up_needed`; NotFound (see `open_patient`); Conflict `not_your_own`; TooMany.
    """
    engagement = require_staff(acting)
    patient = open_unless_excluded(acting, patient_id, "sign_in_code.made")
    _refuse_own(acting, patient, "sign_in_code.made")
    require_fresh(acting, "sign_in_code.made")
    spend_each([("in-person", str(acting.user.id)), ("patient", f"code {patient.id}")])
    patient = Patient.objects.select_for_update(no_key=True).get(
        id=patient.id
    )  # of two who make one at once, one waits
    waiting = InPersonCode.objects.filter(patient=patient, used_at=None, taken_back_at=None)
    replaced = list(waiting.values_list("id", flat=True))
    waiting.update(taken_back_at=NOW)
    if patient.user_id is not None:
        close_sessions(lost_sessions(patient.user_id), reason=REPLACED, actor=acting.actor)
    code = codes.new_code(GROUPS)
    row = InPersonCode(
        id=new_id(),
        code_digest=_digest(code),
        patient=patient,
        made_by=engagement,
        how=how,
        needs_second=_needs_second(patient),
        expires_at=now() + timedelta(minutes=settings.ENV.in_person_minutes),
    )
    row.save(force_insert=True)
    InPersonCode.objects.filter(id__in=replaced).update(replaced_by=row)
    row.refresh_from_db(fields=["made_at"])
    record(_entry("sign_in_code.made", acting, row, reason=how))
    if patient.user_id is not None:
        _tell_patient(acting, row, patient.user_id, MADE)
    return NewCode(row, code)


@transaction.atomic
def made_for(*, acting: Acting, patient_id: UUID) -> list[InPersonCode]:
    """The newest codes of a patient, made by whichever unit: a look, recorded. Raises as `make`, but TooMany."""
    require_staff(acting)
    patient = open_unless_excluded(acting, patient_id, "sign_in_code.viewed")
    record(Entry("sign_in_code.viewed", acting.actor, subject_id=patient.id, object_id=patient.id, basis="relation"))
    rows = InPersonCode.objects.filter(patient=patient).select_related(
        "made_by", "seconded_by", "session", "replaced_by__made_by"
    )
    return list(rows.order_by("-made_at", "-id")[:SHOWN])


@transaction.atomic
def confirm(*, acting: Acting, patient_id: UUID, code_id: UUID) -> InPersonCode:
    """A colleague confirms that this code is to let a phone in. Again changes nothing.

    Raises Forbidden `staff_only`; NotFound; Conflict `not_your_own` for whoever made it and for the patient,
    `code_over`.
    """
    engagement = require_staff(acting)
    row = _open(acting, patient_id, code_id, "sign_in_code.confirmed")
    _refuse_own(acting, row.patient, "sign_in_code.confirmed", row)
    require_fresh(acting, "sign_in_code.confirmed")
    if row.seconded_by_id is not None:
        return row
    if not _unused(row.id).update(seconded_by=engagement):
        raise Conflict(code="code_over")
    row.seconded_by = engagement
    record(_entry("sign_in_code.confirmed", acting, row))
    return row


@transaction.atomic
def take_back(*, acting: Acting, patient_id: UUID, code_id: UUID) -> None:
    """It opens nothing any more. One that is used stays used: its session is ended where sessions are. Raises Forbidden
    `staff_only`; NotFound."""
    require_staff(acting)
    row = _open(acting, patient_id, code_id, "sign_in_code.taken_back")
    if InPersonCode.objects.filter(id=row.id, used_at=None, taken_back_at=None).update(taken_back_at=NOW):
        record(_entry("sign_in_code.taken_back", acting, row))


@transaction.atomic
def sign_in(*, code: str, device: str, secret: str = "") -> SignedIn:
    """Use a code: the phone that sends it is signed in as the patient, for whom an account is opened if there is none.

    The guard is in the statement: of two that send one code at once, one is let in. Whoever made it, and whoever
    confirmed it, must have to do with the patient still, and not be excluded. A phone that has sent a `secret` of its
    own gets the same answer again for as long as a code is good, until its tokens are used: they are derived from both.
    Raises Unauthenticated: `code_unusable`, the same for used, old, taken back and never made; `account_deactivated`.
    Raises Conflict `colleague_needed`.
    """
    letters = codes.uniform(code, GROUPS)
    found = _waiting().filter(code_digest=_digest(letters)) if letters is not None else InPersonCode.objects.none()
    row = found.select_related("patient__user", "made_by__unit", "made_by__user", "seconded_by").first()
    if letters is None or row is None or _makers(row) & EXCLUSIONS().of(row.patient_id):
        again = _again(letters, secret) if letters is not None and row is None else None
        if again is None:
            raise Unauthenticated(code="code_unusable", refusal=Refusal("sign_in_code.used", "unusable"))
        return again
    if row.seconded_by_id is None and (row.needs_second or _needs_second(row.patient)):
        refusal = Refusal("sign_in_code.used", "colleague_needed", subject_id=row.patient_id, object_id=row.id)
        raise Conflict(code="colleague_needed", refusal=refusal)
    # By the row alone: with a subquery in it, PostgreSQL would not look anew at a row that it had to wait for.
    alone = Q(needs_second=False) | Q(seconded_by__isnull=False)
    if not _unused(row.id).filter(alone).update(used_at=NOW):
        again = _again(letters, secret)
        if again is None:
            raise Unauthenticated(code="code_unusable", refusal=Refusal("sign_in_code.used", "used", object_id=row.id))
        return again
    signed_in = sign_in_lasting(
        user=patients_account(row.patient),
        method=IN_PERSON,
        level=LEVEL,
        device=device,
        as_patient=True,
        tokens=_tokens(letters, secret) if secret else None,
    )
    session = signed_in.session
    InPersonCode.objects.filter(id=row.id).update(
        session=session, secret_digest=_secret_digest(letters, secret) if secret else ""
    )
    _told_and_recorded(row, session)
    return signed_in


def _again(letters: str, secret: str) -> SignedIn | None:
    """What the phone with this secret was answered when it used this code; None for any other, for a session that is
    over, and once its tokens have been used: then they have come."""
    if not secret:
        return None
    row = InPersonCode.objects.filter(
        code_digest=_digest(letters),
        secret_digest=_secret_digest(letters, secret),
        used_at__gt=now() - timedelta(minutes=settings.ENV.in_person_minutes),
    ).first()
    if row is None or row.session_id is None:
        return None
    tokens = _tokens(letters, secret)
    session = Session.objects.in_full().filter(sid=row.session_id, digest=hash_token(tokens[0])).first()
    if session is None or is_answered(session) or refusal_code(session, session.read_at) is not None:
        return None
    return SignedIn(session, *tokens)


def _tokens(letters: str, secret: str) -> tuple[str, str]:
    """The first pair of the session that this code begins on this phone, 64 hex digits each."""
    both = f"{letters} {secret}"
    return vault.blind_index(f"{INDEX}.token", both).hex(), vault.blind_index(f"{INDEX}.refresh", both).hex()


def _makers(row: InPersonCode) -> set[UUID]:
    return {row.made_by.user_id} | ({row.seconded_by.user_id} if row.seconded_by is not None else set())


def _told_and_recorded(row: InPersonCode, session: Session) -> None:
    actor = actor_of(Session.objects.in_full().get(sid=session.sid))
    record(
        Entry(
            "sign_in_code.used",
            actor,
            subject_id=row.patient_id,
            object_id=row.id,
            reason=row.how,
            record_ids=(session.sid, row.made_by.user_id),
        )
    )
    told = OWNERS_TOLD()
    told.tell(
        "phone_let_in",
        user_id=session.user_id,
        object_id=row.id,
        actor=actor,
        code=USED,
        patient=row.patient,
        but=session.sid,
    )
    for leader in leaders_of(row.made_by):
        told.tell(
            "phone_let_in_told",
            user_id=leader,
            object_id=row.id,
            actor=actor,
            code=row.how,
            patient=row.patient,
            employer_id=row.made_by.unit.controller_id,
        )


def state_of(row: InPersonCode) -> str:
    """How a code stands by the database's time: `used`, `replaced` (by a newer one), `taken_back`, `expired`, `waits`
    (for a colleague), `open`."""
    if row.used_at is not None:
        return "used"
    if row.taken_back_at is not None:
        return "taken_back" if row.replaced_by_id is None else "replaced"
    if row.expires_at <= now():
        return "expired"
    return "waits" if row.needs_second and row.seconded_by_id is None else "open"


def _needs_second(patient: Patient) -> bool:
    match settings.ENV.in_person_second:
        case "always":
            return True
        case "never":
            return False
        case _:
            if patient.user_id is None:
                return False
            sessions = Session.objects.filter(user_id=patient.user_id)
            return sessions.exclude(sid__in=lost_sessions(patient.user_id).values("sid")).exists()


def lost_sessions(user_id: UUID) -> QuerySet[Session]:
    """Begun by a code, and never used since: nobody has seen anything through them."""
    spent = SpentRefresh.objects.filter(session_id=OuterRef("sid"))
    begun = Session.objects.filter(user_id=user_id, sign_in=IN_PERSON)
    return begun.filter(~Exists(spent), last_seen_at__lte=F("rotated_at"))


def _waiting() -> QuerySet[InPersonCode]:
    """Codes that nobody has used, taken back or outlived, of people who have to do with the patient still."""
    related = Relation.objects.current().filter(patient_id=OuterRef("patient_id"))
    works = Engagement.objects.current().filter(user__is_active=True)
    made, seconded = OuterRef("made_by_id"), OuterRef("seconded_by_id")
    return InPersonCode.objects.filter(
        Exists(works.filter(id=made)),
        Exists(related.filter(unit_id=OuterRef("made_by__unit_id"))),
        Q(seconded_by=None)
        | (Exists(works.filter(id=seconded)) & Exists(related.filter(unit_id=OuterRef("seconded_by__unit_id")))),
        used_at=None,
        taken_back_at=None,
        expires_at__gt=NOW,
    )


def _unused(code_id: UUID) -> QuerySet[InPersonCode]:
    return InPersonCode.objects.filter(id=code_id, used_at=None, taken_back_at=None, expires_at__gt=NOW)


def _open(acting: Acting, patient_id: UUID, code_id: UUID, act: str) -> InPersonCode:
    patient = open_unless_excluded(acting, patient_id, act)
    row = InPersonCode.objects.filter(id=code_id, patient=patient).select_related("made_by", "patient").first()
    if row is None:
        raise NotFound(refusal=Refusal(act, "missing", subject_id=patient.id, object_id=code_id))
    return row


def _refuse_own(acting: Acting, patient: Patient, act: str, row: InPersonCode | None = None) -> None:
    """Nobody checks who they are themselves, nor confirms what they made."""
    if patient.user_id == acting.user.id or (row is not None and row.made_by.user_id == acting.user.id):
        raise Conflict(code="not_your_own", refusal=Refusal(act, "own", subject_id=patient.id))


def _tell_patient(acting: Acting, row: InPersonCode, user_id: UUID, code: str) -> None:
    OWNERS_TOLD().tell(
        "phone_let_in", user_id=user_id, object_id=row.id, actor=acting.actor, code=code, patient=row.patient
    )


def _secret_digest(letters: str, secret: str) -> str:
    return vault.blind_index(f"{INDEX}.secret", f"{letters} {secret}").hex()


def _digest(code: str) -> str:
    """Under the vault's index key: 60 bits alone could be tried one by one by who has the table."""
    return vault.blind_index(INDEX, code.replace("-", "")).hex()


def _entry(type_: str, acting: Acting, row: InPersonCode, *, reason: str = "") -> Entry:
    return Entry(type_, acting.actor, subject_id=row.patient_id, object_id=row.id, basis="relation", reason=reason)
