"""A room with people in it, what can end their access, and how to let that happen at a named point of a path (law 5).

A path is something on its way: a request, a frame, a reading. Its points are the moments between its statements; at a
point, an ending is committed by another thread on another connection, and then the path goes on. Where the path holds a
lock that the ending needs, the ending is seen to wait instead.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from unittest import mock

from django.conf import settings
from django.db import connection
from django.test import override_settings

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.common.sql import rfc3339
from server.consent.actions import expire
from server.consent.models import Consent, State, Version
from server.operate.crowd import AGREEMENT, Person, build_crowd
from server.people import actions as people
from server.people.crowd import bulk_sessions, bulk_staff
from server.people.models import Agreement, Engagement, Unit
from server.rooms.models import EmergencyAccess, Member, RoomEvent, Span
from tests.base import Client

ALL = frozenset({"sqlite", "postgresql"})
SQLITE = frozenset({"sqlite"})
"""Where whatever writes takes the only write lock when its transaction begins, before it decides."""
WAITS_S = 0.15
PATIENCE_S = 20.0
SECOND = timedelta(seconds=1)


# --- the place -----------------------------------------------------------------------------------------------


def client_of(person: Person) -> Client:
    client = Client()
    client.token, client.user_id = person.token, person.user
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {person.token}")
    return client


class Place:
    """A room of its own, with its patient and three of the staff, of two controllers in turn."""

    def __init__(self) -> None:
        made = next(iter(build_crowd(rooms=1, members=4)))
        self.id, self.consent = made.id, made.consent
        self.path, self.asks = f"rooms/{made.id}", f"consents/{made.consent}"
        self.patient = client_of(made.patient)
        self.staff = [client_of(one) for one in made.staff]
        self.outsider: Client | None = None

    def call_in(self, hours: float = 4.0) -> Client:
        """Somebody who works where the patient is known, with emergency access (L3)."""
        [engagement] = bulk_staff([Unit.objects.get(name="Prøvesykehuset DPS")], 1)
        [(_, token)] = bulk_sessions([(engagement.user, engagement)])
        self.outsider = client_of(Person(engagement.user_id, token))
        said = {"ground": "life_danger", "reason": "Bevisstløs. Må vite hva som er avtalt."}
        with override_settings(ENV=settings.ENV.model_copy(update={"emergency_hours": hours})):
            self.outsider.ok("post", f"{self.path}/emergency-access", said)
        return self.outsider

    def write(self, who: Client) -> None:
        who.ok("post", f"{self.path}/messages", {"txn_id": "before", "body": "skrevet før"})

    def set_end(self, seconds: float) -> None:
        """The patient chooses an end that comes soon."""
        at = rfc3339(now() + seconds * SECOND)
        self.patient.ok("post", f"{self.asks}/change", {"until": at})

    def put_away(self) -> None:
        """Nobody is in it any more: endings that touch every room pass it by."""
        Member.objects.filter(room_id=self.id).update(state=Member.State.REMOVED)

    # --- what the rows say, by other questions than the product's own ---

    def unit_of(self, who: Client) -> Unit:
        return Engagement.objects.select_related("unit").get(user_id=who.user_id).unit

    def inside(self, who: Client) -> bool:
        if who is self.outsider:
            open_ = EmergencyAccess.objects.filter(room_id=self.id, user_id=who.user_id, ended_at=None)
            return open_.filter(until__gt=now()).exists()
        consent = Consent.objects.get(id=self.consent)
        if consent.state != State.ACTIVE or consent.ends_at is None or consent.ends_at <= now():
            return False
        return Span.objects.filter(member__room_id=self.id, member__user_id=who.user_id, until=None).exists()

    def excluded(self, who: Client) -> bool:
        """Whether the newest version of the patient's exclusions names this person."""
        found = Version.objects.filter(consent__patient__user_id=self.patient.user_id, consent__form="exclusions")
        newest = found.order_by("-number").values_list("document", flat=True).first()
        return newest is not None and str(who.user_id) in newest

    def visible(self, who: Client, seq: int) -> bool:
        """Whether an event comes before the one that ended this person's access (law 5a)."""
        if who is self.outsider:
            said = RoomEvent.objects.filter(room_id=self.id, type="emergency_access", facts__user=str(who.user_id))
            over = said.filter(facts__act="ended").values_list("seq", flat=True).first()
            return over is None or seq < over
        spans = Span.objects.filter(member__room_id=self.id, member__user_id=who.user_id)
        return any(
            first <= seq and (until is None or seq < until) for first, until in spans.values_list("first", "until")
        )

    def check_timeline(self) -> None:
        """Law 2; and every interval ends with the event that ended access or, when time did, with the first act that
        found it so (law 5a)."""
        kinds = dict(RoomEvent.objects.filter(room_id=self.id).values_list("seq", "type"))
        assert sorted(kinds) == list(range(1, len(kinds) + 1))
        for until in Span.objects.filter(member__room_id=self.id).exclude(until=None).values_list("until", flat=True):
            assert kinds[until] in ("consent", "member_left", "emergency_access", "participation"), kinds

    # --- what ends access ---

    def say(self, path: str, **data: Any) -> None:
        """The patient says it; 409 when there is nothing left to say it about."""
        answer = self.patient.post(path, data)
        assert answer.status_code in (200, 201, 409), answer.content

    def narrow(self, whom: Client) -> None:
        joined = Member.objects.filter(room_id=self.id, engagement__isnull=False, state=Member.State.JOINED)
        others = joined.exclude(user_id=whom.user_id).values_list("user_id", flat=True)
        self.say(f"{self.asks}/change", grantees=[str(one) for one in others])

    def end_engagement(self, whom: Client) -> None:
        engagement = Engagement.objects.get(user_id=whom.user_id)
        people.end_engagement(engagement_id=engagement.id, actor=SYSTEM, reason="left")

    def end_agreement(self) -> None:
        for agreement in Agreement.objects.current().filter(title=AGREEMENT):
            people.end_agreement(agreement_id=agreement.id, actor=SYSTEM, reason="over")

    def end_comes(self) -> None:
        """Until the moment chosen before has passed."""
        emergency = EmergencyAccess.objects.filter(room_id=self.id, ended_at=None).first()
        end = emergency.until if emergency is not None else Consent.objects.get(id=self.consent).ends_at
        while end is not None and now() <= end:
            time.sleep(0.02)

    def end_is_recorded(self) -> None:
        self.end_comes()
        expire(consent=Consent.objects.get(id=self.consent))

    def say_yes_again(self) -> None:
        active = Consent.objects.get(id=self.consent).state == State.ACTIVE
        self.say(f"{self.asks}/{'change' if active else 'give'}")


