"""Law 5 over REST: each way for access to end, against each path, at each named point inside it, and in any order.

What ends access is in `interleaving.ENDINGS`; the points are in `POINTS`, and a point that is never reached fails the
test. `tests/gateway/test_interleavings.py` does the same to sockets.

Push is asked again right before it is sent: `tests/rooms/test_notices.py` ends access between what is queued and what
is sent. What else is queued are duties (`server/duties`): the path `reminder` is one of them on its way.

Red when (each tried by hand): `timeline.move_heads` does not compare the epoch, or `fresh_until`; `looks.look` does not
compare the epoch, or `valid_until`; `unchanged` or `looks.receipts` does not compare it; `own_posts.export` does not;
`marks.save` writes for whoever is not a member; `remind` does not compare what it takes.
"""

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

import hypothesis
from hypothesis import Phase, given
from hypothesis import strategies as st

from server.common.clock import now
from server.consent import worker
from server.consent.models import Consent
from server.duties.models import Duty
from server.people.models import Engagement
from server.rooms import looks, marks, overview, own_posts, permits, posting, timeline, writing
from server.rooms.api import own_posts as own_posts_api
from server.rooms.api import rooms as api
from server.rooms.models import Member, RoomEvent
from tests.base import Client, TownTransactionTestCase
from tests.rooms.interleaving import (
    ALL,
    ENDINGS,
    NARROWED,
    OF_EMERGENCY,
    OTHERWISE,
    SQLITE,
    UNIT_EXCLUDED,
    WITHDRAWN,
    YES_AGAIN,
    Ending,
    Place,
    Point,
    Scene,
    Step,
)
from tests.support.served import sqlite_only

pytestmark = sqlite_only

