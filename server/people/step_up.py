"""Fresh proof of who somebody is (L5): for what a found telephone must not do."""

from datetime import timedelta

from django.conf import settings

from server.people.actors import Acting
from server.people.decide import proved


def fresh(acting: Acting) -> bool:
    """Whether this session was proved within `STEP_UP_MINUTES`, by the database's time."""
    return _within(acting, settings.ENV.step_up_minutes)


def fresh_for_consent(acting: Acting) -> bool:
    """The same, for giving consent: within `CONSENT_PROOF_MINUTES`. Withdrawing never asks, and in the demo town nobody
    can prove anything."""
    session = acting.session
    return (session is not None and session.sign_in == "demo") or _within(acting, settings.ENV.consent_proof_minutes)


def proved_today(acting: Acting) -> bool:
    """Whether this session was proved since a working day's session could have begun; one for a shift was not."""
    return _within(acting, settings.ENV.staff_session_hours * 60)


def _within(acting: Acting, minutes: float) -> bool:
    session = acting.session
    return session is not None and proved(strong_at=session.strong_at, at=acting.at, within=timedelta(minutes=minutes))


class FreshProof:
    """`rooms.ports.StepUp`."""

    def fresh(self, acting: Acting) -> bool:
        return fresh(acting)
