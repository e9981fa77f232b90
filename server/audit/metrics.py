"""How sealing goes, in numbers: totals and ages, never an id (law 9). Counted by each process for itself; what stands
in the database is the same from all of them."""

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from server.audit import rows, worker
from server.audit.models import Pending
from server.audit.reading import latest

REGISTRY = CollectorRegistry(auto_describe=False)
ProcessCollector(registry=REGISTRY)

SEALING_LAG = Histogram(
    "samsnakk_audit_sealing_lag_seconds",
    "Of each round of this process's sequencer: from the oldest event that waited to the published checkpoint.",
    buckets=(0.1, 0.25, 0.5, 0.75, 1, 2, 5, 15, 60, 300, 3600),
    registry=REGISTRY,
)
ALARMS = Counter(
    "samsnakk_audit_alarms",
    "Times that this process found the log stopped, unaccounted for, or contradicted by a copy.",
    registry=REGISTRY,
)


def tick() -> int:
    """The sequencer's tick, measured. Raises as it does."""
    waited, begun, before = rows.oldest_pending_s(), time.monotonic(), worker.standing.code
    try:
        done = worker.tick()
    finally:
        if worker.standing.code not in ("", before):
            ALARMS.inc()
    if done:
        SEALING_LAG.observe(waited + time.monotonic() - begun)
    return done


class _Standing(Collector):
    """What the database says when it is asked."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        newest = latest()
        for name, says, value in (
            ("pending", "Events that wait to be sealed.", Pending.objects.count()),
            ("pending_oldest_seconds", "How long the oldest of them has waited.", rows.oldest_pending_s()),
            ("tree_size", "Entries under the newest published checkpoint.", newest.size if newest else 0),
            ("sequencer_stopped", "1 while nothing may be sealed.", int(bool(worker.state()))),
        ):
            yield GaugeMetricFamily(f"samsnakk_audit_{name}", says, value=value)


REGISTRY.register(_Standing())
