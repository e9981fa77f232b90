"""How calls for help go, in numbers: counts, ages and times, never an id (law 9). Histograms count what this process
has ended; the rest stands in the database, and is the same from all of them."""

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Count, Max, Min
from django.db.models.functions import Coalesce
from prometheus_client import Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from server.alerts.models import Alert, Programme, RouterBeat
from server.alerts.models.alerts import State
from server.audit.metrics import REGISTRY
from server.common.clock import now
from server.notify.models import Delivery

SECONDS = (0.25, 0.5, 1, 2, 3, 5, 10, 15, 30, 60, 120, 300)
LAST_DAYS = 2
"""So far back the last trial that came back is looked for."""

TRIAL_PAGE = Histogram(
    "samsnakk_trial_page_seconds",
    "From raising a trial to a provider's acceptance of its first page.",
    buckets=SECONDS,
    registry=REGISTRY,
)
TRIAL_ANSWER = Histogram(
    "samsnakk_trial_answer_seconds",
    "From raising a trial to the answer of the test responder's device.",
    buckets=SECONDS,
    registry=REGISTRY,
)


def observe_trial(alert: Alert, outcome: str) -> None:
    """How long it took. Called once for each trial, after the commit of its end."""
    pages = Delivery.objects.filter(about=alert.id, kind="synthetic")
    # A device may be quicker than the note of the provider's answer.
    accepted = pages.aggregate(first=Min(Coalesce("accepted_at", "received_at")))["first"]
    if accepted is not None:
        TRIAL_PAGE.observe((accepted - alert.raised_at).total_seconds())
    if outcome == "answered" and alert.closed_at is not None:
        TRIAL_ANSWER.observe((alert.closed_at - alert.raised_at).total_seconds())


class _Standing(Collector):
    """What the database says when it is asked."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        at = now()
        open_ones = Alert.objects.exclude(state=State.CLOSED)
        yield self._states(dict(open_ones.filter(synthetic=False).values_list("state").annotate(many=Count("id"))))
        due = open_ones.aggregate(oldest=Min("due_at"))["oldest"]
        late = max(0.0, (at - due).total_seconds()) if due is not None else 0.0
        yield GaugeMetricFamily("samsnakk_alerts_due_oldest_seconds", "How long the oldest has been due.", late)
        beat = RouterBeat.objects.aggregate(last=Max("at"))["last"]
        if beat is not None:
            said = "Since a router last looked for what is due."
            yield GaugeMetricFamily("samsnakk_router_beat_age_seconds", said, (at - beat).total_seconds())
        programmes = Programme.objects.filter(opened_at__isnull=False).values("id")
        trials = Alert.objects.filter(programme__in=programmes, raised_at__gt=at - timedelta(days=LAST_DAYS))
        last = trials.filter(synthetic=True, outcome="answered").aggregate(last=Max("closed_at"))["last"]
        if last is not None:
            said = "When a trial last came back, in seconds since 1970."
            yield GaugeMetricFamily("samsnakk_trial_last_success_timestamp_seconds", said, last.timestamp())

    def _states(self, counted: dict[str, int]) -> GaugeMetricFamily:
        family = GaugeMetricFamily("samsnakk_alerts_open", "Calls for help that are open.", labels=["state"])
        for state in State.values:
            if state != State.CLOSED:
                family.add_metric([state], counted.get(state, 0))
        return family


REGISTRY.register(_Standing())
