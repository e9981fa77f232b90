"""Law 5 on sockets: each way for access to end, against each path, at each named point inside it.

As `tests/rooms/test_interleavings.py` does over REST, with the same endings. Beside whoever loses access sits the
patient, who stays: each thing is then seen to have been a real one.

Red when (each tried by hand): `jobs.enter` does not compare the epoch, or the permit's end; `jobs.read_rooms` makes no
new permits; `Hub._still_open` keeps who has none, or does not compare the permit's end; `Hub.leave` does not purge;
`timeline.move_heads` does not compare the epoch; `marks.save` writes for whoever is not a member; `Pulse._spread` does
not compare epoch or end.
"""

import asyncio
import contextlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar
from unittest import mock

import hypothesis
import pytest
from hypothesis import Phase, given
from hypothesis import strategies as st

from server.gateway import jobs, pulse
from server.gateway.app import Gateway
from server.gateway.hub import Hub
from server.rooms import marks, permits, posting, timeline
from server.rooms.models import Member, Room, RoomEvent
from tests.base import Client
from tests.gateway.driver import PATIENCE_S, GatewayTestCase, Phone, Weather
from tests.rooms.interleaving import (
    ALL,
    ENDINGS,
    NARROWED,
    OF_EMERGENCY,
    SQLITE,
    Ending,
    Place,
    Point,
    Scene,
    Step,
)

pytestmark = pytest.mark.prove

