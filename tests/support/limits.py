"""Rate limits inside a test process: on, and as low as a test wants them."""

import contextlib
from collections.abc import Iterator
from unittest import mock

from django.conf import settings

from server.common import limiting


@contextlib.contextmanager
def limited(*rates: str, redis_url: str | None = None, **env: object) -> Iterator[None]:
    """Count, from nothing; `rates` as in RATE_LIMITS: `limited("sign-in=3/60")`. In this process, unless told where."""
    changed = {"throttle": True, "rate_limits": list(rates), "redis_url": redis_url or "", **env}
    limiting.forget()
    with mock.patch.object(settings, "ENV", settings.ENV.model_copy(update=changed)):
        yield
    limiting.forget()