POINTS = (
    Point("post", "nothing is decided", writing, "open_room", after=False),
    Point("post", "the permit is made", writing, "open_room"),
    Point("post", "the body is checked", posting, "check"),
    Point("post", "the number is about to be taken", timeline, "move_heads", after=False, locks=SQLITE, tells=True),
    Point("post", "the number is taken", timeline, "move_heads", locks=ALL),
    Point("post", "written, not committed", posting, "record_many", locks=ALL),
    Point("post", "committed, not answered", writing, "post"),
    Point("edit", "the permit is made", writing, "open_room", locks=SQLITE),
    Point("edit", "the number is about to be taken", timeline, "move_heads", after=False, locks=SQLITE, tells=True),
    Point("edit", "the number is taken", timeline, "move_heads", locks=ALL),
    Point("edit", "committed, not answered", writing, "edit"),
    Point("history", "nothing is decided", looks, "open_room", after=False),
    Point("history", "the permit is made", looks, "open_room"),
    Point("history", "the statement is about to read", timeline, "read", after=False, tells=True),
    Point("history", "the statement has read", timeline, "read"),
    Point("history", "the look is not on record", looks, "record", after=False, locks=SQLITE),
    Point("history", "on record, not answered", looks, "look"),
    Point("list", "the permits are made", permits, "load"),
    Point("list", "the newest is about to be read", overview, "_last_seen", after=False, tells=True),
    Point("list", "all is read", overview, "cards"),
    Point("list", "the look is not on record", looks, "record_many", after=False, locks=SQLITE),
    Point("list", "on record, not answered", looks, "record_cards"),
    Point("card", "the permits are made", permits, "load"),
    Point("card", "the newest is about to be read", overview, "_last_seen", after=False, tells=True),
    Point("card", "all is read", overview, "cards"),
    Point("members", "the permit is made", looks, "open_room", tells=True),
    Point("members", "the list is read", looks, "unchanged", after=False),
    Point("members", "on record, not answered", looks, "members"),
    Point("receipts", "the permit is made", looks, "open_room"),
    Point("receipts", "the list is about to be read", marks, "receipts", after=False, tells=True),
    Point("receipts", "the list is read", marks, "receipts"),
    Point("mark", "the permit is made", api, "open_room"),
    Point("mark", "about to be written", marks, "save", after=False, tells=True),
    Point("mark", "written", marks, "save"),
    Point("mark", "the answer is read", marks, "receipts"),
    Point("own posts", "the permit is made", own_posts, "_right"),
    Point("own posts", "the statement is about to read", own_posts, "_read", after=False, tells=True),
    Point("own posts", "the statement has read", own_posts, "_read"),
    Point("own posts", "the export is not on record", own_posts, "record", after=False, locks=SQLITE),
    Point("own posts", "on record, not answered", own_posts_api, "export"),
)
PATHS: dict[str, Callable[[Place, Client], Any]] = {
    "post": lambda place, who: who.post(f"{place.path}/messages", {"txn_id": "racing", "body": "underveis"}),
    "edit": lambda place, who: who.post(f"{place.path}/events/{own(place, who)}/edit", {"body": "rettet"}),
    "history": lambda place, who: who.get(f"{place.path}/events?after=0"),
    "list": lambda place, who: who.get("rooms"),
    "card": lambda place, who: who.get(place.path),
    "members": lambda place, who: who.get(f"{place.path}/members"),
    "receipts": lambda place, who: who.get(f"{place.path}/receipts"),
    "mark": lambda place, who: who.put(f"{place.path}/read", {"seq": own(place, who)}),
    "own posts": lambda place, who: who.get(f"{place.path}/own-posts"),
}
READING = ("history", "card", "members")
"""What emergency access opens."""
REMINDER = (
    Point("reminder", "found to be due", worker, "_to_remind"),
    Point("reminder", "taken, not written", worker.duties, "owe", after=False, locks=ALL),
)
LASTS_S = (0.3, 1.2, 5.0)
"""How long access lasts that time ends: longer when a point was not reached before that, on a loaded machine."""
EXAMPLES = max(1, hypothesis.settings().max_examples // 25)
ONCE = hypothesis.settings(max_examples=EXAMPLES, phases=[Phase.generate])
"""What fails says which step it was; making it smaller takes minutes and says no more."""


def own(place: Place, who: Client) -> int:
    mine = RoomEvent.objects.filter(room_id=place.id, sender_id=who.user_id, txn_id="before")
    return mine.values_list("seq", flat=True).get()


@dataclass(frozen=True, slots=True)
class Drawn:
    """A step before the place is there: people by number, -1 for who is on the path."""

    point: Point
    ending: Ending
    whom: int = -1


class Interleavings(TownTransactionTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.met: Counter[Point | Ending] = Counter()
        self.several = 0

    # --- each ending at each point -------------------------------------------------------------------------

    def walk(self, path: str, endings: Sequence[Ending] = ENDINGS, *, emergency: bool = False) -> None:
        """Every point and every ending of this path, paired as drawn, and for members the clock alone at every point;
        each is seen to have happened."""
        acts = [one for one in endings if one.waits or emergency]
        alone = list(itertools.product(_of(path), set(endings) - set(acts)))
        count = max(len(_of(path)), len(acts))
        who = st.lists(st.integers(0, 2), min_size=count + len(alone), max_size=count + len(alone))

        @hypothesis.settings(ONCE)
        @given(st.permutations(_of(path)), st.permutations(acts), who)
        def pairs(points: list[Point], acts: list[Ending], people: list[int]) -> None:
            drawn = [
                *itertools.islice(zip(itertools.cycle(points), itertools.cycle(acts), strict=False), count),
                *alone,
            ]
            for (point, ending), number in zip(drawn, people, strict=True):
                self.play(path, number, [Drawn(point, ending)], emergency=emergency)

        pairs()
        assert {repr(one) for one in (*_of(path), *endings) if not self.met[one]} == set(), "never met"

    def test_post(self) -> None:
        self.walk("post")

    def test_edit(self) -> None:
        self.walk("edit")

    def test_history(self) -> None:
        self.walk("history")

    def test_rooms(self) -> None:
        self.walk("list")
        self.walk("card")

    def test_lists(self) -> None:
        self.walk("members")
        self.walk("receipts")

    def test_mark(self) -> None:
        self.walk("mark")

    def test_own_posts(self) -> None:
        self.walk("own posts")

    def test_emergency_access(self) -> None:
        for path in READING:
            self.walk(path, (*OF_EMERGENCY, *OTHERWISE), emergency=True)

    # --- in any order ----------------------------------------------------------------------------------------

    def test_several_in_any_order(self) -> None:
        """Access that ends, is given again, and ends, for one or another, while one path is on its way."""

        @hypothesis.settings(ONCE, max_examples=16 * EXAMPLES)
        @given(st.data())
        def orders(data: st.DataObject) -> None:
            path = data.draw(st.sampled_from(list(PATHS)))
            points = data.draw(st.lists(st.sampled_from(_of(path)), min_size=2, max_size=3))
            if data.draw(st.integers(0, 3)):  # else what comes first in the path happens when it is decided again
                points.sort(key=POINTS.index)
            happens = [data.draw(st.sampled_from(ENDINGS)), data.draw(st.sampled_from((YES_AGAIN, *ENDINGS[:4])))]
            happens.append(data.draw(st.sampled_from((*ENDINGS, YES_AGAIN))))
            people = data.draw(st.lists(st.integers(-1, 2), min_size=3, max_size=3))
            steps = [Drawn(*one) for one in zip(points, happens, people, strict=False)]
            self.play(path, data.draw(st.integers(0, 2)), steps)

        orders()
        assert self.met[YES_AGAIN]
        assert self.several > 4 * EXAMPLES, "too few met more than one ending"

    # --- playing and judging -----------------------------------------------------------------------------------

    def play(self, path: str, number: int, drawn: Sequence[Drawn], *, emergency: bool = False) -> None:
        timed = any(one.ending.timed for one in drawn)
        for lasts_s in LASTS_S:
            place = Place()
            who = place.call_in(lasts_s / 3600 if timed else 4.0) if emergency else place.staff[number]
            people = [*place.staff, who]
            steps = [Step(one.point, one.ending, people[one.whom]) for one in drawn]
            if path in ("edit", "mark", "own posts") and not emergency:
                place.write(who)
            if timed and not emergency:
                place.set_end(lasts_s)
            scene = Scene(place, who, _of(path), steps, mine=_on_this_thread(), may=partial(may, path, place, who))
            nowhere = who.get(f"rooms/{uuid4()}/events").json()
            with scene.played():
                answer = PATHS[path](place, who)
            if answer.status_code >= 300 and answer.json()["code"] != "try_again":
                assert (answer.status_code, answer.json()) == (404, nowhere), (path, scene.done, answer.content)
            self.judge(path, scene, answer, alone=len(drawn) == 1, timed=timed)
            self.met.update([one for step in scene.done for one in (step.point, step.ending)])
            self.several += len(scene.done) > 1
            place.put_away()
            if not (scene.left and timed and len(drawn) == 1):
                break

    def judge(self, path: str, scene: Scene, answer: Any, *, alone: bool, timed: bool) -> None:
        place, who, label = scene.place, scene.who, f"{path}: {scene.done}"
        place.check_timeline()
        good = answer.status_code < 300
        told = seqs(answer) if good else []
        assert [seq for seq in told if not place.visible(who, seq)] == [], (label, "law 5a")
        if scene.allowed and good and (path != "list" or str(place.id) in str(answer.json())):
            assert scene.allowed[-1], (label, "law 5b")
        over = any(step.ending.ends(place, step.whom, who) for step in scene.done)
        later = path == "card" and scene.done and not good and answer.json()["code"] == "try_again"
        assert good or over or timed or later, (label, answer.content, "nobody ended that")
        assert not (alone and scene.done) or place.inside(who) != over, (label, "it did not end, or another's did")
        getattr(self, f"judge_{path.replace(' ', '_')}", lambda *_: None)(label, scene, answer)
        if over and not place.inside(who):
            again = who.get(f"{place.path}/events")
            assert again.status_code in (401, 404), (label, again.content)

    def judge_post(self, label: str, scene: Scene, answer: Any) -> None:
        """Not committed: it was not sent, and nobody has it. Committed: a retry is told that it was received before."""
        place, who = scene.place, scene.who
        row = RoomEvent.objects.filter(room_id=place.id, txn_id="racing").first()
        assert (row is not None) == (answer.status_code == 201), label
        assert row is None or place.visible(who, row.seq), (label, "written after the end")
        if not place.inside(who):
            again = PATHS["post"](place, who)
            if again.status_code != 401:
                expected = (404, "not_found") if row is None else (409, "ended")
                assert (again.status_code, again.json()["code"]) == expected, label
            assert RoomEvent.objects.filter(room_id=place.id, txn_id="racing").count() == (row is not None)

    def judge_edit(self, label: str, scene: Scene, answer: Any) -> None:
        row = RoomEvent.objects.filter(room_id=scene.place.id, type="edit").first()
        assert (row is not None) == (answer.status_code == 201), label
        assert row is None or scene.place.visible(scene.who, row.seq), (label, "written after the end")

    def judge_mark(self, label: str, scene: Scene, answer: Any) -> None:
        read = Member.objects.get(room_id=scene.place.id, user_id=scene.who.user_id).read
        assert read == 0 or any(scene.allowed), (label, "marked by somebody who was out")

    def judge_own_posts(self, label: str, scene: Scene, answer: Any) -> None:
        mine = {own(scene.place, scene.who)}
        assert answer.status_code >= 300 or set(seqs(answer)) == mine, label

    # --- what is queued ----------------------------------------------------------------------------------------

    def test_reminder(self) -> None:
        """A telling on its way to the patient, `your yes ends soon`: not once they have taken it back."""
        endings = (WITHDRAWN, NARROWED, UNIT_EXCLUDED)

        @hypothesis.settings(ONCE)
        @given(st.permutations(list(itertools.product(REMINDER, endings))))
        def orders(pairs: list[tuple[Point, Ending]]) -> None:
            for point, ending in pairs:
                self.remind(point, ending)

        orders()
        assert all(self.met[one] for one in (*REMINDER, *endings))

    def remind(self, point: Point, ending: Ending) -> None:
        place = Place()
        Consent.objects.filter(id=place.consent).update(remind_at=now())
        steps = [Step(point, ending, place.staff[1])]
        scene = Scene(place, place.patient, REMINDER, steps, mine=_on_this_thread(), may=lambda: True)
        with scene.played():
            worker.tick()
        owed = Duty.objects.filter(object_id=place.consent, kind="consent_ending")
        first = point is REMINDER[1]
        assert scene.left == []
        assert owed.count() == (1 if first or ending is not WITHDRAWN else 0), (scene.done, "law 5: queued, not sent")
        self.met.update([point, ending])
        place.put_away()


def _of(path: str) -> list[Point]:
    return [point for point in POINTS if point.path == path]


def _on_this_thread() -> Callable[[tuple[Any, ...]], bool]:
    here = threading.get_ident()
    return lambda args: threading.get_ident() == here


def may(path: str, place: Place, who: Client) -> bool:
    """Whether what a path tells is for this person now. One's own posts stay one's own for days, unless one is excluded
    or no longer works there; and whoever is a member on record may mark."""
    if path == "own posts":
        at_work = Engagement.objects.current().filter(user_id=who.user_id).exists()
        return at_work and not place.excluded(who)
    if path == "mark":
        return Member.objects.get(room_id=place.id, user_id=who.user_id).state == Member.State.JOINED
    return place.inside(who)


def seqs(answer: Any) -> list[int]:
    said = answer.json()
    return [one["seq"] for one in said.get("results", [said]) if "seq" in one]
