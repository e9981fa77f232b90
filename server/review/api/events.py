"""REST for officers who look through the log: parse, call, answer."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.audit.models import AuditEvent, index_of, tree_of
from server.common.errors import FieldError, Invalid
from server.common.idempotency import idempotent
from server.common.pagination import KeyCursorPagination
from server.common.sql import rfc3339
from server.people.actors import acting
from server.review import reveals
from server.review.access import open_event, require_officer, require_proved_officer
from server.review.events import COLUMNS, Seen, Wanted, is_published, record_look, record_opened
from server.review.meanings import meaning
from server.review.models import Reveal
from server.review.paging import LogPages

LISTED, OPENED, BEFORE = "review.events_viewed", "review.event_viewed", "review.reveals_viewed"
OURS = {"cursor", "limit"}
"""Parameters that narrow nothing."""
OUTCOMES = ["success", "refused"]


class MomentField(serializers.DateTimeField):
    """A moment that exists in UTC, in which all are compared."""

    def to_internal_value(self, value: Any) -> datetime:
        moment = super().to_internal_value(value)
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            self.fail("overflow")


class Filters(serializers.Serializer[Any]):
    """All of what is given must hold. The period is half open: from `from` on, before `to`."""

    to = MomentField(required=False)
    actor = serializers.UUIDField(required=False, help_text="The user who acted.")
    unit = serializers.UUIDField(required=False, help_text="The unit acted for.")
    subject = serializers.UUIDField(required=False, help_text="The patient concerned. Stands in that patient's log.")
    room = serializers.UUIDField(required=False)
    type = serializers.RegexField(r"^[a-z_]+\.[a-z_]+\Z", max_length=60, required=False)
    basis = serializers.RegexField(r"^[a-z_]+\Z", max_length=40, required=False)
    outcome = serializers.ChoiceField(choices=OUTCOMES, required=False)

    def get_fields(self) -> dict[str, Any]:
        return {"from": MomentField(required=False), **super().get_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "from" in attrs and "to" in attrs and attrs["to"] <= attrs["from"]:
            raise serializers.ValidationError({"to": [gettext_lazy("Must lie after the start.")]})
        return attrs


class EventLine(serializers.Serializer[Any]):
    """Codes and pseudonymous ids. `subject` is the patient's id."""

    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    type = serializers.CharField()
    actor = serializers.UUIDField(allow_null=True)
    unit = serializers.UUIDField(allow_null=True)
    subject = serializers.UUIDField(allow_null=True)
    room = serializers.UUIDField(allow_null=True)
    basis = serializers.CharField(allow_blank=True)
    outcome = serializers.ChoiceField(choices=OUTCOMES)


class LoggedActor(serializers.Serializer[Any]):
    user = serializers.UUIDField(allow_null=True)
    controller = serializers.UUIDField(allow_null=True)
    unit = serializers.UUIDField(allow_null=True)
    engagement = serializers.UUIDField(allow_null=True)
    role = serializers.CharField(allow_blank=True)
    sign_in = serializers.CharField(allow_blank=True)


class LeafView(serializers.Serializer[Any]):
    """Where in which tree the event is sealed; `sealed` once a signed checkpoint covers it."""

    tree = serializers.IntegerField()
    index = serializers.IntegerField()
    sealed = serializers.BooleanField()


class LoggedMeaning(serializers.Serializer[Any]):
    type = serializers.CharField()
    basis = serializers.CharField()
    outcome = serializers.CharField()


class LoggedEvent(serializers.Serializer[Any]):
    """Every code of one event, and what three of them mean in the reader's language. `has_details`: there are details,
    which are shown by a reveal, unless they are erased."""

    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    type = serializers.CharField()
    actor = LoggedActor()
    subject = serializers.UUIDField(allow_null=True)
    room = serializers.UUIDField(allow_null=True)
    object = serializers.UUIDField(allow_null=True)
    purpose = serializers.CharField(allow_blank=True)
    basis = serializers.CharField(allow_blank=True)
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    reason = serializers.CharField(allow_blank=True)
    records = serializers.ListField(child=serializers.UUIDField())
    record_sha256 = serializers.CharField(allow_null=True, help_text="Of the sealed record that the act wrote.")
    request = serializers.CharField(allow_blank=True)
    has_details = serializers.BooleanField()
    leaf = LeafView()
    means = LoggedMeaning()


class RevealBody(serializers.Serializer[Any]):
    reason = serializers.CharField(
        min_length=10, max_length=2000, help_text="Why, in the officer's words; sealed, and kept with the case."
    )


class RevealView(serializers.Serializer[Any]):
    """`details` are null unless `details_state` is `open`: there are `none`, or they are `erased` or `unreadable`."""

    id = serializers.UUIDField()
    event = serializers.UUIDField()
    actor = serializers.UUIDField(allow_null=True)
    actor_name = serializers.CharField(allow_null=True)
    subject = serializers.UUIDField(allow_null=True)
    patient_name = serializers.CharField(allow_null=True)
    room = serializers.UUIDField(allow_null=True)
    details = serializers.DictField(allow_null=True)
    details_state = serializers.ChoiceField(choices=["open", "none", "erased", "unreadable"])


