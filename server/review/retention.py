"""How long lines of the log are to be kept, with the reason in law beside each, and what is due. Nothing is ever
removed here: what is due is told to people, who decide."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Self, TypeVar
from uuid import UUID

from django.conf import settings
from django.db.models import Case, Count, DateTimeField, F, Min, Q, Value, When
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from server.common.clock import now
from server.review.models import Line

OURS = Path(__file__).with_name("retention.json")
LONGEST = 100
"""Years."""


R = TypeVar("R", bound=BaseModel)


class Unusable(Exception):
    """The file of periods cannot be used; the text says why."""


class Period(BaseModel):
    """Types of events that begin with `types` (empty: all that nothing else is said of) are kept for `years`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    types: str = Field(pattern=r"^[a-z_]*\.?[a-z_]*$", max_length=60)
    years: int = Field(ge=1, le=LONGEST)
    reason: str = Field(min_length=10, max_length=400)


class Rules(BaseModel):
    """`confirmed_by`: who has decided on them, with the controller's authority; empty while nobody has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    confirmed_by: str = ""
    periods: tuple[Period, ...]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        types = [period.types for period in self.periods]
        if len(set(types)) != len(types):
            raise ValueError("one period for each beginning")
        if "" not in types:
            raise ValueError("one period for all that nothing else is said of (an empty `types`)")
        return self

    def of(self, type_: str) -> Period:
        """The period with the longest beginning that fits."""
        return next(period for period in self.narrowest_first if type_.startswith(period.types))

    @property
    def narrowest_first(self) -> list[Period]:
        return sorted(self.periods, key=lambda period: len(period.types), reverse=True)


@dataclass(frozen=True, slots=True)
class Due:
    """Lines of one type that are older than they need to be kept."""

    type: str
    count: int
    oldest: datetime
    period: Period


def rules() -> Rules:
    """The periods that hold here: the product's, unless the installation has its own file. Raises Unusable."""
    return _read(settings.ENV.retention_file or OURS)


@cache
def _read(path: Path) -> Rules:
    return read_rules(path, Rules)


def read_rules(path: Path, rules: type[R]) -> R:
    """What a file of rules says; those of erasure (`keeping.py`) are read so too. Raises Unusable."""
    try:
        return rules.model_validate_json(path.read_bytes())
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise Unusable(f"{path}: {said}") from None


def due(controller_id: UUID, at: datetime | None = None) -> list[Due]:
    """What is due at `at` (now), type by type, of one controller's lines; one statement, which reads no line younger
    than the shortest period."""
    said, at = rules(), at or now()
    cuts = {period.types: years_before(at, period.years) for period in said.periods}
    named = [When(type__startswith=one.types, then=Value(cuts[one.types])) for one in said.narrowest_first if one.types]
    rows = (
        Line.objects.filter(controller_id=controller_id, at__lt=max(cuts.values()))
        .annotate(cut=Case(*named, default=Value(cuts[""]), output_field=DateTimeField()))
        .filter(Q(at__lt=F("cut")))
        .values("type")
        .annotate(count=Count("position"), oldest=Min("at"))
        .order_by("type")
    )
    return [Due(row["type"], row["count"], row["oldest"], said.of(row["type"])) for row in rows]


def years_before(at: datetime, years: int) -> datetime:
    """The same day and time that many years earlier; 1 March for 29 February where there is none."""
    try:
        return at.replace(year=at.year - years)
    except ValueError:
        return at.replace(year=at.year - years, month=3, day=1)
