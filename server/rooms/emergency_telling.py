"""Who is told of emergency access and who reviews it (L3), and what is different the second time on one day.

Nobody is kept out by a count: a life may hang on the next press. But ending an access and beginning another makes it no
longer (`decide.until`), and whoever begins often is looked at by more people.
"""

import functools
from collections.abc import Sequence
from datetime import timedelta

from django.db.models import Q

from server.audit.entry import Actor
from server.consent import records
from server.duties import actions as duties
from server.duties.models import Duty, Kind
from server.people.access import everybody_leading, leaders_of
from server.people.actors import Acting
from server.people.models import Engagement
from server.rooms.models import EmergencyAccess, Room

REVIEWED_WITHIN = timedelta(days=7)
DAY = timedelta(hours=24)
OFTEN = 3
"""More accesses than this of one person to one room in a day, and everybody who leads there is told of each."""
REPEATED = "repeated"


def of_a_day(room: Room, acting: Acting) -> list[EmergencyAccess]:
    """Accesses of whoever acts to this room (locked) that began within the last day, over or not, oldest first."""
    rows = EmergencyAccess.objects.filter(room=room, user_id=acting.user.id, begun_at__gt=acting.at - DAY)
    return list(rows.order_by("begun_at", "id"))


def owe(
    access: EmergencyAccess, engagement: Engagement, room: Room, actor: Actor, before: Sequence[EmergencyAccess]
) -> None:
    """Leaders are told at once, but never one whom the patient has excluded; the patient is told at once or when it is
    time; the officers of the actor's controller review it. `before` are the actor's other accesses of this day.

    While the review of one of these is open, it is the review of this one too.
    """
    owe_one = functools.partial(
        duties.owe, patient=room.patient, room_id=room.id, object_id=access.id, code=access.ground, actor=actor
    )
    _tell_leaders(access, engagement, room, actor, often=len(before) >= OFTEN)
    employer = engagement.unit.controller_id
    owed = Duty.objects.filter(object_id__in=[one.id for one in before])
    if not owed.filter(kind=Kind.EMERGENCY_REVIEW, controller_id=employer, done_at=None).exists():
        review_by = access.begun_at + REVIEWED_WITHIN
        owe_one(kind=Kind.EMERGENCY_REVIEW, controller_id=employer, concerns_id=access.user_id, due_at=review_by)
    elif owed.filter(_tells_of(access)).exists():
        return
    if room.patient.user_id is not None:
        owe_one(kind=Kind.EMERGENCY_USED, user_id=room.patient.user_id, due_at=access.tell_at)


def _tells_of(access: EmergencyAccess) -> Q:
    """Whether a telling of the patient serves for this access too: it comes no later, and of hidden ones not before
    they may know."""
    serves = Q(kind=Kind.EMERGENCY_USED, due_at__lte=access.tell_at)
    return serves & Q(due_at__gt=access.begun_at) if access.hidden else serves


def _tell_leaders(access: EmergencyAccess, engagement: Engagement, room: Room, actor: Actor, *, often: bool) -> None:
    """Whoever leads there; `often`: everybody who leads at this controller, and its officers."""
    employer = engagement.unit.controller_id
    tell = functools.partial(
        duties.owe,
        kind=Kind.EMERGENCY_TOLD,
        due_at=access.begun_at,
        patient=room.patient,
        room_id=room.id,
        object_id=access.id,
        code=REPEATED if often else access.ground,
        actor=actor,
    )
    excluded = records.excluded_people(room.patient_id)
    for leader in everybody_leading(engagement) if often else leaders_of(engagement):
        if leader not in excluded:
            tell(user_id=leader, employer_id=employer)
    if often:
        tell(controller_id=employer)
