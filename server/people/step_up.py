"""Fresh proof of who somebody is (L5): for what a found telephone must not do (docs/decisions/0038-step-up.md)."""

from datetime import datetime, timedelta

from django.conf import settings

from server.common.errors import Forbidden, Refusal
from server.people.actors import Acting
from server.people.decide import proved

PASSKEY = "passkey"
"""`Session.strong_by`, where it was one."""


def fresh(acting: Acting) -> bool:
    """Whether this session was proved within `STEP_UP_MINUTES`, by the database's time."""
    return _within(acting, settings.ENV.step_up_minutes)


def require_fresh(acting: Acting, act: str) -> None:
    """The guard before what needs a fresh proof: emergency access, names revealed, ways in changed.

    Raises Forbidden `step_up_needed`, recorded as `act`.
    """
    if not fresh(acting):
        raise Forbidden(code="step_up_needed", refusal=Refusal(act, "step_up_needed"))


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
