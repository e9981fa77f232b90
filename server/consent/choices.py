"""What a patient or a colleague may choose: people and units as they are named over the API, checked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext as _

from server.common.errors import FieldError, Invalid
from server.consent.decide import Grant
from server.consent.document import GrantPart, Terms, UnitPart
from server.consent.versions import units_by_id
from server.people.models import Unit


@dataclass(frozen=True, slots=True)
class Choice:
    """A person wherever they were named, or a unit, narrowed by role or person where these are set."""

    person: UUID | None = None
    unit: UUID | None = None
    role: str | None = None


def chosen(known: Sequence[GrantPart], choices: Sequence[Choice] | None) -> tuple[GrantPart, ...]:
    """Those of `known` that are chosen, in their order, as narrow as they were chosen; all of them without a choice.

    Raises Invalid for a choice that `known` does not cover.
    """
    if choices is None:
        return tuple(known)
    found: list[GrantPart] = []
    strangers: list[FieldError] = []
    for index, choice in enumerate(choices):
        fitting = [narrowed for part in known if (narrowed := _narrowed(part, choice)) is not None]
        if not fitting:
            detail = _("This person has not been proposed.")
            strangers.append({"field": f"grantees.{index}", "code": "not_proposed", "detail": detail})
        found += fitting
    if strangers:
        raise Invalid(errors=strangers)
    return tuple(dict.fromkeys(found))


def units_for(grants: Iterable[Grant]) -> dict[UUID, Unit]:
    """The units that grants name. Raises Invalid when one is not there."""
    return _units([grant.unit_id for grant in grants], "grantees")


def chosen_units(ids: Sequence[UUID]) -> tuple[UnitPart, ...]:
    """Units to exclude, in a settled order. Raises Invalid."""
    units = _units(ids, "excluded_units")
    return tuple(UnitPart(unit=id_, org_number=units[id_].org_number) for id_ in sorted(set(ids)))


def earlier_end(until: datetime, offered: datetime | None, at: datetime) -> datetime:
    """An end of the patient's own choosing: in the future, and not beyond the one that the text names."""
    if until <= at or (offered is not None and until > offered):
        detail = _("Choose a time in the future, not later than the end that the text names.")
        raise Invalid(errors=[{"field": "until", "code": "out_of_range", "detail": detail}])
    return until


def widens(new: Terms, old: Terms, at: datetime) -> bool:
    """Whether anybody may read more under `new` than under `old`: somebody else, of a unit that was kept out, or what
    was written at another time. Without a range of content, everybody reads from their joining on, before `at`."""
    somebody = any(all(_narrowed(known, _as_choice(one)) is None for known in old.grants) for one in new.grants)
    units = {one.unit for one in old.excluded_units} - {one.unit for one in new.excluded_units}
    was, now = old.content, new.content
    earlier = was.start != now.start and (now.start is None or now.start < (was.start or at))
    later = was.end is not None and (now.end is None or now.end > was.end)
    return somebody or bool(units) or earlier or later


def _as_choice(part: GrantPart) -> Choice:
    return Choice(person=part.person, unit=part.unit, role=part.role)


def _narrowed(part: GrantPart, choice: Choice) -> GrantPart | None:
    """`part` as the choice has it; None when it is another's or wider than what was asked."""
    if choice.unit is None:
        return part if choice.person == part.person and part.person is not None else None
    if choice.unit != part.unit or part.person not in (None, choice.person) or part.role not in (None, choice.role):
        return None
    return part.model_copy(update={"person": choice.person, "role": choice.role})


def _units(ids: Sequence[UUID], field: str) -> dict[UUID, Unit]:
    units = units_by_id(ids)
    missing: list[FieldError] = [
        {"field": f"{field}.{index}", "code": "unknown_unit", "detail": _("No such unit.")}
        for index, id_ in enumerate(ids)
        if id_ not in units
    ]
    if missing:
        raise Invalid(errors=missing)
    return units
