"""Wrong codes are counted, right ones are not: tightly for the session, widely for the person, so that whoever has one
of somebody's sessions takes no proof away from the others (docs/decisions/0040-rate-limits.md)."""

from collections.abc import Iterator
from contextlib import contextmanager

from server.common.errors import Forbidden
from server.common.limiting import ensure, spend_each
from server.people.actions.proofs import sid_of
from server.people.actors import Acting

WRONG = "proof_wrong"


@contextmanager
def counted(acting: Acting, means: str, *, of_person: bool = True) -> Iterator[None]:
    """Around one attempt, outside of what its refusal rolls back. Raises TooMany, before anything is looked at."""
    limits = [(means, str(sid_of(acting)))]
    if of_person:
        limits.append((f"{means}-person", str(acting.user.id)))
    for scope, key in limits:
        ensure(scope, key)
    try:
        yield
    except Forbidden as refusal:
        if refusal.code == WRONG:
            spend_each(limits)
        raise
