"""The named cases of `tests/vectors/review/odd`: read strictly, and put to the rules. A name is always the same id."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_DNS, UUID, uuid5

from server.review import odd
from server.review.odd import Act, Limits, Odd

FOLDER = Path(__file__).parents[1] / "vectors" / "review" / "odd"
LIMITS = Limits(
    act_days=7,
    patients=20,
    patients_minutes=30,
    own_door_hours=24,
    before_minutes=60,
    before_pages=10,
    after_hours=24,
    after_tries=3,
    denied=5,
    denied_minutes=60,
    dormant_days=90,
    again_days=180,
)
LINE = {
    "at",
    "who",
    "did",
    "patient",
    "patients",
    "times",
    "every",
    "basis",
    "room",
    "on",
    "in_a_list",
    "refused",
    "for",
}
CASE = {"name", "log", "asked", "surnames", "works_at", "last_before", "reviews", "until"}


@dataclass(frozen=True)
class Case:
    rule: str
    name: str
    limits: Limits
    acts: tuple[Act, ...]
    asked: list[tuple[UUID, UUID | None, int]]
    more: Mapping[str, Any] = field(default_factory=dict)

    def ask(self, acts: Any = None, limits: Limits | None = None) -> list[Odd]:
        return ask(self.rule, self.acts if acts is None else acts, limits or self.limits, self.more)


def ask(rule: str, acts: Any, limits: Limits, more: Mapping[str, Any]) -> list[Odd]:
    """What one rule asks of these acts."""
    rules: dict[str, Callable[[], list[Odd]]] = {
        "look_without_act": lambda: odd.look_without_act(acts, limits, until=more["until"]),
        "many_patients": lambda: odd.many_patients(acts, limits),
        "same_surname": lambda: odd.same_surname(acts, limits, surnames=more["surnames"], common={"hansen"}),
        "colleague": lambda: odd.colleague(acts, limits, workplaces=more["works_at"]),
        "self_granted": lambda: odd.self_granted(acts, limits),
        "emergency": lambda: odd.emergency(acts, limits, reviews=more["reviews"]),
        "withdrawal": lambda: odd.around_withdrawal(acts, limits),
        "denied": lambda: odd.denied(acts, limits),
        "dormant": lambda: odd.dormant(acts, limits, before=more["last_before"]),
    }
    return rules[rule]()


def named(name: str) -> UUID:
    return uuid5(NAMESPACE_DNS, name)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def cases() -> list[Case]:
    return [case for path in sorted(FOLDER.glob("*.json")) for case in _sheet(json.loads(path.read_text("utf-8")))]


def _sheet(sheet: dict[str, Any]) -> Iterator[Case]:
    assert set(sheet) == {"rule", "says", "limits", "cases"}
    limits = Limits(**{name: getattr(LIMITS, name) for name in LIMITS.__slots__} | sheet["limits"])
    for one in sheet["cases"]:
        assert set(one) <= CASE, one["name"]
        acts = tuple(act for number, line in enumerate(one["log"]) for act in _acts(line, f"{one['name']}/{number}"))
        asked = [(named(i["who"]), named(i["patient"]) if "patient" in i else None, i["acts"]) for i in one["asked"]]
        yield Case(sheet["rule"], one["name"], limits, acts, asked, _more(one))


def _more(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "surnames": {named(who): name for who, name in one.get("surnames", {}).items()},
        "works_at": {named(who): {named(i) for i in where} for who, where in one.get("works_at", {}).items()},
        "last_before": {named(who): moment(at) for who, at in one.get("last_before", {}).items()},
        "reviews": {named(access): named(task) for access, task in one.get("reviews", {}).items()},
        "until": moment(one.get("until", "2026-12-31 00:00")),
    }


def _acts(line: dict[str, Any], name: str) -> Iterator[Act]:
    assert set(line) <= LINE, name
    count, every = line.get("patients") or line.get("times", 1), line.get("every", 1)
    for number in range(count):
        patient = f"{line['who']}s pasient {number}" if "patients" in line else line.get("patient")
        subject = named(patient) if patient else None
        refused, works_for = line.get("refused", False), line.get("for", "Helse Fjord")
        yield Act(
            event=named(f"{name}/{number}"),
            at=moment(line["at"]) + timedelta(minutes=every * number),
            type={"looks": "patient.viewed"}.get(line.get("did", "looks"), line.get("did", "")),
            actor=named(line["who"]),
            controller=None if works_for == "nobody" else named(works_for),
            subject=subject,
            room=named(line["room"]) if "room" in line else None,
            object=None if line.get("in_a_list") else named(line["on"]) if "on" in line else subject,
            basis=line.get("basis", "relation"),
            refused=bool(refused),
            reason=refused if isinstance(refused, str) else "",
        )