# --- endings and points ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ending:
    """Something that ends access. `ends(place, whom, who)`: whether it ends that of `who` when it is about `whom`.
    `timed`: it is time that ends it, so the moment must be chosen before the path begins. `waits`: for the locks that a
    path holds; time alone waits for nobody."""

    name: str
    happens: Callable[[Place, Client], object]
    ends: Callable[[Place, Client, Client], bool]
    timed: bool = False
    waits: bool = True

    def __repr__(self) -> str:
        return self.name


def _same(_: Place, whom: Client, who: Client) -> bool:
    return whom is who


def _same_unit(place: Place, whom: Client, who: Client) -> bool:
    return place.unit_of(whom) == place.unit_of(who)


def _other_controller(place: Place, _: Client, who: Client) -> bool:
    return place.unit_of(who).controller_id != place.unit_of(place.staff[0]).controller_id


def _everybody(*_: object) -> bool:
    return True


def _nobody(*_: object) -> bool:
    return False


def _exclude(place: Place, whom: Client) -> None:
    place.say("exclusions", user=str(whom.user_id))


def _exclude_unit(place: Place, whom: Client) -> None:
    place.say(f"{place.asks}/change", excluded_units=[str(place.unit_of(whom).id)])


WITHDRAWN = Ending("consent withdrawn", lambda place, _: place.say(f"{place.asks}/withdraw"), _everybody)
NARROWED = Ending("consent narrowed", Place.narrow, _same)
EXCLUDED = Ending("person excluded", _exclude, _same)
UNIT_EXCLUDED = Ending("unit excluded", _exclude_unit, _same_unit)
RUN_OUT = Ending("consent run out", lambda place, _: place.end_comes(), _everybody, timed=True, waits=False)
EXPIRED = Ending("consent expired, on record", lambda place, _: place.end_is_recorded(), _everybody, timed=True)
ENGAGEMENT = Ending("engagement ended", Place.end_engagement, _same)
AGREEMENT_ENDED = Ending("agreement ended", lambda place, _: place.end_agreement(), _other_controller)
ENDINGS = (WITHDRAWN, NARROWED, EXCLUDED, UNIT_EXCLUDED, RUN_OUT, EXPIRED, ENGAGEMENT, AGREEMENT_ENDED)

