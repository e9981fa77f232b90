"""What a session may do whose owner was seen by staff, and by no electronic identification (L5): the installation says
(`IN_PERSON_MAY`). Once its owner has proved by electronic identification who they are, it is a session like others.

Each view says what it needs (`needs`, for all methods or for each); unsaid, looking is `read` and all else `write`.
Calling for help, taking back, leaving, keeping people out, and one's own ways in need nothing: they are open to every
session. Ending one's other sessions, devices and alert keys needs a proof.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from server.common.errors import Forbidden, Refusal
from server.people.actors import Acting
from server.people.decide import Need, may_in_person, proved
from server.people.models import Session
from server.people.step_up import fresh_for_consent, is_limited

if TYPE_CHECKING:  # the framework loads this module while it loads its own views
    from rest_framework.views import APIView


class WithinLimits(BasePermission):
    """The door of REST. The socket's are `may` (rooms) and `require` (`rooms/writing.py`). Raises Forbidden
    `in_person_only`, recorded."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        session = request.auth
        if isinstance(session, Session):
            _require(session, _need(view, request.method or ""))
        return True


def _need(view: "APIView", method: str) -> Need:
    said: Need | Mapping[str, Need] | None = getattr(view, "needs", None)
    if isinstance(said, Mapping):
        said = said.get(method)
    return said or ("read" if method in SAFE_METHODS else "write")


def may(acting: Acting, need: Need) -> bool:
    """Whether the session that this is done in may do so."""
    return acting.session is None or _may(acting.session, need)


def require(acting: Acting, need: Need) -> None:
    """Raises Forbidden `in_person_only`, recorded."""
    if acting.session is not None:
        _require(acting.session, need)


def require_for_consent(acting: Acting, act: str) -> None:
    """The guard before a patient lets anybody read more: who holds the phone has just proved who they are. Where staff
    let the phone in and the installation lets such sessions consent, that was the proof, and is one for as long.

    Raises Forbidden: `in_person_only`, `step_up_needed`; recorded as `act`.
    """
    session = acting.session
    if session is None:
        return
    limited = is_limited(session)
    if limited:
        _require(session, "consent")
    if fresh_for_consent(acting):
        return
    if limited:
        within = timedelta(minutes=settings.ENV.consent_proof_minutes)
        if proved(strong_at=session.created, at=acting.at, within=within):
            return
    subject = acting.patient.id if acting.patient is not None else None
    raise Forbidden(code="step_up_needed", refusal=Refusal(act, "step_up_needed", subject_id=subject))


def require_for_own_file(acting: Acting, act: str) -> None:
    """The guard before somebody's whole life here leaves in one file: who holds the phone has just proved who they are,
    and not to staff alone.

    Raises Forbidden: `in_person_only`, `step_up_needed`; recorded as `act`.
    """
    session = acting.session
    limited = session is not None and is_limited(session)
    if session is None or (fresh_for_consent(acting) and not limited):
        return
    code = "in_person_only" if limited else "step_up_needed"
    subject = acting.patient.id if acting.patient is not None else None
    raise Forbidden(code=code, refusal=Refusal(act, code, subject_id=subject))


def _may(session: Session, need: Need) -> bool:
    return not is_limited(session) or may_in_person(need, settings.ENV.in_person_may)


def _require(session: Session, need: Need) -> None:
    if not _may(session, need):
        refusal = Refusal("session.limited", need, object_id=session.sid)
        raise Forbidden(code="in_person_only", refusal=refusal)
