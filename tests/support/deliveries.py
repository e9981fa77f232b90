"""The outbox's worker in a test's own thread and transaction, so that a test that rolls back sees what it does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.conf import settings
from django.test import override_settings

from server.common.clock import now
from server.notify import lanes, worker
from server.notify.lanes import Lane
from server.notify.models import Delivery

SECRET = "the gateway's and ours, in tests only"
MEANS: dict[str, Any] = {"gateway_secret": SECRET, "public_url": "http://127.0.0.1:1", "caller_id": "+4700000000"}


@contextmanager
def means(**env: Any) -> Iterator[None]:
    """With these settings of the environment: `push_hosts_allowed=[push.host]`, `gateway_url=gateway.url`, …"""
    with override_settings(ENV=settings.ENV.model_copy(update={**MEANS, **env})):
        yield


def deliver(*, rounds: int = 20) -> int:
    """Send all that is due, here and now; returns how many attempts that were."""
    done = 0
    with mock.patch.object(lanes, "run", _here):
        for _ in range(rounds):
            now_done = worker.tick()
            if not now_done:
                return done
            done += now_done
    return done


def make_due() -> None:
    """Whatever waits for its next attempt does not have to wait any more; leases run out."""
    Delivery.objects.open().update(due_at=now())


def _here(lane: Lane, work: Callable[[], None]) -> None:
    work()
