"""Two at once, on real connections (laws 2, 3 and 5): emergency access against itself, an exclusion, a telling."""

from collections.abc import Callable
from functools import partial
from typing import Any

from server.rooms import worker
from server.rooms.models import EmergencyAccess, Room, RoomEvent, Span
from tests.base import TownTransactionTestCase
from tests.rooms.night import DELAY, GROUND, REASON, Night, time_to_tell
from tests.support.threads import at_once


class Races(Night, TownTransactionTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.open_the_room()
        for name in ("nils", "ida", "trine", "kari"):
            self.person(name)

    def check(self) -> None:
        """The timeline has no holes; the patient's intervals lie side by side, one of them open."""
        room = Room.objects.get(id=self.room.id)
        seqs = RoomEvent.objects.filter(room_id=room.id).order_by("seq").values_list("seq", flat=True)
        assert list(seqs) == list(range(1, room.head + 1))
        mine = Span.objects.filter(member__room_id=room.id, member__engagement=None).order_by("first")
        assert [one.until for one in mine][-1] is None
        ends = [one.until for one in mine][:-1]
        assert all(end is not None for end in ends)
        for earlier, later in zip(ends, list(mine)[1:], strict=True):
            assert earlier is not None
            assert earlier <= later.first

    def test_pressed_five_times_at_once(self) -> None:
        """One access, one mark. Red without the room's lock, or when what is open is looked up before it."""
        clients = [self.sign_in("nils") for _ in range(5)]
        said = {"ground": GROUND, "reason": REASON}
        answers = at_once([partial(one.post, f"{self.room.path}/emergency-access", said) for one in clients])
        assert sorted(one.status_code for one in answers) == [200, 200, 200, 200, 201]
        assert len({one.content for one in answers}) == 1
        assert EmergencyAccess.objects.count() == len(self.marks("kari")) == len(self.duties("mona")) == 1
        self.check()

    def test_excluded_in_the_same_moment(self) -> None:
        """Whichever comes first, he is out. Red without `still_open`, or when excluding does not lock the rooms."""
        for _ in range(4):
            begun, _none = at_once([partial(self.begin, "nils"), partial(self.exclude, "nils")])
            assert begun.status_code in (201, 404)
            assert not EmergencyAccess.objects.filter(ended_at=None).exists()
            assert self.status() == 404
            self.person("trine").ok("delete", f"exclusions/{self.user_id('nils')}")
            self.check()

    def test_hidden_while_everybody_writes(self) -> None:
        """Red when an interval is split by what was read before the room's lock."""
        acts: list[Callable[[], Any]] = [
            partial(self.begin, "nils", hide=DELAY),
            partial(self.begin, "ida", hide=DELAY),
            *[partial(self.post, self.room, "kari", f"nr. {number}") for number in range(4)],
            partial(self.post, self.room, "trine", "hei"),
        ]
        at_once(acts)
        at_once([partial(self.end, "nils"), partial(self.end, "ida"), partial(self.post, self.room, "kari", "til")])
        self.check()
        hidden = [one.seq for one in RoomEvent.objects.filter(room_id=self.room.id, type="emergency_access")]
        assert len(hidden) == 4
        seen = [one["seq"] for one in self.events(self.room, "trine")]
        assert sorted([*seen, *hidden]) == list(range(1, Room.objects.get(id=self.room.id).head + 1))

    def test_told_by_two_workers_while_he_ends_it(self) -> None:
        """Told once, and nothing of it is left hidden. Red when `tell` does not look again under the lock."""
        self.begun(hide=DELAY)
        time_to_tell()
        at_once([worker.tick, worker.tick, partial(self.end, "nils")])
        assert sorted(one["act"] for one in self.marks("trine")) == ["begun", "ended", "told"]
        seen = [one["seq"] for one in self.events(self.room, "trine")]
        assert seen == list(range(1, Room.objects.get(id=self.room.id).head + 1))