class EarlierReveal(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    officer = serializers.UUIDField()
    officer_name = serializers.CharField()
    reason = serializers.CharField()


class Events(APIView):
    pagination_class = LogPages

    @extend_schema(
        summary="The log of my controller, newest first",
        description="What its staff did, and what concerned patients whom it helped at the time; one page is one look, "
        "which stands in the log too. An event is listed a second or two after it happened, when it is sealed.",
        parameters=[Filters],
        responses=EventLine(many=True),
    )
    def get(self, request: Request) -> Response:
        me = acting(request)
        officer = require_officer(me, LISTED)
        wanted, pages = heard(request), LogPages()
        with transaction.atomic():
            seen = pages.lines(officer.controller_id, wanted, request)
            record_look(acting=me, wanted=wanted, seen=seen)
        return pages.get_paginated_response([line(one) for one in seen])


class OneEvent(APIView):
    @extend_schema(summary="One event of the log, with every code", responses=LoggedEvent)
    def get(self, request: Request, event_id: UUID) -> Response:
        me = acting(request)
        with transaction.atomic():
            event, position = open_event(require_officer(me, OPENED), event_id, OPENED)
            record_opened(acting=me, event=event, type_=OPENED)
        return Response(view(event, position))


class Reveals(APIView):
    pagination_class = KeyCursorPagination

    @extend_schema(
        summary="Who of us has had this case revealed before, and why",
        responses=EarlierReveal(many=True),
    )
    def get(self, request: Request, event_id: UUID) -> Response:
        me, pages = acting(request), KeyCursorPagination()
        with transaction.atomic():
            officer = require_officer(me, BEFORE)
            event = open_event(officer, event_id, BEFORE).event
            found = pages.paginate_queryset(reveals.earlier(officer, event.id), request, view=self)
            record_opened(acting=me, event=event, type_=BEFORE)
        return pages.get_paginated_response([before(one) for one in found])

    @extend_schema(
        summary="Show the names and details of this one event",
        description="For a written reason. The patient reads in their own log that it was done.",
        request=RevealBody,
        responses={201: RevealView},
        examples=[
            OpenApiExample(
                "A complaint",
                value={"reason": "Pasienten har klaget på at noen uten tjenstlig behov har lest."},
                request_only=True,
            )
        ],
    )
    @idempotent
    def post(self, request: Request, event_id: UUID) -> Response:
        me = acting(request)
        require_officer(me, reveals.REVEALED)
        said = RevealBody(data=request.data)
        said.is_valid(raise_exception=True)
        shown = reveals.reveal(acting=me, event_id=event_id, reason=said.validated_data["reason"])
        return Response(revealed(shown), status=201)

    def recheck(self, request: Request, event_id: UUID) -> None:
        """What was shown once is shown again, to whoever may still see it, and that is a look."""
        me = acting(request)
        event = open_event(require_proved_officer(me, reveals.REVEALED), event_id, reveals.REVEALED).event
        record_opened(acting=me, event=event, type_=reveals.REVEALED)


def heard(request: Request) -> Wanted:
    """The filters of a request.

    Raises Invalid or DRF's ValidationError, with the fields: a filter that is not understood narrows nothing, and an
    officer would believe that it did.
    """
    filters = Filters(data=request.query_params.dict())
    wrong: list[FieldError] = []
    for name, values in request.query_params.lists():
        if name not in filters.fields and name not in OURS:
            # The name is the client's; only what can be a name is repeated.
            told = name if re.fullmatch(r"[a-z_]{1,30}", name) else ""
            wrong.append({"field": told, "code": "unknown", "detail": _("There is no such filter.")})
        elif len(values) > 1:
            wrong.append({"field": name, "code": "repeated", "detail": _("Give each filter once.")})
    if wrong:
        raise Invalid(errors=wrong)
    filters.is_valid(raise_exception=True)
    said = filters.validated_data
    same = {name: said[name] for name in COLUMNS if name in said}
    return Wanted(since=said.get("from"), until=said.get("to"), same=same)


def line(seen: Seen) -> dict[str, Any]:
    """A line as it is listed."""
    return {
        "id": str(seen.event_id),
        "at": rfc3339(seen.at),
        "type": seen.type,
        "actor": _id(seen.actor_id),
        "unit": _id(seen.unit_id),
        "subject": _id(seen.subject_id),
        "room": _id(seen.room_id),
        "basis": seen.basis,
        "outcome": seen.outcome,
    }


def view(event: AuditEvent, position: int) -> dict[str, Any]:
    """One event with every code; one statement, for the checkpoint."""
    return {
        "id": str(event.id),
        "at": rfc3339(event.at),
        "type": event.type,
        "actor": {
            "user": _id(event.actor_id),
            "controller": _id(event.controller_id),
            "unit": _id(event.unit_id),
            "engagement": _id(event.engagement_id),
            "role": event.role,
            "sign_in": event.sign_in,
        },
        "subject": _id(event.subject_id),
        "room": _id(event.room_id),
        "object": _id(event.object_id),
        "purpose": event.purpose,
        "basis": event.basis,
        "outcome": event.outcome,
        "reason": event.reason,
        "records": list(event.record_ids),
        "record_sha256": event.sealed_hash,
        "request": event.request_id,
        "has_details": event.detail_sealed is not None,
        "leaf": {"tree": tree_of(position), "index": index_of(position), "sealed": is_published(position)},
        "means": meaning(event.type, event.basis, event.outcome)._asdict(),
    }


def revealed(shown: reveals.Shown) -> dict[str, Any]:
    return {
        "id": str(shown.reveal.id),
        "event": str(shown.event.id),
        "actor": _id(shown.event.actor_id),
        "actor_name": shown.actor,
        "subject": _id(shown.event.subject_id),
        "patient_name": shown.patient,
        "room": _id(shown.event.room_id),
        "details": shown.details,
        "details_state": shown.state,
    }


def before(kept: Reveal) -> dict[str, Any]:
    return {
        "id": str(kept.id),
        "at": rfc3339(kept.at),
        "officer": str(kept.officer.user_id),
        "officer_name": kept.officer.user.name,
        "reason": reveals.reason_of(kept),
    }


def _id(value: UUID | None) -> str | None:
    return None if value is None else str(value)
