"""What the gateway asks the database about calls for help: one job for all sockets of the process, on a database
thread. Who may be told is decided anew each time; nothing that a socket remembers decides.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import structlog
from django.db import DatabaseError, InterfaceError, transaction
from django.utils import translation

from server.alerts import following
from server.alerts.doors import Opened
from server.alerts.models import Alert, AlertKey
from server.alerts.shown import Facts, facts_of, shown
from server.audit.actions import record_many
from server.audit.entry import Entry
from server.common.clock import now
from server.gateway import frames
from server.people.actors import Acting, acting_in
from server.people.authentication import live_sessions

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket, as it is asked about: the session or alert key that it has, and the alerts that it follows."""

    sid: UUID
    by_key: bool
    user_id: UUID
    engagement_id: UUID | None
    follows: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class Told:
    """One alert as one listener is to see it. `over`: it is closed, and this is its last frame."""

    frame: str
    digest: bytes
    over: bool
    end: Entry
    """What goes on record when the following ends."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is to be told now, in the order of the listeners: by alert, None for one that could not be shown this time.
    An alert that is absent is not open to them."""

    told: Sequence[Mapping[UUID, Told | None]]
    revoked: frozenset[UUID]
    """Alert keys that hold no longer."""


def look(listeners: Sequence[Listener], alert_ids: Collection[UUID] | None = None) -> Look:
    """These alerts, or all that are open and those that are followed, for each listener who may see them.

    What a listener follows for the first time is on record before this returns (law 1). While nothing is open: one
    statement, and one when there are alert keys.
    """
    keys = following.live_keys([one.sid for one in listeners if one.by_key]) if any_key(listeners) else {}
    revoked = frozenset(one.sid for one in listeners if one.by_key) - set(keys)
    alerts = _alerts(listeners, alert_ids)
    told: list[dict[UUID, Told | None]] = [{} for _ in listeners]
    if not alerts:
        return Look(told, revoked)
    circle = following.circle(alerts)
    near = [one for one in listeners if one.user_id in circle.users]
    sessions = live_sessions([one.sid for one in near if not one.by_key])
    people: dict[UUID, Acting | AlertKey] = {sid: acting_in(session) for sid, session in sessions.items()}
    people.update(keys)
    telling = _Telling(now())
    begun = []
    for listener, mine in zip(listeners, told, strict=True):
        who = people.get(listener.sid) if listener.user_id in circle.users else None
        if who is None or not _same(listener, who):
            continue
        for alert in alerts:
            if alert.state == "closed" and alert.id not in listener.follows:
                continue
            opened = circle.opened(who, alert)
            if opened is None:
                continue
            mine[alert.id] = one = telling.told(opened, _language(who))
            if one is not None and alert.id not in listener.follows:
                begun.append(_entry("alert.followed", opened))
    if begun:
        with transaction.atomic():
            record_many(begun)
    return Look(told, revoked)


def any_key(listeners: Sequence[Listener]) -> bool:
    return any(one.by_key for one in listeners)


def _alerts(listeners: Sequence[Listener], alert_ids: Collection[UUID] | None) -> list[Alert]:
    if alert_ids is not None:
        return following.these(alert_ids)
    found = following.open_around({one.user_id for one in listeners})
    missing = {id_ for one in listeners for id_ in one.follows} - {one.id for one in found}
    return found + following.these(missing) if missing else found


def _same(listener: Listener, who: Acting | AlertKey) -> bool:
    """Whether it acts for the engagement that its socket was opened for; else the socket is about to be closed."""
    if isinstance(who, AlertKey):
        return True
    return (who.engagement.id if who.engagement is not None else None) == listener.engagement_id


def _language(who: Acting | AlertKey) -> str:
    user = who.patient.user if isinstance(who, AlertKey) else who.user
    assert user is not None, "keys are read with their patient's user"
    return user.language


def _entry(type_: str, opened: Opened) -> Entry:
    alert = opened.alert
    return Entry(type_, opened.actor, subject_id=alert.patient_id, object_id=alert.id, basis=opened.basis)


@dataclass(slots=True)
class _Telling:
    """Each alert is read and opened once, and made into text once for all who see the same of it."""

    at: datetime
    _facts: dict[UUID, Facts | None] = field(default_factory=dict)
    _frames: dict[tuple[UUID, str, str], tuple[str, bytes]] = field(default_factory=dict)

    def told(self, opened: Opened, language: str) -> Told | None:
        """None when it cannot be shown: the others are told all the same, and it is tried again."""
        alert = opened.alert
        same = (alert.id, opened.seen_as, language)
        if same not in self._frames:
            facts = self._read(alert)
            if facts is None:
                return None
            with translation.override(language):
                frame = frames.alert(shown(opened, self.at, facts))
            self._frames[same] = frame, sha256(frame.encode()).digest()
        frame, digest = self._frames[same]
        return Told(frame, digest, alert.state == "closed", _entry("alert.unfollowed", opened))

    def _read(self, alert: Alert) -> Facts | None:
        if alert.id not in self._facts:
            try:
                self._facts[alert.id] = facts_of(alert, team=True)
            except (DatabaseError, InterfaceError):
                raise
            except Exception as error:  # noqa: BLE001 - one that cannot be opened must not silence the others
                log.error("alert_not_shown", alert=str(alert.id), error=type(error).__name__)
                self._facts[alert.id] = None
        return self._facts[alert.id]