OF_EMERGENCY = (
    Ending("ended by hand", lambda place, whom: whom.ok("delete", f"{place.path}/emergency-access"), _same),
    Ending("time over", lambda place, _: place.end_comes(), _same, timed=True, waits=False),
    EXCLUDED,
    ENGAGEMENT,
)
"""For whoever is here on emergency access (L3)."""
OTHERWISE = (
    Ending("consent withdrawn from the others", WITHDRAWN.happens, _nobody),
    Ending("their unit excluded", _exclude_unit, _nobody),
)
"""What does not end emergency access (rule 2 comes before 3 and 4): the path must still succeed."""
YES_AGAIN = Ending("given again", lambda place, _: place.say_yes_again(), _nobody)


@dataclass(frozen=True, slots=True)
class Point:
    """A moment inside a path: before or after a call of `owner.name`. `locks` are the engines on which the path holds,
    there, what every ending needs. `tells`: the statement that follows reads what is told, or takes a number."""

    path: str
    what: str
    owner: Any
    name: str
    after: bool = True
    locks: frozenset[str] = frozenset()
    tells: bool = False

    def __repr__(self) -> str:
        return f"{self.path}: {self.what}"


@dataclass(frozen=True, slots=True)
class Step:
    """At this point this happens, to this person."""

    point: Point
    ending: Ending
    whom: Client

    def __repr__(self) -> str:
        return f"{self.ending} at {self.point}"


class Scene:
    """One path of `who` while `steps` happen, each when its point is next reached. `mine(args)` tells the path's own
    calls from everybody else's."""

    def __init__(
        self,
        place: Place,
        who: Client,
        points: Sequence[Point],
        steps: Sequence[Step],
        *,
        mine: Callable[[tuple[Any, ...]], bool],
        may: Callable[[], bool],
    ) -> None:
        self.place, self.who, self._points, self._mine, self._may = place, who, points, mine, may
        self.left, self.done = list(steps), list[Step]()
        self.allowed: list[bool] = []
        """Whether `who` might be told, each time that a statement began whose result is told."""
        self._waiting: list[tuple[Step, threading.Thread]] = []
        self._errors: list[BaseException] = []

    @contextlib.contextmanager
    def played(self) -> Iterator[None]:
        """Inside, the path is to be run; afterwards everything that waited has happened."""
        calls = {(point.owner, point.name) for point in self._points}
        with contextlib.ExitStack() as keep:
            for owner, name in calls:
                keep.enter_context(mock.patch.object(owner, name, self._around(owner, name)))
            yield
        for step, thread in self._waiting:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), f"{step} never happened"
        if self._errors:
            raise self._errors[0]

    def _around(self, owner: Any, name: str) -> Callable[..., Any]:
        original = getattr(owner, name)
        here = [point for point in self._points if (point.owner, point.name) == (owner, name)]

        def call(*args: Any, **kwargs: Any) -> Any:
            if not self._mine(args):
                return original(*args, **kwargs)
            self._reach([point for point in here if not point.after])
            found = original(*args, **kwargs)
            self._reach([point for point in here if point.after])
            return found

        return call

    def _reach(self, points: Sequence[Point]) -> None:
        for point in points:
            if self.left and self.left[0].point == point:
                self._let(self.left.pop(0))
            if point.tells:
                self.allowed.append(self._may())

    def _let(self, step: Step) -> None:
        thread = threading.Thread(target=self._happen, args=(step,), daemon=True)
        thread.start()
        locked = step.ending.waits and connection.vendor in step.point.locks
        thread.join(WAITS_S if locked else PATIENCE_S)
        assert thread.is_alive() == locked, f"{step}: {'it did not wait' if locked else 'it waits'}"
        self._waiting.append((step, thread))
        self.done.append(step)

    def _happen(self, step: Step) -> None:
        try:
            step.ending.happens(self.place, step.whom)
        except BaseException as error:  # noqa: BLE001 - raised again by whoever runs the path
            self._errors.append(error)
        finally:
            connection.close()
