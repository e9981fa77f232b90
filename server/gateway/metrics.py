"""The sockets of this process, in numbers (law 9: no id)."""

from prometheus_client import Counter, Gauge

from server.audit.metrics import REGISTRY
from server.gateway.frames import CLOSE_CODES, THEIRS

SOCKETS = Gauge(
    "samsnakk_sockets",
    "Sockets of this process that have been welcomed, by the version of the frames that they speak.",
    ["protocol"],
    registry=REGISTRY,
)
CLOSED = Counter(
    "samsnakk_sockets_closed", "Sockets of this process that have ended, by close code.", ["code"], registry=REGISTRY
)


def label_of(code: int) -> str:
    """Of a close code: one of few."""
    return str(code) if code in (*CLOSE_CODES, *THEIRS) else "other"
