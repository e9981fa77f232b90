"""The verbs of one's own quiet hours."""

from collections.abc import Mapping, Sequence

from django.db import transaction

from server.audit.actions import record
from server.audit.entry import Entry
from server.common.clock import now
from server.common.errors import FieldError, Invalid
from server.notify import quiet
from server.notify.decide import quiet_faults
from server.notify.models import QuietHours
from server.notify.wake import wake_after_commit
from server.people.actors import Acting


@transaction.atomic
def set_quiet_hours(*, acting: Acting, hours: Mapping[str, Sequence[str] | None]) -> None:
    """When I am not told of what may wait, as `decide.Hours`; empty: always told. What they hold already is looked at
    again.

    Raises Invalid with the field `hours`.
    """
    if code := quiet_faults(hours):
        error: FieldError = {"field": "hours", "code": code, "detail": ""}
        raise Invalid(errors=[error])
    at = now()
    QuietHours.objects.update_or_create(user=acting.user, defaults={"hours": dict(hours), "set_at": at})
    record(
        Entry(
            "quiet_hours.set",
            acting.actor,
            subject_id=acting.patient.id if acting.patient is not None else None,
            object_id=acting.user.id,
            basis="self",
        )
    )
    if quiet.look_again([acting.user.id], at):
        wake_after_commit()
