"""What all proofs share: what is asked of an authenticator, once; and that a session has been proved."""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Greatest

from server.audit.actions import record
from server.audit.entry import Entry
from server.common.clock import now
from server.common.errors import Forbidden, Refusal
from server.people.actions.sessions import end_unconfirmed
from server.people.actors import Acting
from server.people.decide import STRONG
from server.people.models import Challenge, Passkey, RecoveryCode, Session, TotpSecret
from server.people.periods import NOW
from server.people.ports import OWNERS_TOLD
from server.people.step_up import PASSKEY

PROVED = "session.proved"
TOTP, RECOVERY = "totp", "recovery"
"""`Session.strong_by`, besides `PASSKEY` and the ways of signing in."""
TOTP_WRONG_MOST = 10
"""So many wrong one-time codes in one session, and it proves nothing by one any more: it could try for months."""
TOTP_WRONG_TOLD = 5
"""So many, and its owner is told."""
CHALLENGE_LIFE = timedelta(minutes=5)
CHALLENGE_BYTES = 32
KEPT = timedelta(days=1)
BATCH = 500


def sid_of(acting: Acting) -> UUID:
    """Raises ValueError for somebody without a session: there is nothing to prove."""
    if acting.session is None:
        raise ValueError("no session")
    return acting.session.sid


def ask(acting: Acting, purpose: str) -> bytes:
    """A challenge for this session: random, good once and for five minutes; only its digest is kept."""
    challenge = secrets.token_bytes(CHALLENGE_BYTES)
    Challenge.objects.create(
        digest=_digest(challenge),
        session_id=sid_of(acting),
        purpose=purpose,
        expires_at=now() + CHALLENGE_LIFE,
    )
    return challenge


def take(acting: Acting, purpose: str, challenge: bytes) -> bool:
    """Whether this session was asked that and has not answered yet; afterwards it has, right or wrong. Not to be called
    inside a transaction that may be rolled back."""
    waiting = Challenge.objects.filter(
        digest=_digest(challenge), session_id=sid_of(acting), purpose=purpose, used_at=None, expires_at__gt=NOW
    )
    return bool(waiting.update(used_at=NOW))


@transaction.atomic
def forget_challenges() -> int:
    """Those of yesterday, answered or not; returns how many."""
    old = Challenge.objects.filter(expires_at__lt=now() - KEPT).order_by("expires_at")
    found: list[str] = list(old.values_list("digest", flat=True)[:BATCH])
    return Challenge.objects.filter(digest__in=found).delete()[0] if found else 0


def note_proved(acting: Acting, by: str, at: datetime | None = None, level: int = 0) -> datetime:
    """This session has been proved, now or `at` a time before; in the caller's transaction. `level`: of the electronic
    identification, if it was one; whose phone staff let in is said by that alone. Returns when, by the database's
    time."""
    at = now() if at is None else min(at, now())
    session = Session.objects.filter(sid=sid_of(acting), ended_at=None)
    session.update(strong_at=at, strong_by=by, totp_wrong=0)
    if level >= STRONG and session.filter(as_patient=True).update(level=Greatest("level", level)):
        end_unconfirmed(session.in_full().get())
    record(Entry(PROVED, acting.actor, object_id=sid_of(acting), reason=by))
    return at


def tell_owner(acting: Acting, code: str, object_id: UUID) -> None:
    """Whose it is learns that a way in was changed or used, on their other devices; in the caller's transaction."""
    OWNERS_TOLD().tell(
        "way_in_changed",
        user_id=acting.user.id,
        object_id=object_id,
        actor=acting.actor,
        code=code,
        but=sid_of(acting),
    )


def wrong(by: str, *, reason: str = "wrong", code: str = "proof_wrong", object_id: UUID | None = None) -> Forbidden:
    """The refusal of a proof, to be raised: what was wrong with it stands in the log alone."""
    return Forbidden(code=code, refusal=Refusal(PROVED, f"{by}_{reason}", object_id=object_id))


def ways(acting: Acting) -> list[str]:
    """With what this person can prove who they are here; signing in anew is always one more."""
    user_id, found = acting.user.id, []
    if Passkey.objects.filter(user_id=user_id, removed_at=None).exists():
        found.append(PASSKEY)
    stopped = acting.session is not None and acting.session.totp_wrong >= TOTP_WRONG_MOST
    set_up = TotpSecret.objects.filter(user_id=user_id, removed_at=None, confirmed_at__isnull=False)
    if not stopped and set_up.exists():
        found.append(TOTP)
    if RecoveryCode.objects.filter(user_id=user_id, used_at=None, replaced_at=None).exists():
        found.append(RECOVERY)
    return found


def _digest(challenge: bytes) -> str:
    return hashlib.sha512(challenge).hexdigest()
