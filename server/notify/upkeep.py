"""What is put away now and then: nothing depends on when."""

from datetime import timedelta

from server.common.clock import now
from server.notify import silence
from server.notify.models import CallbackSeen

EVERY_S = 600.0
KEPT = timedelta(days=7)
"""What the gateway said longer ago is not known any more. It may say it again for `signing.FRESH_S` only."""


def tick() -> int:
    """Returns how much was put away."""
    return forget_callbacks() + silence.retire()


def forget_callbacks() -> int:
    return CallbackSeen.objects.filter(at__lt=now() - KEPT).delete()[0]
