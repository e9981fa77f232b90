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
from server.review import retention
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


class RetentionView(serializers.Serializer[Any]):
    """`confirmed_by` is empty while nobody with the authority has decided on the periods."""

    confirmed_by = serializers.CharField(allow_blank=True)
    periods = PeriodView(many=True)
    due = DueView(many=True)


class Retention(APIView):
    @extend_schema(
        summary="How long the log is kept, why, and what is older than that",
        description="Nothing is ever removed by itself.",
        responses=RetentionView,
    )
    def get(self, request: Request) -> Response:
        me = acting(request)
        officer = require_officer(me, VIEWED)
        with transaction.atomic():
            record(Entry(VIEWED, me.actor, basis="officer"))
            found = retention.due(officer.controller_id)
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
            }
        )
