"""The named cases of `tests/vectors/consent`: read strictly, put to the decision, and answered in the lawyer's words.

A name becomes the same id in every run (uuid5); a wall-clock time in Oslo becomes one moment in UTC (law 10). What a
left-out field means stands in the README there.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Literal
from uuid import NAMESPACE_DNS, UUID, uuid5
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from server.consent import decide as real

FOLDER = Path(__file__).parents[1] / "vectors" / "consent"
CAST = json.loads((FOLDER / "cast.json").read_text(encoding="utf-8"))
OSLO = ZoneInfo("Europe/Oslo")
WRITTEN = re.compile(
    r"(?P<clock>\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d(\.\d{1,6})?)?)( (?P<zone>UTC|Oslo|Oslo (summer|winter) time))?"
)
SEASONS = {"Oslo summer time": timedelta(hours=2), "Oslo winter time": timedelta(hours=1)}

Decide = Callable[..., real.Decision]


def moment(text: str) -> datetime:
    """`2026-06-15 12:00` as a moment in UTC; without a zone it is Oslo's wall clock.

    Raises ValueError for a time that no clock showed (the hour left out in March) and for one that it showed twice
    (the hour repeated in October) when `Oslo summer time` or `Oslo winter time` does not say which.
    """
    found = WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError(f"no time: {text}")
    clock, zone = datetime.fromisoformat(found["clock"]), found["zone"] or "Oslo"
    if zone == "UTC":
        return clock.replace(tzinfo=UTC)
    folds = (clock.replace(tzinfo=OSLO, fold=fold).astimezone(UTC) for fold in (0, 1))
    shown = {one for one in folds if one.astimezone(OSLO).replace(tzinfo=None) == clock}
    if zone in SEASONS:
        shown = {one for one in shown if one.astimezone(OSLO).utcoffset() == SEASONS[zone]}
    if len(shown) != 1:
        raise ValueError(f"Oslo's clocks showed {text} {len(shown)} times")
    return shown.pop()


def _known(kind: str) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in CAST[kind]:
            raise ValueError(f"{name} is not one of the {kind} in cast.json")
        return name

    return check


Moment = Annotated[datetime, BeforeValidator(moment)]
Unit = Annotated[str, AfterValidator(_known("units"))]
Person = Annotated[str, AfterValidator(_known("people"))]
Law = Annotated[str, Field(pattern=r"^(L[1-7]|S3|M4|house law (5|10)|statute)$")]


def id_of(name: str) -> UUID:
    return uuid5(NAMESPACE_DNS, f"{name}.vectors.samsnakk")


class Strict(BaseModel):
    """An unknown key is a mistake, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Grantee(Strict):
    unit: Unit
    role: str | None = None
    person: Person | None = None

    def grant(self) -> real.Grant:
        return real.Grant(id_of(self.unit), id_of(self.person) if self.person else None, self.role)


class Consent(Strict):
    consent: str
    state: Literal["requested", "active", "declined", "withdrawn", "expired"] = "active"
    purpose: str = "coordination"
    categories: tuple[str, ...] = ("conversation",)
    grantees: tuple[Grantee, ...] = ()
    valid_from: Moment | None = None
    valid_to: Moment | None = None
    content_from: Moment | None = None
    content_to: Moment | None = None
    excluded_units: tuple[Unit, ...] = ()
    excluded_people: tuple[Person, ...] = ()

    def record(self, id_: UUID) -> real.Record:
        return real.ConsentRecord(
            version_id=id_,
            active=self.state == "active",
            purpose=self.purpose,
            categories=frozenset(self.categories),
            grants=frozenset(one.grant() for one in self.grantees),
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            content_from=self.content_from,
            content_to=self.content_to,
            excluded_units=frozenset(map(id_of, self.excluded_units)),
            excluded_people=frozenset(map(id_of, self.excluded_people)),
        )


class Emergency(Strict):
    emergency: str
    who: Person
    begun: Moment
    until: Moment

    def record(self, id_: UUID) -> real.Record:
        return real.EmergencyRecord(id_, id_of(self.who), self.begun, self.until)


class Statute(Strict):
    statute: str
    turned_on: bool
    purpose: str = "coordination"
    categories: tuple[str, ...] = ("conversation",)
    grantee: Grantee
    valid_from: Moment
    valid_to: Moment

    def record(self, id_: UUID) -> real.Record:
        categories = frozenset(self.categories)
        return real.StatutoryRecord(
            id_, self.turned_on, self.purpose, categories, self.grantee.grant(), self.valid_from, self.valid_to
        )


