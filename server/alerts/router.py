"""The router (law 6): whatever is due is looked at, decided, and written together with its pages.

Phase A of the issue: no page is sent here, and nobody waits for one that is. Any number of routers may run, in any
process, without a leader: rows are locked one at a time, and one that another router holds is left to it.
"""

import socket
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, OuterRef, Q

from server.alerts import doors, store
from server.alerts.decide import decide, resumed
from server.alerts.models import Alert, TeamMember
from server.common.clock import now
from server.common.sql import time_in
from server.consent.models import Consent, Form
from server.people.periods import current_at

log = structlog.get_logger(__name__)

EVERY_S = 2.0
BATCH = 50
NAME = f"router/{socket.gethostname()}"[:40]
WAKE = threading.Event()
"""Set after a commit that made an alert due: the loop of this process looks at once."""
CLOCK_BACK = timedelta(seconds=2)
AGAIN = timedelta(seconds=5)
FAR = timedelta(hours=5)


def tick() -> int:
    """Look at everything that is due; returns how much that was. One that fails is logged and stays due: it must not
    keep the others waiting.

    Raises OperationalError when the database is gone.
    """
    WAKE.clear()
    at = now()
    _beat(at)
    # What began in the future: the clock has gone back, and its times would come too late.
    ahead = at + CLOCK_BACK
    due = Q(due_at__lte=at) | Q(step_at__gt=ahead, duty="router")
    due |= Q(due_at__gt=at + FAR)  # nothing is ever due so late
    due |= Q(accepted_at__gt=ahead) | Q(calling_at__gt=ahead) | Q(offered_at__gt=ahead)
    ids = Alert.objects.exclude(state="closed").filter(due).order_by("due_at", "id").values_list("id", flat=True)
    done = sum(_attempt(one, look) for one in list(ids[:BATCH]))
    _wake_in_time(at)
    return done + sum(_attempt(one, replace_responder) for one in _left_alone(at))


def _wake_in_time(at: datetime) -> None:
    """What is due before the next round is looked at when it is due: a telephone that is to ring after a minute rings
    after a minute."""
    soon_due = Alert.objects.exclude(state="closed").filter(due_at__gt=at, due_at__lt=at + timedelta(seconds=EVERY_S))
    first = soon_due.order_by("due_at").values_list("due_at", flat=True).first()
    if first is not None:
        timer = threading.Timer((first - at).total_seconds() + 0.01, WAKE.set)
        timer.daemon = True
        timer.start()


def _beat(at: datetime) -> None:
    """Say that this host's router is alive, in one statement of its own: a host that freezes in the middle of it holds
    up no other's, and a beat that fails holds up no alert."""
    beat = "INSERT INTO alerts_routerbeat (name, at) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET at = excluded.at"
    try:
        with connection.cursor() as cursor:
            cursor.execute(beat, [NAME, time_in(at)])
    except DatabaseError as error:
        log.warning("router_beat_lost", error=type(error).__name__)


def replace_responder(alert_id: UUID) -> bool:
    """Whoever had accepted has left the team, or the patient has excluded them: people are called anew at once."""
    with transaction.atomic():
        alert = store.locked(alert_id, wait=False)
        if alert is None or alert.responder_id is None or doors.may_answer(alert, alert.responder_id):
            return False
        at = now()
        store.save(alert, resumed(store.case_of(alert), "responder_gone", at), now=at)
        return True


def _left_alone(at: datetime) -> list[UUID]:
    """Alerts whose responder may not answer them any longer. One statement finds those who have left; patients who have
    excluded anybody are few, and each is asked about."""
    there = TeamMember.objects.current(at).filter(current_at(at, "engagement__"), programme_id=OuterRef("programme_id"))
    excluding = Consent.objects.filter(patient_id=OuterRef("patient_id"), form=Form.EXCLUSIONS)
    held = Alert.objects.filter(duty="responder").annotate(
        there=Exists(there.filter(user_id=OuterRef("responder_id"), user__is_active=True)), excluding=Exists(excluding)
    )
    perhaps = held.filter(Q(there=False) | Q(excluding=True)).order_by("id")[:BATCH]
    return [one.id for one in perhaps if one.responder_id and not doors.may_answer(one, one.responder_id)]


def look(alert_id: UUID) -> bool:
    """Decide once what happens to this alert, and write it. Returns whether there was something to write.

    In one transaction: state, events, pages. Holds the row meanwhile; leaves it when another router has it.
    """
    with transaction.atomic():
        alert = store.locked(alert_id, wait=False)
        if alert is None or alert.state == "closed":
            return False
        at = now()
        case = store.case_of(alert)
        decision = decide(case, store.seen(alert), store.roster(alert, case, at), at)
        if decision.case == case and not decision.notes:
            return False
        store.save(alert, decision, now=at)
        return True


def soon(alert_id: UUID, look_at: Callable[[UUID], object] = look) -> None:
    """Step 0 inline, after the commit of whoever raised it: a fault here only leaves it to the loop."""
    try:
        look_at(alert_id)
    except Exception as error:  # noqa: BLE001 - the call for help is stored; the router takes it within seconds
        log.error("alert_not_looked_at", alert=str(alert_id), error=type(error).__name__)
    WAKE.set()


def wake() -> None:
    """After the commit of the current transaction, look at what is due."""
    transaction.on_commit(WAKE.set, robust=True)


def _attempt(alert_id: UUID, verb: Callable[[UUID], bool]) -> bool:
    try:
        return verb(alert_id)
    except (OperationalError, InterfaceError) as error:
        if not connection.is_usable():
            raise  # the database is gone
        log.error("alert_not_routed", alert=str(alert_id), error=type(error).__name__)
        return False  # its row is held, or its statement took too long: the others' turn
    except (store.Overtaken, IntegrityError):
        return False  # somebody else was faster; it is looked at again while it is due
    except Exception:
        log.exception("alert_not_routed", alert=str(alert_id))
        # It must not stand before the others for ever; it is looked at again soon.
        at = now()
        Alert.objects.filter(id=alert_id, due_at__lte=at).update(due_at=at + AGAIN)
        return False
