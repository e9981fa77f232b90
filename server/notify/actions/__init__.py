"""The verbs of this app. Orders go into the outbox in the caller's transaction; the worker sends them."""

from server.notify.actions.outbox import Order, drop, enqueue
from server.notify.actions.reaching import ReachableAt, reachable
from server.notify.tokens import delivery_of, page_token

__all__ = [
    "Order",
    "ReachableAt",
    "delivery_of",
    "drop",
    "enqueue",
    "page_token",
    "reachable",
]
