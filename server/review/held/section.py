"""What a section is: rows of one table about one person, which of their fields are told, and how they open."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext as _

from server.people.models import Controller, Unit, User
from server.people.names import display_names
from server.review.shields import in_force
from server.vault import actions as vault
from server.vault.errors import Destroyed, Unreadable

CHUNK = 200
Rows = QuerySet[Any]
Told = dict[str, Any]
Opener = Callable[[Any], Any]
"""From a row to what it says."""


@dataclass(frozen=True, slots=True)
class Section:
    """`rows` are all about a person, by the person's id; `of` narrows them to what one controller answers for, and is
    None where that is nothing: then an officer's file has no such section.

    `fields` are told as they stand; `sealed` by the place in the vault they were sealed for; `opened` by a function of
    the row; `people` and `places` are fields with ids of users, units and controllers, which are told by name.
    """

    name: str
    rows: Callable[[UUID], Rows]
    fields: tuple[str, ...] = ()
    sealed: Mapping[str, str] = field(default_factory=dict)
    opened: Mapping[str, Opener] = field(default_factory=dict)
    people: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    of: Callable[[Rows, UUID], Rows] | None = None
    of_person: Callable[[Rows, UUID, UUID], Rows] | None = None
    """In place of `of`, where it takes the person's id too."""
    own: frozenset[str] = frozenset()
    """Told to the person only, and in no officer's file."""
    make: Callable[[Sequence[Any], UUID], list[Told]] | None = None
    """In place of all that: from a chunk of rows to what is told."""

    @property
    def told(self) -> set[str]:
        """The fields of the table that are in the file."""
        return {*self.fields, *self.sealed, *self.opened, *self.people, *self.places}


def narrowed(section: Section, person: UUID, controller: UUID | None) -> Rows | None:
    """None: nothing of this section is for that controller."""
    rows = section.rows(person)
    if controller is None:
        return rows
    if section.of_person is not None:
        return section.of_person(rows, person, controller)
    return section.of(rows, controller) if section.of is not None else None


def chunks(section: Section, rows: Rows, person: UUID, controller: UUID | None = None) -> Iterator[list[Told]]:
    """All rows in order of their keys, in constant memory. In an officer's file nobody stands by name but the person
    and the controller's own people and units (L6)."""
    if controller is not None:
        section = _without_own(section)
    last: Any = None
    rows = rows.order_by("pk")
    while some := list((rows if last is None else rows.filter(pk__gt=last))[:CHUNK]):
        yield section.make(some, person) if section.make is not None else _made(section, some, person, controller)
        last = some[-1].pk


def _without_own(section: Section) -> Section:
    return replace(
        section,
        fields=tuple(one for one in section.fields if one not in section.own),
        sealed={one: place for one, place in section.sealed.items() if one not in section.own},
    )


def _made(section: Section, rows: Sequence[Model], person: UUID, controller: UUID | None) -> list[Told]:
    people = {getattr(row, one) for row in rows for one in section.people} - {None}
    placed = {getattr(row, one) for row in rows for one in section.places} - {None}
    if controller is not None:
        people, placed = _own_people(people, person, controller), _own_places(placed, controller)
    names, places = _named(people), _placed(placed)
    return [_one(section, row, names, places) for row in rows]


def _one(section: Section, row: Model, names: Mapping[UUID, str], places: Mapping[UUID, str]) -> Told:
    said: Told = {"id": str(row.pk)} if isinstance(row.pk, UUID) else {}
    said |= {name: plain(getattr(row, name)) for name in section.fields}
    said |= {name: names.get(getattr(row, name)) for name in section.people}
    said |= {name: places.get(getattr(row, name)) for name in section.places}
    said |= {name: _opened(getattr(row, name), place, row) for name, place in section.sealed.items()}
    return said | {name: _guarded(opener, row) for name, opener in section.opened.items()}


def plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return str(value) if isinstance(value, UUID) else value


def _opened(sealed: Any, place: str, row: Model) -> str | None:
    if sealed is None:
        return None
    return str(_guarded(lambda one: vault.unseal(bytes(sealed), place=place, row=one.pk), row))


def _guarded(opener: Opener, row: Model) -> Any:
    try:
        return opener(row)
    except Destroyed:
        return _("(erased)")
    except Unreadable:
        return _("(cannot be read)")


def _own_people(people: set[UUID], person: UUID, controller: UUID) -> set[UUID]:
    theirs = Q(engagements__unit__controller_id=controller) | Q(appointments__controller_id=controller)
    about = Q(id=person) | Q(patient__id=person)
    return set(User.objects.filter(theirs | about, id__in=people).values_list("id", flat=True)) if people else set()


def _own_places(places: set[UUID], controller: UUID) -> set[UUID]:
    units = Unit.objects.filter(id__in=places, controller_id=controller) if places else Unit.objects.none()
    return {*units.values_list("id", flat=True), *(places & {controller})}


def _named(people: set[UUID]) -> dict[UUID, str]:
    """Names; of whoever an employer shields, the code that the log shows too."""
    codes = {user: code for (_controller, user), code in in_force(people).items()} if people else {}
    names = display_names(people - set(codes)) if people else {}
    return names | {user: _("employee %(code)s") % {"code": code} for user, code in codes.items()}


def _placed(places: set[UUID]) -> dict[UUID, str]:
    if not places:
        return {}
    units = dict(Unit.objects.filter(id__in=places).values_list("id", "name"))
    return units | dict(Controller.objects.filter(id__in=places).values_list("id", "name"))
