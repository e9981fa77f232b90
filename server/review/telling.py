"""Who did what, as the patient whom it is about may read it: names, or the code of an employee who is shielded (L2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from server.audit.models import AuditEvent
from server.people.models import Controller, Unit
from server.people.names import display_names
from server.review.shields import in_force
from server.review.words import Who, is_emergency, sentence


@dataclass(frozen=True, slots=True)
class Told:
    """One event. Of whoever is shielded `user` is None and `name` empty, and `code` says that it was the same person.
    `words`: one sentence and its basis, in the language that is active."""

    event: AuditEvent
    user: UUID | None
    name: str
    code: str
    unit: str
    controller: str
    words: str
    emergency: bool


def told(events: Sequence[AuditEvent], *, reader: UUID | None) -> list[Told]:
    """What is told of these events to the patient whose user is `reader`. Three statements, one more where officers
    acted, and one for the keys where patients did."""
    actors = {event.actor_id for event in events if event.actor_id is not None}
    codes = in_force(actors)
    shielded = [codes.get((event.controller_id, event.actor_id), "") for event in events]  # type: ignore[arg-type]
    named = {event.actor_id for event, code in zip(events, shielded, strict=True) if event.actor_id and not code}
    names = display_names(named) if named else {}
    units = Unit.objects.filter(id__in={e.unit_id for e in events if e.unit_id}).select_related("controller")
    by_id = {unit.id: unit for unit in units}
    alone = {e.controller_id for e in events if e.controller_id and not e.unit_id}
    controllers = dict(Controller.objects.filter(id__in=alone).values_list("id", "name")) if alone else {}

    def one(event: AuditEvent, code: str) -> Told:
        unit = by_id.get(event.unit_id) if event.unit_id else None
        employer = unit.controller.name if unit else controllers.get(event.controller_id, "")  # type: ignore[arg-type]
        name = names.get(event.actor_id, "") if event.actor_id and not code else ""
        own = event.actor_id is not None and event.actor_id == reader
        who = Who(name, event.role, unit.name if unit else employer, own, code)
        return Told(
            event=event,
            user=None if code else event.actor_id,
            name=name,
            code=code,
            unit=unit.name if unit else "",
            controller=employer,
            words=sentence(event.type, outcome=event.outcome, basis=event.basis, who=who),
            emergency=is_emergency(event.type, event.basis),
        )

    return [one(event, code) for event, code in zip(events, shielded, strict=True)]
