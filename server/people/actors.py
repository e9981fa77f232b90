"""Who acts: the person, the session, and the engagement or appointment acted for."""

from dataclasses import dataclass
from datetime import datetime

from rest_framework.request import Request

from server.audit.entry import Actor
from server.common.errors import Unauthenticated
from server.people.decide import Kind, kind_of
from server.people.models import Engagement, Officer, Patient, Session, User


@dataclass(frozen=True)
class Acting:
    """Everything a decision needs to know about who acts; read with the session, in one statement.

    `at` is the database's time at which the session was found to hold.
    """

    user: User
    session: Session | None
    engagement: Engagement | None
    officer: Officer | None
    patient: Patient | None
    actor: Actor
    at: datetime

    @property
    def kind(self) -> Kind:
        as_patient = self.session is not None and self.session.as_patient
        return kind_of_user(self.user, self.engagement, self.officer, as_patient=as_patient)


def kind_of_user(user: User, engagement: Engagement | None, officer: Officer | None, *, as_patient: bool) -> Kind:
    """`as_patient`: signed in as a citizen, and nothing else, whatever they are at work."""
    return kind_of(
        is_patient=hasattr(user, "patient"),
        is_engaged=engagement is not None,
        is_officer=officer is not None,
        is_administrator=user.is_administrator and not as_patient,
    )


def actor_of(session: Session) -> Actor:
    """What the log says about who acts (L2). `session` comes from `authenticate_token` or `Session.objects.in_full`."""
    engagement, officer = session.engagement, session.officer
    if engagement is not None:
        return actor_for(engagement, sign_in=session.sign_in)
    return Actor(
        user_id=session.user_id,
        controller_id=officer.controller_id if officer is not None else None,
        role=kind_of_user(session.user, None, officer, as_patient=session.as_patient),
        sign_in=session.sign_in,
    )


def acting_in(session: Session) -> Acting:
    """The acting person of a session read through `in_full` (sockets use this)."""
    return Acting(
        user=session.user,
        session=session,
        engagement=session.engagement,
        officer=session.officer,
        patient=getattr(session.user, "patient", None),
        actor=actor_of(session),
        at=session.read_at,
    )


def acting_for(engagement: Engagement, *, sign_in: str, at: datetime) -> Acting:
    """Somebody at work without a session: commands and the demo town. `engagement` has its unit at hand."""
    actor = actor_for(engagement, sign_in=sign_in)
    return Acting(engagement.user, None, engagement, None, None, actor, at)


def actor_for(engagement: Engagement, *, sign_in: str) -> Actor:
    """What the log says about somebody who acts for an engagement."""
    return Actor(
        user_id=engagement.user_id,
        unit_id=engagement.unit_id,
        controller_id=engagement.unit.controller_id,
        engagement_id=engagement.id,
        role=engagement.role,
        sign_in=sign_in,
    )


def acting(request: Request) -> Acting:
    """The acting person of a REST request.

    Raises Unauthenticated when the request carries no session.
    """
    if not isinstance(request.auth, Session):
        raise Unauthenticated
    return acting_in(request.auth)
