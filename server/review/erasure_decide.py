"""What stands in the way of destroying a person's data: a pure function of what is so. One line per reason, and nothing
else anywhere decides it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

OPEN = (
    "open_alert",
    "open_room",
    "running_consent",
    "ground",
    "enrolment",
    "relation",
    "also_works",
    "emergency_access",
    "duty",
    "finding",
    "shield",
    "export",
)
"""What may be open, in the order in which it is told."""
PRIVATE = frozenset({"finding", "shield", "export", "duty"})
"""What a controller's officers know of, and no other's are told more of than that there is something."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Something must be kept until then, by a rule."""

    kind: str
    until: datetime
    after_export: bool
    """Or until all controllers have exported it."""


@dataclass(frozen=True, slots=True)
class Facts:
    """`parts`: what each controller concerned has said, empty while nothing; `open`: how many there are of what is
    open, by code and controller, None where it is nobody's in particular."""

    now: datetime
    rules_confirmed: bool
    confirmed: bool
    not_before: datetime | None
    parts: Mapping[UUID, str]
    kept: tuple[Kept, ...] = ()
    authors_until: datetime | None = None
    """Until when those who wrote in the rooms may still take it out (S8)."""
    open: Mapping[tuple[str, UUID | None], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Obstacle:
    code: str
    controller: UUID | None = None
    count: int = 0
    until: datetime | None = None
    kind: str = ""


def in_the_way(facts: Facts) -> list[Obstacle]:
    """Empty: nothing."""
    found = [] if facts.rules_confirmed else [Obstacle("rules_unconfirmed")]
    found += [Obstacle("part_missing", controller=one) for one, said in sorted(facts.parts.items()) if not said]
    exported = bool(facts.parts) and all(said == "exported" for said in facts.parts.values())
    found += [
        Obstacle("must_be_kept", until=one.until, kind=one.kind)
        for one in facts.kept
        if one.until > facts.now and not (one.after_export and exported)
    ]
    if facts.authors_until is not None and facts.authors_until > facts.now:
        found.append(Obstacle("authors_may_export", until=facts.authors_until))
    for code in OPEN:
        theirs = sorted((one for one in facts.open.items() if one[0][0] == code), key=lambda one: str(one[0][1]))
        found += [Obstacle(code, controller=whose, count=count) for (_, whose), count in theirs if count]
    if not facts.confirmed:
        found.append(Obstacle("unconfirmed"))
    elif facts.not_before is None or facts.not_before > facts.now:
        found.append(Obstacle("waiting_time", until=facts.not_before))
    return found
