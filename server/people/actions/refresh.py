"""The next tokens of a session, for its refresh token (docs/decisions/0037-sessions-and-refresh.md).

Each refresh token is good once. Its successors are derived from it under the vault's index key, so whoever asks twice
at once, or never got the answer, gets the very same pair again (law 3) and nothing in the open is kept. Asked again
after the grace, when its successors have been used, somebody else has it: the session ends, on all sides.
"""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from knox.crypto import hash_token

from server.audit.actions import record
from server.audit.entry import Entry
from server.common.clock import now
from server.common.errors import Unauthenticated
from server.common.limiting import spend
from server.people.actions.sessions import SignedIn, close_sessions, set_ends
from server.people.actors import actor_of
from server.people.authentication import REUSED, TOKEN, is_answered, refusal_after
from server.people.models import Session, SpentRefresh
from server.people.ports import OWNERS_TOLD
from server.vault import actions as vault

KEPT = timedelta(days=7)
"""How long after its end a session's used tokens are known: so long, an old one is told why it is over."""
BATCH = 20


def refresh(*, token: str) -> SignedIn:
    """New tokens for the session of this refresh token; the ones before open nothing any more. Within the grace after
    it was used, and as long as nobody has used the new ones, the same ones again: the answer was lost, on a bad line
    perhaps for an hour.

    Raises Unauthenticated: `unauthenticated` for a token that nobody was given; `session_ended`, `session_expired`,
    `account_deactivated`, `engagement_ended`; `refresh_reused` when it has been used before, which ends the session.
    Raises TooMany. An expired token, or one that is lost, is no reason to refuse.
    """
    if not TOKEN.match(token):
        raise Unauthenticated
    digest = hash_token(token)
    refreshed = _refresh(token, digest)
    if refreshed is None:  # after the commit that ended it
        raise Unauthenticated(code=REUSED)
    return refreshed


@transaction.atomic
def _refresh(token: str, digest: str) -> SignedIn | None:
    """None when the session was ended, because its token was used before. The row's lock makes one of those who ask at
    once the first: the others find the token used."""
    locked = Session.objects.in_full().select_for_update(of=("self",))
    session = locked.filter(refresh_digest=digest).first()
    if session is not None:
        _refuse(session)
        return _rotate(session, token, digest)
    used = SpentRefresh.objects.filter(digest=digest).first()
    if used is None:
        raise Unauthenticated
    session = locked.get(sid=used.session_id)
    _refuse(session)
    again = SignedIn(session, *_successors(token))
    lost = session.refresh_digest == hash_token(again.refresh) and not is_answered(session)
    if lost or now() - used.spent_at <= timedelta(seconds=settings.ENV.refresh_grace_s):
        return again
    close_sessions(Session.objects.filter(sid=session.sid), reason=REUSED, actor=actor_of(session))
    owner = session.engagement.unit.controller_id if session.engagement is not None else None
    OWNERS_TOLD().tell(
        "way_in_changed",
        user_id=session.user_id,
        object_id=session.sid,
        actor=actor_of(session),
        code=REUSED,
        patient=getattr(session.user, "patient", None) if owner is None else None,
        employer_id=owner,
        but=session.sid,
    )
    return None


def _refuse(session: Session) -> None:
    """Raises Unauthenticated for a session that is over, and TooMany for one that asks without end."""
    spend("refresh", str(session.sid))
    assert session.idle_until is not None, "a session with a refresh token has all ends (session_refresh_order)"
    code = refusal_after(session, session.idle_until, session.read_at)
    if code is not None:
        raise Unauthenticated(code=code)


def _rotate(session: Session, token: str, digest: str) -> SignedIn:
    following = SignedIn(session, *_successors(token))
    session.digest, session.refresh_digest = hash_token(following.token), hash_token(following.refresh)
    session.rotated_at = session.last_seen_at = at = now()
    set_ends(session, at)
    changed = ("digest", "refresh_digest", "rotated_at", "expiry", "idle_until", "ends_at", "last_seen_at")
    # By its public name: the digest that the row is known by changes here.
    Session.objects.filter(sid=session.sid).update(**{name: getattr(session, name) for name in changed})
    SpentRefresh.objects.create(digest=digest, session_id=session.sid)
    record(Entry("session.refreshed", actor_of(session), object_id=session.sid))
    return following


def _successors(token: str) -> tuple[str, str]:
    """The token and the refresh token that follow this refresh token, 64 hex digits each."""
    return (
        vault.blind_index("people.refresh.token", token).hex(),
        vault.blind_index("people.refresh.refresh", token).hex(),
    )


@transaction.atomic
def forget_spent() -> int:
    """Refresh tokens of sessions that ended long ago are known no more; returns of how many sessions. Those of sessions
    that hold are all kept: one that comes back after months is still somebody else's."""
    over = Session.objects.filter(ended_at__lt=now() - KEPT, refresh_digest__isnull=False)
    sids = list(over.order_by("ended_at", "sid").values_list("sid", flat=True)[:BATCH])
    if sids:
        SpentRefresh.objects.filter(session_id__in=sids).delete()
        Session.objects.filter(sid__in=sids).update(refresh_digest=None, rotated_at=None, idle_until=None, ends_at=None)
    return len(sids)
