"""How deliveries go, in numbers: totals and ages, never an id (law 9)."""

from collections.abc import Iterator

from django.db.models import Count, Min
from prometheus_client import Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from server.audit.metrics import REGISTRY
from server.common.clock import now
from server.notify.models import Delivery

DELIVERIES = Counter(
    "samsnakk_deliveries",
    "Attempts that this process has recorded, by channel and what came of them.",
    ["channel", "code"],
    registry=REGISTRY,
)


class _Standing(Collector):
    """What the database says when it is asked."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        at = now()
        found = Delivery.objects.open().filter(due_at__lte=at).aggregate(many=Count("id"), oldest=Min("due_at"))
        age = (at - found["oldest"]).total_seconds() if found["oldest"] else 0.0
        yield GaugeMetricFamily("samsnakk_deliveries_due", "Deliveries that should be on their way.", found["many"])
        yield GaugeMetricFamily("samsnakk_deliveries_due_oldest_seconds", "How long the oldest has been due.", age)


REGISTRY.register(_Standing())
