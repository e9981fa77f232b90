"""The plan for bad days as it is sealed: three lines that are read in seconds, then the rest (M2). Pure."""

import json
from dataclasses import asdict, dataclass
from typing import Any

LINE, REST, CONTACTS, NAME = 300, 4000, 5, 100
"""Letters in a line and in the rest; people to bring in; letters in a person's name or relation."""


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody to bring in. `number` is E.164."""

    name: str
    relation: str
    number: str


@dataclass(frozen=True, slots=True)
class PlanText:
    """`danger`: what is dangerous; `helps`: what helps; `bring_in`: whom to bring in. One line each."""

    danger: str
    helps: str
    bring_in: str
    rest: str = ""
    contacts: tuple[Contact, ...] = ()


def write(plan: PlanText) -> str:
    """As it is sealed."""
    return json.dumps(asdict(plan), ensure_ascii=False, sort_keys=True)


def read(text: str) -> PlanText:
    """What was sealed. What a later form may have added is left aside: a plan must open at night."""
    said: dict[str, Any] = json.loads(text)
    contacts = tuple(
        Contact(one.get("name", ""), one.get("relation", ""), one.get("number", "")) for one in said.get("contacts", ())
    )
    lines = {name: str(said.get(name, "")) for name in ("danger", "helps", "bring_in", "rest")}
    return PlanText(**lines, contacts=contacts)


def shown(plan: PlanText) -> dict[str, Any]:
    """As it is told over the API."""
    return asdict(plan) | {"contacts": [asdict(one) for one in plan.contacts]}


def is_line(text: str) -> bool:
    """Whether it is one line that is read at a glance."""
    return 0 < len(text.strip()) <= LINE and len(text.splitlines()) == 1
