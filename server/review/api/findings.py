"""REST for findings: parse, call, answer. There is no way to ask by person, to sort by one, or to count."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.common.errors import FieldError, Invalid
from server.common.idempotency import idempotent
from server.common.sql import rfc3339
from server.duties.paging import DuePages
from server.people.actors import Acting, acting
from server.review import findings
from server.review.api.events import MomentField
from server.review.finding_decide import State
from server.review.models import Finding
from server.review.odd import Kind
from server.review.odd_words import asked

LONGEST = 4000
"""Characters of a note."""
OURS = {"cursor", "limit"}
KINDS = [one.value for one in Kind]
STATES = [one.value for one in State]


class FindingFilters(serializers.Serializer[Any]):
    """All of what is given must hold. Nothing narrows to a person whom findings are about."""

    state = serializers.ChoiceField(
        choices=STATES, required=False, help_text="Without it: all but those that are closed."
    )
    kind = serializers.ChoiceField(choices=KINDS, required=False)
    owner = serializers.ChoiceField(
        choices=["me", "nobody"], required=False, help_text="Taken by me, or by no officer who is one now."
    )


class FindingText(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=LONGEST, help_text="In the officer's words; sealed.")


class FindingClosing(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=LONGEST, required=False, default="", allow_blank=True)


class FindingTaking(serializers.Serializer[Any]):
    due_at = MomentField(required=False, help_text="By when it will be answered.")


class FindingCard(serializers.Serializer[Any]):
    """What is asked, and how it stands; whom it is about stands in the finding itself. `owner` is `me`, `other` or
    null; `duty` the task to review that answers it; `hindered` says why nobody can take it."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=KINDS)
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=STATES)
    conclusion = serializers.ChoiceField(choices=["explained", "confirmed", "duty"], allow_null=True)
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    owner = serializers.ChoiceField(choices=["me", "other"], allow_null=True)
    duty = serializers.UUIDField(allow_null=True)
    hindered = serializers.CharField(allow_null=True)


class FindingNoteView(serializers.Serializer[Any]):
    """`by` is an officer's appointment; null when the task to review closed it."""

    at = serializers.DateTimeField()
    by = serializers.UUIDField(allow_null=True)
    from_state = serializers.ChoiceField(choices=STATES)
    to_state = serializers.ChoiceField(choices=STATES)
    text = serializers.CharField(allow_null=True)


class FindingView(FindingCard):
    """With the question in words, what was compared, pseudonyms, and the events, whose names are shown by a reveal."""

    reason = serializers.CharField()
    parameters = serializers.DictField(child=serializers.IntegerField())
    actor = serializers.UUIDField()
    subject = serializers.UUIDField(allow_null=True)
    events = serializers.ListField(child=serializers.UUIDField())
    notes = FindingNoteView(many=True)


class Findings(APIView):
    pagination_class = DuePages

    @extend_schema(
        summary="What the log is asked about, soonest due first",
        description="Findings of my controller, but for those about myself: another officer answers these.",
        parameters=[FindingFilters],
        responses=FindingCard(many=True),
    )
    def get(self, request: Request) -> Response:
        me, pages = acting(request), DuePages()
        rows = findings.queue(me)
        rows = _narrowed(rows, me, heard(request))
        with transaction.atomic():
            found = pages.paginate_queryset(rows, request, view=self)
            findings.record_look(acting=me, shown=len(found))
        return pages.get_paginated_response([card(me, one) for one in found])


class OneFinding(APIView):
    @extend_schema(summary="One finding, with its events and notes", responses=FindingView)
    def get(self, request: Request, finding_id: UUID) -> Response:
        return Response(_shown(acting(request), finding_id))


class _Act(APIView):
    """A verb; its answer is the finding as it stands, also when it is asked for again."""

    def recheck(self, request: Request, finding_id: UUID) -> dict[str, Any]:
        return _shown(acting(request), finding_id)


class TakeFinding(_Act):
    @extend_schema(
        summary="Take it, and say by when",
        description="`finding_taken` when another officer has it.",
        request=FindingTaking,
        responses=FindingView,
    )
    @idempotent
    def post(self, request: Request, finding_id: UUID) -> Response:
        said = _said(FindingTaking, request)
        return _done(request, finding_id, findings.take, due_at=said.get("due_at"))


