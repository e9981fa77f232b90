"""What somebody does with their own shift: say that their telephone works, and start it."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction

from server.alerts.access import memberships
from server.alerts.models import Shift, ShiftCheck
from server.audit.actions import record
from server.audit.entry import Entry
from server.common.clock import now
from server.common.errors import Conflict, Forbidden, NotFound, Refusal
from server.people import actions as people
from server.people.actors import Acting
from server.people.decide import proved

BEFORE = timedelta(hours=1)
AFTER = timedelta(hours=1)


@transaction.atomic
def confirm(*, acting: Acting, shift_id: UUID) -> ShiftCheck:
    """«My telephone works, and lies beside me.» Twice is once. Raises NotFound, Conflict (`not_asked_yet`)."""
    shift = own_shift(acting, shift_id, act="shift.confirmed")
    check = ShiftCheck.objects.select_for_update(no_key=True).filter(shift=shift).first()
    if check is None:
        raise Conflict(code="not_asked_yet")
    if check.number_at is None:
        check.number_at = now()
        check.save(update_fields=["number_at"])
        record(Entry("shift.confirmed", acting.actor, object_id=shift.id))
    return check


@transaction.atomic
def start(*, acting: Acting, shift_id: UUID) -> tuple[str, datetime]:
    """A session that lasts the shift and an hour more, so that nobody has to sign in at night; the phone's own lock is
    before it. Returns its token, and until when it lasts.

    It begins from a session whose owner proved who they are within a working day, and has proved nothing itself: no
    shift is started from a shift, so that a telephone that is found is signed in no longer than one.

    Raises NotFound, Conflict (`not_shift_time`) earlier than an hour before it or when it is over, Forbidden
    (`step_up_needed`).
    """
    shift, at = own_shift(acting, shift_id, act="shift.started"), now()
    if not shift.begins - BEFORE <= at < shift.ends:
        raise Conflict(code="not_shift_time")
    _require_proof(acting, shift, at)
    until = shift.ends + AFTER
    session, token = people.sign_in_until(acting=acting, until=until)
    record(Entry("shift.started", acting.actor, object_id=shift.id, record_ids=(session.sid,)))
    return token, until


def may_start(acting: Acting, shift_id: UUID) -> None:
    """What is asked of whoever gets the answer of an earlier start again. Raises NotFound, Forbidden
    (`step_up_needed`)."""
    _require_proof(acting, own_shift(acting, shift_id, act="shift.started"), now())


def _require_proof(acting: Acting, shift: Shift, at: datetime) -> None:
    """That this session was proved since a working day's session could have begun. Raises Forbidden."""
    session = acting.session
    day = timedelta(hours=settings.ENV.staff_session_hours)
    if session is None or not proved(strong_at=session.strong_at, at=at, within=day):
        raise Forbidden(code="step_up_needed", refusal=Refusal("shift.started", "step_up_needed", object_id=shift.id))


def own_shift(acting: Acting, shift_id: UUID, *, act: str) -> Shift:
    """One's own, for the engagement that one is in the team for, and not taken away. Raises NotFound."""
    mine = memberships(acting).values("programme_id")
    rows = Shift.objects.filter(id=shift_id, user=acting.user, cancelled_at=None, programme_id__in=mine)
    shift = rows.first()
    if shift is None:
        raise NotFound(refusal=Refusal(act, "not_own", object_id=shift_id))
    return shift
