"""Which port is bound to which implementation, and how failures become answers. Nothing else."""

from typing import Any

import structlog
from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from rest_framework.response import Response

from server.alerts.open_alerts import OpenAlerts
from server.alerts.pages import Pages
from server.audit.entry import Actor
from server.audit.ports import RECIPIENTS
from server.audit.refusals import record_refusal
from server.common import problems
from server.common.counting import count_refused
from server.common.errors import Forbidden, NotFound, Problem, Unavailable
from server.consent.ports import ROOM_EFFECTS
from server.consent.records import ExcludedPeople
from server.notify.ports import MESSAGES, PAGES
from server.notify.sessions import DevicesOfSessions
from server.notify.ways_in import WaysIn
from server.people.actors import acting
from server.people.officers import AppointedOfficers
from server.people.ports import ACCESS_EFFECTS, EXCLUSIONS, OWNERS_TOLD, SESSION_DEVICES
from server.review.custody import KeyCustody
from server.rooms.effects import ConsentInRooms, EngagementsInRooms
from server.rooms.notices import Notices
from server.rooms.ports import OPEN_ALERTS
from server.vault.ports import CUSTODY

log = structlog.get_logger(__name__)

NOBODY = Actor(user_id=None, role="nobody")


def bind_ports() -> None:
    """Bind every port; called once, by `server/apps.py`."""
    ROOM_EFFECTS.bind(ConsentInRooms())
    ACCESS_EFFECTS.bind(EngagementsInRooms())
    SESSION_DEVICES.bind(DevicesOfSessions())
    OWNERS_TOLD.bind(WaysIn())
    EXCLUSIONS.bind(ExcludedPeople())
    CUSTODY.bind(KeyCustody())
    RECIPIENTS.bind(AppointedOfficers())
    OPEN_ALERTS.bind(OpenAlerts())
    PAGES.bind(Pages())
    MESSAGES.bind(Notices())


def answer_problem(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler: the refusal on record, then problem+json."""
    request = context.get("request")
    problem = problems.to_problem(error)
    if problem is None:
        log.error("request_failed", exc_info=error)
        problem = problems.InternalProblem()
    problem = count_refused(problem, request, context.get("view"))
    if problem.refusal is not None and request is not None:
        try:
            record_refusal(_actor(request), problem.refusal)
        except DatabaseError as failure:
            problem = problems.to_problem(failure) or Unavailable()
    return Response(
        problems.document(problem, getattr(request, "request_id", "")),
        status=problem.status,
        headers=problems.headers(problem),
        content_type=problems.MEDIA_TYPE,
    )


def _actor(request: Any) -> Actor:
    try:
        return acting(request).actor
    except Problem:
        return NOBODY


def not_found(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    """Unknown paths answer as foreign ones do."""
    return problems.answer(NotFound(), request)


def not_trusted(request: HttpRequest, reason: str = "") -> JsonResponse:
    """A form that another site may have made (the administrators' pages)."""
    return problems.answer(Forbidden(code="csrf_failed"), request)


def server_error(request: HttpRequest) -> JsonResponse:
    return problems.answer(problems.InternalProblem(), request)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> JsonResponse:
    return problems.answer(problems.to_problem(exception or Exception()) or Problem(code="malformed"), request)
