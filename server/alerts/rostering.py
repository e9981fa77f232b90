"""The loop that keeps rosters: shifts laid out, people asked if they can be reached, the morning told of the night."""

from server.alerts import morning, readiness
from server.alerts.layout import lay_out_all

EVERY_S = 20.0


def tick() -> int:
    """Do what is due; returns how much that was."""
    return lay_out_all() + readiness.tick() + morning.tick()
