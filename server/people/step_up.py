"""Fresh proof of who somebody is (L5): for what a found telephone must not do (docs/decisions/0038-step-up.md)."""

from datetime import datetime, timedelta

from django.conf import settings

from server.common.errors import Forbidden, Refusal
from server.people import decide
from server.people.actors import Acting
from server.people.decide import EMPLOYER, proved
from server.people.models import Engagement, Officer, Patient, Session

PASSKEY = "passkey"
"""`Session.strong_by`, where it was one."""


def fresh(acting: Acting) -> bool:
    """Whether this session was proved within `STEP_UP_MINUTES`, by the database's time. One that staff let in proves
    nothing with passkeys and codes: electronic identification has to say first whose it is."""
    return (acting.session is None or not is_limited(acting.session)) and _within(acting, settings.ENV.step_up_minutes)


def is_limited(session: Session) -> bool:
    """See `decide.is_limited`."""
    return decide.is_limited(sign_in=session.sign_in, level=session.level)


def require_fresh(acting: Acting, act: str) -> None:
    """The guard before what needs a fresh proof: emergency access, names revealed, ways in changed.

    Raises Forbidden `step_up_needed`, recorded as `act`.
    """
    if not fresh(acting):
        raise Forbidden(code="step_up_needed", refusal=Refusal(act, "step_up_needed"))


def require_for_ways_in(acting: Acting, act: str) -> None:
    """The guard before a way in is made or taken away: what it proves, it proves at every place of work.

    Raises Forbidden, recorded as `act`: `other_provider` where an employer's own provider let the session in, or proved
    it last, and the person does more than work there; `step_up_needed`.
    """
    if not speaks_for_all(acting):
        raise Forbidden(code="other_provider", refusal=Refusal(act, "other_provider"))
    require_fresh(acting, act)


def speaks_for_all(acting: Acting) -> bool:
    """Whether whoever let this session in speaks for all that the person does here. An employer's own provider speaks
    for work there alone."""
    session, engagement = acting.session, acting.engagement
    if session is None or EMPLOYER not in (session.sign_in, session.strong_by):
        return True
    if engagement is None or acting.user.is_administrator or acting.patient is not None:
        return False
    here, user_id = engagement.unit.controller_id, acting.user.id
    return not (
        Engagement.objects.current().filter(user_id=user_id).exclude(unit__controller_id=here).exists()
        or Officer.objects.current().filter(user_id=user_id).exclude(controller_id=here).exists()
        or Patient.objects.filter(user_id=user_id).exists()
    )


def fresh_for_consent(acting: Acting) -> bool:
    """The same, for giving consent: within `CONSENT_PROOF_MINUTES`. Withdrawing never asks, and in the demo town nobody
    can prove anything."""
    session = acting.session
    return (session is not None and session.sign_in == "demo") or _within(acting, settings.ENV.consent_proof_minutes)


def fresh_until(acting: Acting) -> datetime | None:
    """When the last proof stops being fresh; None when there is no fresh one."""
    session = acting.session
    if session is None or session.strong_at is None or not fresh(acting):
        return None
    return session.strong_at + timedelta(minutes=settings.ENV.step_up_minutes)


def proved_by_passkey(acting: Acting) -> bool:
    """Whether this session's last proof was a passkey, whenever that was: what administrators' pages ask of it."""
    return acting.session is not None and acting.session.strong_by == PASSKEY


def _within(acting: Acting, minutes: float) -> bool:
    session = acting.session
    return session is not None and proved(strong_at=session.strong_at, at=acting.at, within=timedelta(minutes=minutes))
