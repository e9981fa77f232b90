"""The whole way: out to the provider, back with its answer, and from a one-time code to a session.

Three requests, and nothing is held between them but a digest: `begin` makes an attempt, `come_back` uses it and makes a
hand-over, `exchange` (or `strengthen`) uses that. Each is good once: one conditional UPDATE decides who was first.
No transaction is open and no connection is held while a provider is asked.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import transaction
from knox.crypto import hash_token

from server.audit.entry import Actor
from server.common.clock import now
from server.common.errors import Forbidden, Invalid, NotFound, Problem, Refusal, Unavailable
from server.people.actions.proofs import note_proved
from server.people.actions.sessions import SignedIn, sign_in_lasting
from server.people.actors import Acting
from server.people.authentication import is_answered
from server.people.models import Engagement, HandOver, OidcAttempt, Session
from server.people.oidc import checks, wire
from server.people.oidc.keys import UnusableKey
from server.people.oidc.metadata import known
from server.people.oidc.persons import Unknown, chosen, engagements_for, find_person, least_level
from server.people.oidc.providers import Provider, ProviderFault, find
from server.people.oidc.requests import Attempt, authorization_url, fetch_id_token
from server.people.periods import NOW
from server.vault import actions as vault

log = structlog.get_logger(__name__)

ATTEMPT = timedelta(minutes=10)
HAND_OVER = timedelta(seconds=60)
STATE = 43
NOBODY = Actor(user_id=None, role="nobody")


class NoProvider(Unavailable):
    """503: the provider does not answer usably now; who is signed in stays so, and there are other ways in."""

    code = "sign_in_unavailable"
    retry_after_s = 30


class NotSignedIn(Problem):
    """403: the provider said who it is, or would not; nobody is signed in."""

    status = 403
    code = "sign_in_refused"


class Expired(Problem):
    """400: nothing here knows of this sign-in now: it is over, was used, or began elsewhere. Never said which."""

    status = 400
    code = "sign_in_expired"


@dataclass(frozen=True, slots=True)
class Begun:
    """Where to send somebody, and until when they may come back; `browser` is for the browser's cookie of that name."""

    url: str
    expires_at: datetime
    browser: str
    browser_name: str


@dataclass(frozen=True, slots=True)
class Returned:
    """A one-time code, and where it goes: `app` or `browser`, whose cookie of that name is of no more use."""

    code: str
    returns_to: str
    browser_name: str


@dataclass(frozen=True, slots=True)
class Exchanged:
    """The session, and everything else that the person may act for."""

    signed_in: SignedIn
    engagements: Sequence[Engagement]


def provider_of(provider_id: str) -> Provider:
    """Raises NotFound; NoProvider when the installation's file cannot be used."""
    try:
        found = find(provider_id)
    except ProviderFault as fault:
        log.error("sign_in_file_unusable", fault=str(fault))
        raise NoProvider from None
    if found is None:
        raise NotFound
    return found


# --- out ----------------------------------------------------------------------------------------------


def begin(*, provider: Provider, challenge: str, returns_to: str, language: str, acting: Acting | None = None) -> Begun:
    """Ask the provider to find out who somebody is. With `acting`, it is to be the same person once more, now.

    Raises NoProvider; Forbidden `other_provider` for a way in that is not theirs.
    """
    session = acting.session if acting is not None else None
    if acting is not None:
        _require_theirs(provider, acting)
    attempt = Attempt(secrets.token_urlsafe(32))
    try:
        url = authorization_url(
            provider,
            known(provider).metadata(),
            attempt,
            minimum=least_level(provider),
            language=language,
            anew=provider.anew or session is not None,
        )
    except (wire.Away, UnusableKey) as fault:
        raise _no_provider(provider, fault) from None
    row = OidcAttempt.objects.create(
        state_digest=digest(attempt.state),
        provider=provider.id,
        challenge=challenge,
        returns_to=returns_to,
        session=session,
        expires_at=now() + ATTEMPT,
    )
    return Begun(url, row.expires_at, attempt.browser, attempt.browser_name)


def _require_theirs(provider: Provider, acting: Acting) -> None:
    """Citizens' providers are for patients, an employer's own for those who act for a place of that employer's. Raises
    Forbidden."""
    if provider.kind == "citizen":
        fits = acting.kind == "patient"
    elif provider.kind == "employer":
        engagement = acting.engagement
        fits = engagement is not None and engagement.unit.controller.org_number in provider.organisations
    else:
        fits = acting.kind != "patient"
    if not fits:
        raise Forbidden(code="other_provider")


