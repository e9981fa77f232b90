"""Tells this process's worker loop that there is something to send. Elsewhere, and when it is lost, a tick finds it."""

import threading

from django.db import transaction

WAKE = threading.Event()


def wake_after_commit() -> None:
    transaction.on_commit(WAKE.set, robust=True)