class NoteFinding(_Act):
    @extend_schema(summary="Write something down beside it", request=FindingText, responses=FindingView)
    @idempotent
    def post(self, request: Request, finding_id: UUID) -> Response:
        return _done(request, finding_id, findings.note, text=_said(FindingText, request)["text"])


class ExplainFinding(_Act):
    @extend_schema(
        summary="There was a good reason",
        request=FindingText,
        responses=FindingView,
        examples=[
            OpenApiExample(
                "Explained", value={"text": "Vikar for fastlegen den uken. Avtalt med leder."}, request_only=True
            )
        ],
    )
    @idempotent
    def post(self, request: Request, finding_id: UUID) -> Response:
        return _done(request, finding_id, findings.explain, text=_said(FindingText, request)["text"])


class ConfirmFinding(_Act):
    @extend_schema(summary="There was no reason that I could find", request=FindingText, responses=FindingView)
    @idempotent
    def post(self, request: Request, finding_id: UUID) -> Response:
        return _done(request, finding_id, findings.confirm, text=_said(FindingText, request)["text"])


class CloseFinding(_Act):
    @extend_schema(summary="Nothing more is to be done", request=FindingClosing, responses=FindingView)
    @idempotent
    def post(self, request: Request, finding_id: UUID) -> Response:
        return _done(request, finding_id, findings.close, text=_said(FindingClosing, request)["text"])


def heard(request: Request) -> dict[str, Any]:
    """The filters of a request. Raises Invalid or DRF's ValidationError for what is none: it would narrow nothing."""
    filters = FindingFilters(data=request.query_params.dict())
    known = {*filters.fields, *OURS}
    wrong: list[FieldError] = [
        {
            "field": name if re.fullmatch(r"[a-z_]{1,30}", name) else "",
            "code": "unknown",
            "detail": _("There is no such filter."),
        }
        for name in request.query_params
        if name not in known
    ]
    if wrong:
        raise Invalid(errors=wrong)
    filters.is_valid(raise_exception=True)
    return dict(filters.validated_data)


def _narrowed(rows: Any, me: Acting, wanted: dict[str, Any]) -> Any:
    rows = rows.filter(state=wanted["state"]) if "state" in wanted else rows.filter(closed_at=None)
    if "kind" in wanted:
        rows = rows.filter(kind=wanted["kind"])
    rows = findings.held(rows)
    if wanted.get("owner") == "me":
        return rows.filter(owner=me.officer)
    return rows.filter(held=False) if wanted.get("owner") == "nobody" else rows


def _said(kind: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    said = kind(data=request.data)
    said.is_valid(raise_exception=True)
    return dict(said.validated_data)


def _done(request: Request, finding_id: UUID, verb: Callable[..., Finding], **said: str | datetime | None) -> Response:
    me = acting(request)
    with transaction.atomic():
        verb(acting=me, finding_id=finding_id, **said)
        return Response(_shown(me, finding_id))


def _shown(me: Acting, finding_id: UUID) -> dict[str, Any]:
    return view(me, *findings.look(acting=me, finding_id=finding_id))


def card(me: Acting, found: Finding) -> dict[str, Any]:
    """A finding as it is listed: without whom it is about, so that a list says nothing of people."""
    mine = me.officer is not None and found.owner_id == me.officer.id
    return {
        "id": str(found.id),
        "kind": found.kind,
        "title": asked(found.kind, found.parameters).title,
        "state": found.state,
        "conclusion": found.conclusion or None,
        "first_at": rfc3339(found.first_at),
        "last_at": rfc3339(found.last_at),
        "due_at": rfc3339(found.due_at),
        "owner": "me" if mine else "other" if getattr(found, "held", False) else None,
        "duty": str(found.duty_id) if found.duty_id else None,
        "hindered": found.hindered or None,
    }


def view(me: Acting, found: Finding, notes: list[findings.Noted]) -> dict[str, Any]:
    """One finding in full."""
    return card(me, found) | {
        "reason": asked(found.kind, found.parameters).reason,
        "parameters": found.parameters,
        "actor": str(found.actor_id),
        "subject": str(found.subject_id) if found.subject_id else None,
        "events": found.events,
        "notes": [
            {
                "at": rfc3339(one.note.at),
                "by": str(one.note.by_id) if one.note.by_id else None,
                "from_state": one.note.from_state,
                "to_state": one.note.to_state,
                "text": one.text,
            }
            for one in notes
        ],
    }