R = TypeVar("R")
AGAIN = Point("reading", "the permits are made again", permits, "load")
POINTS = (
    Point("resume", "it is known who it is", jobs, "begin", after=False),
    Point("resume", "the permits are made", permits, "load"),
    Point("resume", "the statement is about to read", timeline, "read", after=False, tells=True),
    Point("resume", "the statement has read", timeline, "read"),
    Point("resume", "the following is on record", jobs, "_follow"),
    Point("resume", "the marks are read", marks, "receipts"),
    Point("resume", "all is read, and no frame is sent", jobs, "begin"),
    Point("reading", "somebody has written", jobs, "read_rooms", after=False),
    Point("reading", "the statement is about to read", timeline, "read", after=False, tells=True),
    Point("reading", "the statement has read", timeline, "read"),
    AGAIN,
    Point("reading", "all is read, and no frame is sent", jobs, "read_rooms"),
    Point("post", "taken on under the permit at hand", posting, "write", after=False),
    Point("post", "the number is about to be taken", timeline, "move_heads", after=False, locks=SQLITE, tells=True),
    Point("post", "the number is taken", timeline, "move_heads", locks=ALL),
    Point("post", "written, not committed", posting, "record_many", locks=ALL),
    Point("post", "committed, not answered", posting, "write"),
    Point("mark", "gathered", marks, "save", after=False, tells=True),
    Point("mark", "written", marks, "save"),
)
ENTRIES = {
    "resume": (jobs, "begin"),
    "reading": (jobs, "read_rooms"),
    "post": (posting, "write"),
    "mark": (marks, "save"),
}
"""Where a path begins on a database thread; what that thread does until it returns is the path's."""
LASTS_S = (0.6, 1.5, 5.0)
ONCE = hypothesis.settings(max_examples=max(1, hypothesis.settings().max_examples // 25), phases=[Phase.generate])


class Stage(GatewayTestCase):
    """The gateway lives on a loop of its own thread, and all rooms of a test share it."""

    shared = False

    def setUp(self) -> None:
        super().setUp()
        self.met: Counter[Point | Ending] = Counter()
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 5)
        self.addCleanup(self._loop.call_soon_threadsafe, self._loop.stop)
        self.enterContext(mock.patch.object(pulse, "MARKS_S", 0.05))
        opened = contextlib.AsyncExitStack()
        self._app: Gateway = self.on_loop(opened.enter_async_context(self.gateway()))
        self.addCleanup(lambda: self.on_loop(opened.aclose()))

    @property
    def hub(self) -> Hub:
        async def made() -> Hub:
            self._app.wake()
            assert self._app.hub is not None
            return self._app.hub

        return self.on_loop(made())

    def on_loop(self, work: Coroutine[Any, Any, R]) -> R:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def socket(self, who: Client, place: Place, cursor: int | None = None, **more: Any) -> Phone:
        """A phone of theirs, and that it has said hello."""

        async def begin() -> Phone:
            phone = await self.connect(self._app, **more)
            phone.say(type="hello", protocol=1, token=who.token, cursors={str(place.id): cursor} if cursor else {})
            await phone.wait_or_close()
            return phone

        return self.on_loop(begin())

    def say(self, phone: Phone, **frame: Any) -> None:
        self._loop.call_soon_threadsafe(partial(phone.say, **frame))


class Sockets(Stage):
    def walk(self, path: str, endings: Sequence[Ending] = ENDINGS, *, emergency: bool = False) -> None:
        """Every point and every ending of this path, paired as drawn, and for members the clock alone at every point;
        each is seen to have happened."""
        acts = [one for one in endings if one.waits or emergency]
        alone = list(itertools.product(of(path), set(endings) - set(acts)))
        count = max(len(of(path)), len(acts))
        who = st.lists(st.integers(0, 2), min_size=count + len(alone), max_size=count + len(alone))

        @hypothesis.settings(ONCE)
        @given(st.permutations(of(path)), st.permutations(acts), who)
        def pairs(points: list[Point], acts: list[Ending], people: list[int]) -> None:
            drawn = [
                *itertools.islice(zip(itertools.cycle(points), itertools.cycle(acts), strict=False), count),
                *alone,
            ]
            for (point, ending), number in zip(drawn, people, strict=True):
                self.play(path, number, point, ending, emergency=emergency)

        pairs()
        assert {repr(one) for one in (*of(path), *endings) if not self.met[one]} == set(), "never met"

    def test_resume(self) -> None:
        self.walk("resume")

    def test_reading(self) -> None:
        self.walk("reading")

    def test_post(self) -> None:
        self.walk("post")

    def test_mark(self) -> None:
        self.walk("mark")

    def test_emergency_access(self) -> None:
        for path in ("resume", "reading"):
            self.walk(path, OF_EMERGENCY, emergency=True)

    def play(self, path: str, number: int, point: Point, ending: Ending, *, emergency: bool) -> None:
        for lasts_s in LASTS_S:
            place = Place()
            who = place.call_in(lasts_s / 3600 if ending.timed else 4.0) if emergency else place.staff[number]
            steps = [Step(point, ending, who)]
            if point is AGAIN:  # reached only when access has changed: here somebody else's
                steps.insert(0, Step(of(path)[0], NARROWED, place.staff[(number + 1) % 3]))
            if ending.timed and not emergency:
                place.set_end(lasts_s)
            act = Act(self, path, place, who)
            scene = Scene(place, who, of(path), steps, mine=act.mine, may=partial(may, path, place, who))
            with scene.played(), act.begun():
                begun = act.run()
            if begun:
                act.judge(scene, over=ending.ends(place, who, who))
            self.met.update([one for step in scene.done for one in (step.point, step.ending)])
            self.on_loop(act.leave())
            place.put_away()
            if begun and not scene.left:
                return
            assert ending.timed, f"{point} was not reached"
        raise AssertionError(f"{point} was not reached")

    # --- what waits --------------------------------------------------------------------------------------------

    def test_what_waits_in_the_socket(self) -> None:
        """Frames that were told to a phone, and are not sent yet when access ends, are never sent."""
        for ending in ENDINGS:
            place = Place()
            who = place.staff[1]
            if ending.timed:
                place.set_end(LASTS_S[0])
            act = Act(self, "waiting", place, who)
            act.run()
            ending.happens(place, who)
            act.wait(lambda act=act: act.out())
            self._loop.call_soon_threadsafe(act.phone.reads.set)
            act.judge(Scene(place, who, (), (), mine=bool, may=bool), over=True)
            assert [one for one in act.phone.seqs(str(place.id)) if one > act.head] == [], ending
            self.on_loop(act.leave())
            place.put_away()


class Unnoticed(Stage):
    """Nobody has looked since access ended: all hints are lost, no worker has run, the next heartbeat is far off."""

    heartbeat_s = 60.0

    def test_the_marks_of_others(self) -> None:
        """They are read anew, under an epoch or at a time for which the permit at hand does not hold."""
        hub = self.hub
        Weather(self._app, 0, dropped=1.0, doubled=0, delay_s=0)
        for ending in ENDINGS:
            place = Place()
            if ending.timed:
                place.set_end(LASTS_S[0])
            act = Act(self, "mark", place, place.staff[1])
            ending.happens(place, act.who)
            self.say(act.patient, type="read", room=str(place.id), seq=act.head)
            mark = Member.objects.filter(room_id=place.id, engagement=None)
            act.wait(lambda mark=mark, act=act: mark.get().read == act.head)
            assert not act.closed(), "else this tests something else"
            self._loop.call_soon_threadsafe(hub.pulse.marks_moved, place.id)
            act.wait(act.closed)
            news = [one for one in act.phone.of("receipt") if one["read"] == act.head]
            assert news == [], (ending, "law 5b")
            self.on_loop(act.leave())
            place.put_away()


def of(path: str) -> list[Point]:
    return [point for point in POINTS if point.path == path]


def may(path: str, place: Place, who: Client) -> bool:
    """Whether what a path reads or writes is for this person now; whoever is a member on record may mark."""
    if path == "mark":
        return Member.objects.get(room_id=place.id, user_id=who.user_id).state == Member.State.JOINED
    return place.inside(who)


class Act:
    """One path of one person's phone, beside the patient's."""

    def __init__(self, case: Stage, path: str, place: Place, who: Client) -> None:
        self._case, self._path, self.place, self.who = case, path, place, who
        self._inside = threading.local()
        self._began, self._over = threading.Event(), threading.Event()
        self.patient = case.socket(place.patient, place)
        self.head = Room.objects.get(id=place.id).head
        self.phone: Phone
        if path != "resume":
            self.phone = case.socket(who, place, takes=path == "waiting")

    def mine(self, _: tuple[Any, ...]) -> bool:
        return getattr(self._inside, "yes", False)

    @contextlib.contextmanager
    def begun(self) -> Iterator[None]:
        """Tells this path's own calls from those of every other reading and hello."""
        owner, name = ENTRIES[self._path]
        original = getattr(owner, name)

        def entry(*args: Any, **kwargs: Any) -> Any:
            if not self._is_entry(repr(args)):
                return original(*args, **kwargs)
            self._inside.yes = True
            self._began.set()
            try:
                return original(*args, **kwargs)
            finally:
                self._inside.yes = False
                self._over.set()

        with mock.patch.object(owner, name, entry):
            yield

    def _is_entry(self, words: str) -> bool:
        if self._over.is_set() or str(self.place.id) not in words:
            return False
        if self._path == "reading":
            return str(self.who.user_id) in words and Room.objects.get(id=self.place.id).head > self.head
        return self._path != "resume" or str(self.who.user_id) in words

    def run(self) -> bool:
        """Whether the path began; its end had not come before it."""
        room = str(self.place.id)
        match self._path:
            case "resume":
                self.phone = self._case.socket(self.who, self.place, cursor=1)
            case "reading":
                self._patient_writes()
            case "post":
                self._case.say(self.phone, type="post", room=room, txn_id="racing", body="underveis")
            case "mark":
                self._case.say(self.phone, type="read", room=room, seq=self.head)
            case "waiting":
                self._case._loop.call_soon_threadsafe(self.phone.reads.clear)
                self._patient_writes()
                self.wait(lambda: bool(self._socket()._outbox))
        if self._path == "waiting":
            return True
        self.wait(lambda: self._began.is_set() or self.closed())
        return self._began.is_set() and self._over.wait(PATIENCE_S)

    def _patient_writes(self) -> None:
        said = {"txn_id": "racing", "body": "fra pasienten"}
        answer = self.place.patient.post(f"{self.place.path}/messages", said)
        assert answer.status_code in (201, 409), answer.content

    def _socket(self) -> Any:
        return next(one for one in self._case.hub.sockets if one.acting and one.user_id == self.who.user_id)

    def wait(self, done: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + patience_s
        while not done():
            assert time.monotonic() < deadline, [frame["type"] for frame in self.phone.frames[-12:]]
            time.sleep(0.01)

    def out(self) -> bool:
        """Whether the hub has noticed."""
        here = [
            one
            for one in self._case.hub.sockets
            if one.acting and one.user_id == self.who.user_id and one.closed is None
        ]
        return all(self.place.id not in one.follows for one in here)

    def closed(self) -> bool:
        """Whether the phone was told: the room is closed, or its session with it."""
        return self.phone.closed is not None or any(
            frame["room"] == str(self.place.id) for frame in self.phone.of("room.closed")
        )

    def judge(self, scene: Scene, *, over: bool) -> None:
        place, room, label = self.place, str(self.place.id), repr(scene.done)
        if over:
            self.wait(self.closed)
        known = len(self.phone.frames)
        member = Member.objects.get(room_id=place.id, engagement=None)
        place.patient.ok("patch", f"{place.path}/members/{member.id}", {"participation": "away"})
        after = Room.objects.get(id=place.id).head
        self._case.on_loop(self.patient.has(room, after))
        if over:
            self._pong()
            first = next((n for n, frame in enumerate(self.phone.frames) if frame["type"] == "room.closed"), known)
            late = [one for one in self.phone.frames[first + 1 :] if room in str(one)]
            own = ("error", "posted")  # answers to what this phone sent itself
            assert [one for one in late if one["type"] not in own] == [], (label, "after room.closed")
        else:
            self._case.on_loop(self.phone.has(room, after))
            assert not self.closed(), (label, "access has not ended")
        seqs = self.phone.seqs(room)
        assert seqs == sorted(set(seqs)), label
        assert [seq for seq in seqs if not place.visible(self.who, seq)] == [], (label, "law 5a")
        assert over == (not place.inside(self.who)), (label, "it did not end, or another's did")
        if over and scene.allowed and (self._path == "resume" or max(seqs, default=0) > self.head):
            assert not seqs or scene.allowed[-1], (label, "law 5b")
        self._judge_written(scene, label)
        place.check_timeline()

    def _judge_written(self, scene: Scene, label: str) -> None:
        """What was committed before is acknowledged, and a retry is told so; what was not, was not sent."""
        if self._path == "mark":
            read = Member.objects.get(room_id=self.place.id, user_id=self.who.user_id).read
            assert read == 0 or any(scene.allowed), (label, "marked by somebody who was out")
        if self._path != "post" or self.phone.closed is not None:
            return
        row = RoomEvent.objects.filter(room_id=self.place.id, txn_id="racing").first()
        assert row is None or self.place.visible(self.who, row.seq), (label, "written after the end")
        assert row is None or scene.allowed[-1], (label, "written after the end")
        self.wait(lambda: bool(self._answers()))
        expected = {"type": "posted", "seq": row.seq} if row is not None else {"type": "error", "code": "not_found"}
        assert self._answers()[0].items() >= expected.items(), (label, self._answers())
        if not self.place.inside(self.who):
            self._case.say(self.phone, type="post", room=str(self.place.id), txn_id="racing", body="underveis")
            self.wait(lambda: len(self._answers()) == 2)
            again = "not_found" if row is None else "ended"
            assert self._answers()[1] == {"type": "error", "code": again, "ref": "racing"}, label

    def _answers(self) -> list[dict[str, Any]]:
        return [one for one in self.phone.of("posted", "error") if "racing" in (one.get("txn_id"), one.get("ref"))]

    def _pong(self) -> None:
        """All that was sent before has come."""
        have = len(self.phone.of("pong"))
        self._case.say(self.phone, type="ping")
        self.wait(lambda: self.phone.closed is not None or len(self.phone.of("pong")) > have)

    async def leave(self) -> None:
        for phone in (self.phone, self.patient):
            self._case._phones.remove(phone)
            await phone.leave()
