"""Pure rules about emergency access (L3): everything is an argument. Whom a patient has excluded, and what a record
that cannot be verified means, is `consent.decide`'s to say."""

from collections.abc import Iterable
from datetime import datetime, timedelta

MIN_DELAY_H, MAX_DELAY_H = 1, 72


def closed_because(*, found: bool, permitted: bool, related: bool, alert: bool) -> str:
    """Why emergency access is not open to somebody, for the log alone; empty when it is. Whoever asks is told the same
    whichever it was.

    `found`: there is such a room (or patient). `permitted`: the patient's records do not forbid it. `related`: the unit
    acted for has a current relation; `alert`: it has an open call for help to answer.
    """
    if not found:
        return "missing"
    if not permitted:
        return "excluded"
    return "" if related or alert else "no_relation"


def until(
    begun: datetime, hours: float, engagement_ends: datetime | None, earlier: Iterable[datetime] = ()
) -> datetime:
    """When it ends by itself: after `hours`, and never later than the engagement that it rests on.

    `earlier` are the ends of one's own accesses to the same room: to end one and begin another makes it no longer.
    """
    ends = [begun + timedelta(hours=hours), *(end for end in earlier if end > begun)]
    return min(ends if engagement_ends is None else [*ends, engagement_ends])


def over_because(
    *, at: datetime, until: datetime, engagement_ends: datetime | None, active: bool, related: bool, alert: bool
) -> str:
    """Why emergency access is over at `at`, as a code; empty while it is not. `active`: the account is open."""
    if until <= at:
        return "expired"
    if not active or (engagement_ends is not None and engagement_ends <= at):
        return "engagement"
    return "" if related or alert else "relation"