def _no_provider(provider: Provider, fault: Exception) -> NoProvider:
    log.warning("sign_in_provider_away", provider=provider.id, fault=str(fault))
    return NoProvider()


# --- back ---------------------------------------------------------------------------------------------


def come_back(*, provider: Provider, query: Mapping[str, Sequence[str]], cookies: Mapping[str, str]) -> Returned:
    """Whoever comes back from the provider, with its answer. `cookies` are what the browser brings, by `browser_name`.

    Raises Expired, NoProvider; NotSignedIn with a code that says what to do, recorded.
    """
    states = query.get("state", [])
    attempt = Attempt(states[0] if len(states) == 1 else "")
    row = _use(provider, attempt, cookies)
    try:
        return _believe(provider, attempt, row, query)
    except (wire.Away, UnusableKey) as fault:
        raise _no_provider(provider, fault) from None
    except checks.Unsound as unsound:
        codes = {"level": "sign_in_level", "cancelled": "sign_in_cancelled"}
        raise _refused(row, codes.get(unsound.reason, "sign_in_refused"), unsound.reason) from None
    except Unknown as unknown:
        raise _refused(row, unknown.code, unknown.code) from None


def _use(provider: Provider, attempt: Attempt, cookies: Mapping[str, str]) -> OidcAttempt:
    """The attempt, which nobody can use again. Raises Expired."""
    if len(attempt.state) != STATE or not attempt.state.isascii():
        raise Expired
    rows = OidcAttempt.objects.filter(state_digest=digest(attempt.state), provider=provider.id)
    row = rows.first()
    if row is None:
        raise Expired
    cookie = cookies.get(attempt.browser_name, "")
    if row.returns_to == "browser" and not secrets.compare_digest(cookie.encode(), attempt.browser.encode()):
        raise Expired
    if not rows.filter(used_at=None, expires_at__gt=NOW).update(used_at=NOW):
        raise Expired
    return row


def _believe(provider: Provider, attempt: Attempt, row: OidcAttempt, query: Mapping[str, Sequence[str]]) -> Returned:
    """Raises Away, UnusableKey, Unsound, Unknown."""
    there = known(provider)
    metadata = there.metadata()
    code = checks.read_answer(query, issuer=provider.issuer, says_issuer=metadata.says_issuer)
    token = fetch_id_token(provider, metadata, attempt, code)
    keys = there.keys()
    at, anew = now(), provider.anew or row.session_id is not None
    expected = checks.Expected(
        issuer=provider.issuer,
        client_id=provider.client_id,
        nonce=attempt.nonce,
        algs=provider.id_token_algs,
        at=at,
        proved_since=row.begun_at if anew else None,
    )
    try:
        claims = checks.read_id_token(token, keys, expected)
    except checks.UnknownKey:
        newer = there.newer_keys()
        if newer is None:
            raise
        claims = checks.read_id_token(token, newer, expected)
    said = checks.read_person(
        claims,
        number_claim=provider.number_claim,
        level_claim=provider.level_claim,
        levels=provider.levels,
        organisation_claims=provider.organisation_claims,
    )
    proved_at = checks.proved_at(claims, at)
    return Returned(_hand_over(provider, row, said, proved_at), row.returns_to, attempt.browser_name)


@transaction.atomic
def _hand_over(provider: Provider, row: OidcAttempt, said: checks.Said, proved_at: datetime | None) -> str:
    """Raises Unknown, TooLow."""
    found = find_person(provider, said)
    if said.level < found.minimum:
        raise checks.TooLow
    if row.session_id is not None and not Session.objects.filter(sid=row.session_id, user=found.user).exists():
        raise Unknown("sign_in_other_person")
    if not found.user.is_active:
        raise Unknown("account_deactivated")
    code = secrets.token_urlsafe(32)
    HandOver.objects.create(
        code_digest=digest(code),
        challenge=row.challenge,
        user=found.user,
        provider=provider.id,
        method=provider.method,
        level=said.level,
        as_patient=provider.kind == "citizen",
        organisation=found.organisation,
        proved_at=proved_at,
        session_id=row.session_id,
        expires_at=now() + HAND_OVER,
    )
    return code


def _refused(row: OidcAttempt, code: str, reason: str) -> NotSignedIn:
    """On record: why, where, and for which session if it was to be proved; nobody knows of whom."""
    log.warning("sign_in_refused", provider=row.provider, reason=reason)
    refusal = Refusal("sign_in.refused", reason, object_id=row.session_id, detail={"provider": row.provider})
    return NotSignedIn(code=code, refusal=refusal)


