"""The verbs of this app. Orders go into the outbox in the caller's transaction; the worker sends them."""

from server.notify.actions.answers import answered, received
from server.notify.actions.devices import register_push, remove, rename, set_reach, test
from server.notify.actions.outbox import Order, drop, drop_all, enqueue
from server.notify.actions.quiet_hours import set_quiet_hours
from server.notify.actions.reaching import ReachableAt, reachable
from server.notify.tokens import delivery_of, page_token
from server.notify.topics import topic

__all__ = [
    "Order",
    "ReachableAt",
    "answered",
    "delivery_of",
    "drop",
    "drop_all",
    "enqueue",
    "page_token",
    "reachable",
    "received",
    "register_push",
    "remove",
    "rename",
    "set_quiet_hours",
    "set_reach",
    "test",
    "topic",
]
