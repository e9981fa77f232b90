"""REST for how long the log is kept: parse, call, answer."""

from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.audit.actions import record
from server.audit.entry import Entry
from server.common.sql import rfc3339
from server.people.actors import acting
from server.review import keeping, retention
from server.review.access import require_officer

VIEWED = "review.retention_viewed"


class PeriodView(serializers.Serializer[Any]):
    """Types that begin with `types`; the longest beginning decides, and the empty one is for all the rest."""

    types = serializers.CharField(allow_blank=True)
    years = serializers.IntegerField()
    reason = serializers.CharField()


class DueView(serializers.Serializer[Any]):
    type = serializers.CharField()
    count = serializers.IntegerField()
    oldest = serializers.DateTimeField()
    years = serializers.IntegerField()
    reason = serializers.CharField()


class PastView(serializers.Serializer[Any]):
    """Rows of one kind that are held about people, and are older than they need be."""

    kind = serializers.ChoiceField(choices=list(keeping.KINDS))
    count = serializers.IntegerField()
    oldest = serializers.DateTimeField()
    years = serializers.IntegerField()
    after_export = serializers.BooleanField()
    statute = serializers.CharField()


class RetentionView(serializers.Serializer[Any]):
    """`confirmed_by` is empty while nobody with the authority has decided on the periods; `held_confirmed_by` the same
    of what is held about people, beside the log. Numbers, and nobody's name."""

    confirmed_by = serializers.CharField(allow_blank=True)
    periods = PeriodView(many=True)
    due = DueView(many=True)
    held_confirmed_by = serializers.CharField(allow_blank=True)
    held_due = PastView(many=True)


class Retention(APIView):
    @extend_schema(
        summary="How long the log and what is held about people are kept, why, and how much is older",
        description="Nothing is ever removed by itself.",
        responses=RetentionView,
    )
    def get(self, request: Request) -> Response:
        me = acting(request)
        officer = require_officer(me, VIEWED)
        with transaction.atomic():
            record(Entry(VIEWED, me.actor, basis="officer"))
            found, held = retention.due(officer.controller_id), keeping.past(officer.controller_id)
        rules = retention.rules()
        return Response(
            {
                "confirmed_by": rules.confirmed_by,
                "periods": [one.model_dump() for one in rules.periods],
                "due": [
                    {
                        "type": one.type,
                        "count": one.count,
                        "oldest": rfc3339(one.oldest),
                        "years": one.period.years,
                        "reason": one.period.reason,
                    }
                    for one in found
                ],
                "held_confirmed_by": keeping.rules().confirmed_by,
                "held_due": [
                    {
                        "kind": one.rule.kind,
                        "count": one.count,
                        "oldest": rfc3339(one.oldest),
                        "years": one.rule.years,
                        "after_export": one.rule.after_export,
                        "statute": one.rule.statute,
                    }
                    for one in held
                ],
            }
        )