class Broken(Strict):
    broken: str
    names_people: bool

    def record(self, id_: UUID) -> real.Record:
        return real.BrokenRecord(id_, self.names_people)


KINDS = ("consent", "emergency", "statute", "broken")
Stated = Annotated[
    Annotated[Consent, Tag("consent")]
    | Annotated[Emergency, Tag("emergency")]
    | Annotated[Statute, Tag("statute")]
    | Annotated[Broken, Tag("broken")],
    Discriminator(lambda value: next((kind for kind in KINDS if kind in value), None)),
]


class Agreed(Strict):
    since: Moment
    until: Moment | None = None


class Question(Strict):
    who: Person
    own_room: bool = False
    unit: Unit | None = None
    role: str | None = None
    engagement_until: Moment | None = None
    same_controller: bool = False
    agreements: tuple[Agreed, ...] = (Agreed.model_validate({"since": "2024-01-01 00:00"}),)
    purpose: str = "coordination"
    category: str = "conversation"
    at: Moment = moment("2026-06-15 12:00")

    def actor(self) -> real.Who:
        usual = CAST["people"][self.who]
        unit, role = self.unit or usual.get("unit"), usual.get("role", "") if self.role is None else self.role
        return real.Who(
            user_id=id_of(self.who),
            is_subject=self.own_room,
            unit_id=id_of(unit) if unit else None,
            role=role,
            same_controller=self.same_controller,
            agreements=tuple(real.Agreement(one.since, one.until) for one in self.agreements),
            until=self.engagement_until,
        )


class Range(Strict):
    start: Moment | None = Field(default=None, alias="from")
    end: Moment | None = Field(default=None, alias="to")


class Answer(Strict):
    decision: Literal["permit", "deny"]
    basis: str = ""
    reason: str = ""
    records: tuple[str, ...] = ()
    valid_until: Moment | None = None
    content: Range = Range()

    @model_validator(mode="after")
    def _whole(self) -> "Answer":
        if (self.decision == "permit") != bool(self.basis) or (self.decision == "deny") != bool(self.reason):
            raise ValueError("a permit has a basis, a denial a reason")
        return self


class Case(Strict):
    name: str = Field(min_length=10)
    law: tuple[Law, ...] = Field(min_length=1)
    records: tuple[Stated, ...] = ()
    question: Question
    answer: Answer

    def names(self) -> list[str]:
        """The records' names, eldest first."""
        return [getattr(one, next(kind for kind in KINDS if hasattr(one, kind))) for one in self.records]

    @model_validator(mode="after")
    def _named(self) -> "Case":
        names = self.names()
        if len(set(names)) < len(names) or not set(self.answer.records) <= set(names):
            raise ValueError("each record has a name of its own, and the answer names only those")
        return self


class Sheet(Strict):
    """One file: a rule in words, and its cases."""

    rule: str
    cases: tuple[Case, ...]


class Put:
    """A case made ready: the same question can be put to any version of the decision."""

    def __init__(self, case: Case) -> None:
        self.case, self.expected, self.actor = case, case.answer, case.question.actor()
        # As UUIDv7 does, an id begins with its age.
        ids = [UUID(bytes=bytes([0, n]) + id_of(name).bytes[2:]) for n, name in enumerate(case.names())]
        self.names = dict(zip(ids, case.names(), strict=True))
        self.records = [one.record(id_) for one, id_ in zip(case.records, ids, strict=True)]

    def answer(self, decide: Decide, *, backwards: bool = False) -> Answer:
        """What `decide` answers, in the file's words."""
        records = self.records[::-1] if backwards else self.records
        asked = self.case.question
        found = decide(iter(records), self.actor, asked.purpose, asked.category, asked.at)
        return Answer.model_construct(
            decision="permit" if found.permit else "deny",
            basis=found.basis,
            reason=found.reason,
            records=tuple(self.names[one] for one in found.record_ids),
            valid_until=found.valid_until,
            content=Range.model_construct(start=found.content_from, end=found.content_to),
        )

    def holds(self, decide: Decide) -> bool:
        return all(self.answer(decide, backwards=backwards) == self.expected for backwards in (False, True))


@cache
def sheets() -> dict[str, Sheet]:
    """Every file, by its name without `.json`.

    Raises pydantic's ValidationError for what is not written as the README says.
    """
    found = sorted(path for path in FOLDER.glob("*.json") if path.name != "cast.json")
    return {path.stem: Sheet.model_validate_json(path.read_text(encoding="utf-8")) for path in found}


@cache
def cases() -> list[Put]:
    return [Put(case) for sheet in sheets().values() for case in sheet.cases]
