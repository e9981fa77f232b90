"""What whoever keeps watch is told, in numbers."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from server.audit.metrics import REGISTRY
from server.common.clock import now
from server.operate import watch
from server.operate.models import WatchReport
from server.operate.watchdog import CODES


class _Watchdog(Collector):
    def collect(self) -> Iterator[GaugeMetricFamily]:
        told = WatchReport.objects.values_list("at", "findings").first()
        if told is None:
            return
        age = (now() - told[0]).total_seconds()
        yield GaugeMetricFamily("samsnakk_watchdog_report_age_seconds", "Since the watchdog last looked.", age)
        counts = {one["code"]: one["count"] for one in told[1]}
        family = GaugeMetricFamily("samsnakk_watchdog_findings", "What it found, by code.", labels=["code"])
        for code in CODES:
            family.add_metric([code], counts.get(code, 0))
        yield family


class _Warnings(Collector):
    """The codes of `/health/ready`, for whoever is called by numbers."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily("samsnakk_warnings", "1 for each code that /health/ready says now.", labels=["code"])
        for code in set(watch.warnings()):
            family.add_metric([code], 1)
        yield family


REGISTRY.register(_Watchdog())
REGISTRY.register(_Warnings())
