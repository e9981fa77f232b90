"""Rate limits inside a test process: on, and as low as a test wants them."""

import contextlib
import time
from collections.abc import Iterator
from types import SimpleNamespace
from unittest import mock

from django.conf import settings

from server.common import counting, limiting

FULL_HOUR = 10_000 * 86_400.0
"""In memory windows begin on the clock: a test that met such a moment would find one more let through."""


@contextlib.contextmanager
def limited(*rates: str, redis_url: str | None = None, **env: object) -> Iterator[None]:
    """Count, from nothing; `rates` as in RATE_LIMITS: `limited("sign-in=3/60")`. In this process, unless told where."""
    begun = time.monotonic()
    clock = SimpleNamespace(time=lambda: FULL_HOUR + time.monotonic() - begun)
    changed = {"throttle": True, "rate_limits": list(rates), "redis_url": redis_url or "", **env}
    limiting.forget()
    counting.CLOSED.forget()
    env = mock.patch.object(settings, "ENV", settings.ENV.model_copy(update=changed))
    with env, mock.patch("limits.storage.memory.time", clock):
        yield
    limiting.forget()
    counting.CLOSED.forget()
