"""For how long what is held about people must be kept, with the statute beside each kind (archive rules). Two questions
are asked of it: may this person be erased, and what does each controller have that is older than it need be? Nothing is
removed here."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from django.conf import settings
from django.db.models import Case, Count, DateTimeField, F, Max, Min, Model, OuterRef, QuerySet, Subquery, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce
from pydantic import BaseModel, ConfigDict, Field, model_validator

from server.alerts.models import Admission, Alert, Enrolment, Plan
from server.common.clock import now
from server.consent.models import Consent
from server.people.models import Relation
from server.review.models import Finding
from server.review.retention import LONGEST, read_rules, years_before
from server.rooms.models import EmergencyAccess, Room, RoomEvent

OURS = Path(__file__).with_name("keeping.json")


@dataclass(frozen=True, slots=True)
class Kind:
    """Rows of `model`: when each was last needed (none: it is in use), whose they are, and which controller's."""

    model: type[Model]
    at: str | Combinable
    patient: str
    controller: str | Combinable

    def rows(self) -> QuerySet[Any]:
        """With `kept_at`, `held_by`; those that are not in use."""
        at = F(self.at) if isinstance(self.at, str) else self.at
        by = F(self.controller) if isinstance(self.controller, str) else self.controller
        rows = self.model._default_manager.annotate(kept_at=at, held_by=by)  # noqa: SLF001 - Django's own name for it
        return rows.filter(kept_at__isnull=False)


def _of_room() -> Subquery:
    return Subquery(Room.objects.filter(id=OuterRef("room_id")).values("home_id"))


def _of_programme() -> Subquery:
    enrolled = Enrolment.objects.filter(patient_id=OuterRef("patient_id")).order_by("-id")
    return Subquery(enrolled.values("programme__unit__controller_id")[:1])


KINDS: dict[str, Kind] = {
    "registration": Kind(
        Relation, Coalesce("ended_at", "valid_to", output_field=DateTimeField()), "patient_id", "unit__controller_id"
    ),
    "messages": Kind(RoomEvent, "created_at", "room__patient_id", "room__home_id"),
    "consents": Kind(
        Consent,
        Case(When(state__in=("requested", "active"), then=F("ends_at")), default=Coalesce("ends_at", "created_at")),
        "patient_id",
        _of_room(),
    ),
    "plans": Kind(Plan, "made_at", "patient_id", _of_programme()),
    "alerts": Kind(Alert, "closed_at", "patient_id", "programme__unit__controller_id"),
    "admissions": Kind(Admission, "recorded_at", "patient_id", "programme__unit__controller_id"),
    "emergency_access": Kind(EmergencyAccess, "begun_at", "room__patient_id", "room__home_id"),
    "findings": Kind(Finding, "closed_at", "subject_id", "controller_id"),
}


class Rule(BaseModel):
    """What is of this `kind` is kept for `years`; `after_export`: no longer than until its controllers have taken it
    into their own records."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    years: int = Field(ge=1, le=LONGEST)
    after_export: bool = False
    statute: str = Field(min_length=10, max_length=400)


class Rules(BaseModel):
    """`confirmed_by`: who has decided on them, with the controllers' authority; empty while nobody has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    confirmed_by: str = ""
    kinds: tuple[Rule, ...]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if sorted(one.kind for one in self.kinds) != sorted(KINDS):
            raise ValueError(f"one rule for each of {', '.join(KINDS)}")
        return self


@dataclass(frozen=True, slots=True)
class Past:
    """What one controller has of one kind that is older than it need be: numbers."""

    rule: Rule
    count: int
    oldest: datetime


def rules() -> Rules:
    """The rules that hold here: the product's, unless the installation has its own file. Raises Unusable."""
    return _read(settings.ENV.keeping_file or OURS)


@cache
def _read(path: Path) -> Rules:
    return read_rules(path, Rules)


def newest(patient_id: UUID) -> dict[str, datetime]:
    """Of each kind that is held about a patient, when the newest was last needed; one statement each."""
    found = {}
    for name, kind in KINDS.items():
        at = kind.rows().filter(**{kind.patient: patient_id}).aggregate(newest=Max("kept_at"))["newest"]
        if at is not None:
            found[name] = at
    return found


def years_after(at: datetime, years: int) -> datetime:
    """The same day and time that many years later; 1 March for 29 February where there is none."""
    try:
        return at.replace(year=at.year + years)
    except ValueError:
        return at.replace(year=at.year + years, month=3, day=1)


def past(controller_id: UUID, at: datetime | None = None) -> list[Past]:
    """What one controller has that is past its period at `at` (now), kind by kind; one statement each."""
    at, found = at or now(), []
    for rule in rules().kinds:
        rows = KINDS[rule.kind].rows().filter(held_by=controller_id, kept_at__lt=years_before(at, rule.years))
        told = rows.aggregate(count=Count("pk"), oldest=Min("kept_at"))
        if told["count"]:
            found.append(Past(rule, told["count"], told["oldest"]))
    return found