# --- from the code to the session -----------------------------------------------------------------------


@transaction.atomic
def exchange(*, code: str, verifier: str, device: str, engagement_id: UUID | None) -> Exchanged:
    """A session for a one-time code, for the app that began the sign-in and no other.

    Raises Invalid `sign_in_code` for a code that is unknown, used, expired or another app's; NotFound for an engagement
    that is foreign or over; as `sign_in_lasting` does. The code is used up only when a session begins. Its tokens
    follow from code and verifier, so whoever never got the answer asks once more while the code would be good, and gets
    the same ones (law 3), as long as nobody has used them.
    """
    row = _of_code(code, verifier, session=None)
    provider = provider_of(row.provider)
    working = [] if row.as_patient else list(engagements_for(row.user_id, provider))
    tokens = _tokens(code, verifier)
    if not _take(row):
        return Exchanged(_again(row, tokens, engagement_id), working)
    engagement = chosen(working, row.organisation, engagement_id)
    if engagement is None and engagement_id is not None:
        raise NotFound(refusal=Refusal("engagement.chosen", reason="not_own", object_id=engagement_id))
    if engagement is None and provider.kind == "employer":
        raise Forbidden(code="no_engagement")
    signed_in = sign_in_lasting(
        user=row.user,
        method=row.method,
        level=row.level,
        device=device,
        engagement=engagement,
        as_patient=row.as_patient,
        proved_at=row.proved_at,
        tokens=tokens,
    )
    return Exchanged(signed_in, working)


def _again(row: HandOver, tokens: tuple[str, str], engagement_id: UUID | None) -> SignedIn:
    """The session that this code has begun, which nobody has used yet. Raises Invalid."""
    begun = Session.objects.in_full().filter(digest=hash_token(tokens[0]), user_id=row.user_id, ended_at=None).first()
    if begun is None or row.expires_at <= begun.read_at or is_answered(begun):
        raise Invalid(code="sign_in_code")
    if engagement_id not in (None, begun.engagement_id):
        raise Invalid(code="sign_in_code")
    return SignedIn(begun, *tokens)


def _tokens(code: str, verifier: str) -> tuple[str, str]:
    """The token and the refresh token that this code gives to this app, 64 hex digits each."""
    both = f"{code} {verifier}"
    return (
        vault.blind_index("people.hand_over.token", both).hex(),
        vault.blind_index("people.hand_over.refresh", both).hex(),
    )


@transaction.atomic
def strengthen(*, acting: Acting, code: str, verifier: str) -> datetime:
    """The session of whoever acts has just been proved at the provider, by the same person; since when that counts.

    Raises Invalid `sign_in_code`, also for a code of another session; Forbidden `other_provider` when they act for
    another place meanwhile.
    """
    assert acting.session is not None, "only a session is strengthened"
    row = _of_code(code, verifier, session=acting.session.sid)
    if row.proved_at is None or not _take(row):
        raise Invalid(code="sign_in_code")
    _require_theirs(provider_of(row.provider), acting)
    held = Session.objects.select_for_update(no_key=True).get(sid=acting.session.sid)
    if held.engagement_id != acting.session.engagement_id:  # they have chosen while this request was under way
        raise Forbidden(code="other_provider")
    return note_proved(acting, by=row.method, at=row.proved_at, level=row.level)


def _of_code(code: str, verifier: str, *, session: UUID | None) -> HandOver:
    """The hand-over of a code, used or not. Raises Invalid."""
    rows = HandOver.objects.filter(
        code_digest=digest(code), challenge=checks.challenge_of(verifier), session_id=session
    )
    row = rows.select_related("user").first()
    if row is None:
        raise Invalid(code="sign_in_code")
    return row


def _take(row: HandOver) -> bool:
    """Use it up, in the caller's transaction; False when it was, or is over."""
    good = HandOver.objects.filter(code_digest=row.code_digest, used_at=None, expires_at__gt=NOW)
    return bool(good.update(used_at=NOW))


@transaction.atomic
def forget_old() -> int:
    """Attempts and codes that are over; returns how many."""
    over = 0
    for model in (OidcAttempt, HandOver):
        old = model.objects.filter(expires_at__lt=now() - ATTEMPT)
        if old.exists():
            over += old.delete()[0]
    return over


def digest(secret: str) -> str:
    """What stands in the database for a state or a code: both are long and drawn by lot."""
    return hashlib.sha512(secret.encode()).hexdigest()
