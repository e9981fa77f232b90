"""Who sees which events, whatever was done in whatever order: a model beside the product (law 5)."""

from dataclasses import dataclass, field
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from server.people.models import User
from tests.base import JSON, Opened, TownPropertyTestCase

STAFF = ("kari", "frida", "vera", "sara")
ACTS = st.one_of(
    st.tuples(st.just("propose"), st.sampled_from(STAFF), st.sampled_from(STAFF)),
    st.tuples(st.just("post"), st.sampled_from((*STAFF, "are"))),
    st.tuples(st.just("give"), st.none() | st.sets(st.sampled_from(STAFF), min_size=1)),
    st.tuples(st.just("change"), st.none() | st.sets(st.sampled_from(STAFF), min_size=1)),
    st.tuples(st.just("decline")),
    st.tuples(st.just("withdraw")),
    st.tuples(st.just("take out"), st.sampled_from(STAFF)),
    st.tuples(st.just("leave"), st.sampled_from(STAFF)),
    st.tuples(st.just("open again")),
    st.tuples(st.just("participate"), st.sampled_from(("active", "following", "away"))),
)


@dataclass
class Model:
    """What the rules say, in the plainest words: a set of people who are proposed, a set of those whom the consent in
    force covers, and who has been in the room when each event was written."""

    known: set[str] = field(default_factory=set)
    """Proposed or in; not removed."""
    granted: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    """Whom a plain yes would let in."""
    state: str = ""
    inside: set[str] = field(default_factory=set)
    seen: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in STAFF})

    def covered(self) -> set[str]:
        return self.known & self.granted if self.state == "active" else set()

    def ask(self, new: set[str]) -> None:
        waiting = self.asked if self.state in ("requested", "active") else set()
        wanted = (waiting | new) - (self.granted if self.state == "active" else set())
        if self.state in ("requested", "active") and wanted == waiting:
            return
        self.asked = wanted
        self.state = "active" if self.state == "active" else "requested"

    def give(self, people: set[str] | None) -> bool:
        if self.state == "active" and not self.asked:
            return True
        if people is not None and not people <= self.asked:
            return False
        granted = self.granted | (self.asked if people is None else people)
        if not granted:
            return False
        self.state, self.granted, self.asked = "active", granted, set()
        return True

    def change(self, people: set[str] | None) -> bool:
        known = self.granted | self.asked
        if self.state != "active" or (people is not None and not people <= known):
            return False
        self.granted, self.asked = known if people is None else people, set()
        return True

    def decline(self) -> None:
        if self.state == "active":
            self.asked = set()
        elif self.asked and self.state != "declined":
            self.state = "declined"

    def withdraw(self) -> None:
        if self.state != "withdrawn":
            self.state, self.asked, self.granted = "withdrawn", self.granted | self.asked, set()

    def remove(self, name: str, *, by_patient: bool) -> None:
        self.known.discard(name)
        self.asked.discard(name)
        if by_patient and name in self.granted:
            self.granted = self.granted - {name}
            if not self.granted:
                self.withdraw()


class Spans(TownPropertyTestCase):
    """Law 5, through the API. Red when `settle` closes an interval one event too late, opens one at `first` and not at
    the joining, or leaves it open when somebody is taken out."""

    @settings(max_examples=max(10, settings().max_examples // 3))
    @given(st.lists(ACTS, min_size=1, max_size=14))
    def test_everybody_sees_what_was_written_while_they_were_in(self, acts: list[tuple[object, ...]]) -> None:
        self._arrive()
        self.names = {str(id_): name for id_, name in User.objects.values_list("id", "username")}
        room = self.open_room(propose=["frida"])
        model = Model(known={"kari", "frida"}, asked={"kari", "frida"}, state="requested")
        self.read_to = 0
        self._follow(room, model)
        for act in [*acts, ("post", "are"), ("post", "kari")]:
            self._do(room, model, act)
            self._follow(room, model)
        self._compare(room, model)

    def _do(self, room: Opened, model: Model, act: tuple[object, ...]) -> None:
        """Do it to both; they agree on whether it may be done."""
        verb, *rest = act
        whom = str(rest[0]) if rest else ""
        if verb == "propose":
            by, whom = whom, str(rest[1])
            answer = self.person(by).post(f"{room.path}/members", {"user": str(self.user_id(whom))})
            may = by in model.inside or (by == "kari" and "kari" in model.known and model.state != "withdrawn")
            assert (answer.status_code == 201) == may, (act, answer.content)
            if may:
                model.known.add(whom)
                model.ask({whom})
        elif verb == "open again":
            self.person("kari").ok("post", "rooms", {"patient": str(self.patient_id()), "propose": []})
            model.known.add("kari")
            model.ask({"kari"})
        elif verb == "post":
            answer = self.person(whom).post(
                f"{room.path}/messages", {"txn_id": f"{next(self._numbers)}", "body": "hei"}
            )
            may = bool(model.inside) if whom == "are" else whom in model.inside
            assert (answer.status_code == 201) == may, (act, answer.content)
        elif verb in ("give", "change"):
            people = rest[0] if isinstance(rest[0], set) else None
            said = {"grantees": [str(self.user_id(one)) for one in people]} if people is not None else {}
            answer = self.person("are").post(f"{room.asks}/{verb}", said)
            may = model.give(people) if verb == "give" else model.change(people)
            assert (answer.status_code == 200) == may, (act, answer.content)
        elif verb in ("decline", "withdraw"):
            self.answer(room, str(verb))
            getattr(model, str(verb))()
        elif verb == "participate":
            own = self.members(room)["are"]["id"]
            self.person("are").ok("patch", f"{room.path}/members/{own}", {"participation": whom})
        else:
            members = self.members(room)
            by = "are" if verb == "take out" else whom
            id_ = members[whom]["id"] if whom in members else UUID(int=0)
            answer = self.person(by).delete(f"{room.path}/members/{id_}")
            waits = whom == "kari" and whom in model.known and model.state != "withdrawn"
            may = whom in model.known and (by == "are" or whom in model.inside or waits)
            assert (answer.status_code == 204) == may, (act, answer.content)
            if may:
                model.remove(whom, by_patient=by == "are")

    def _follow(self, room: Opened, model: Model) -> None:
        """Give the new events to whoever is in while they are written. Who loses access in this act sees none of them;
        who gains it sees from their own joining on."""
        events = self.events(room, "are", after=self.read_to)
        now = model.covered()
        stay = model.inside & now
        joined: dict[str, int] = {}
        for event in events:
            if event["type"] == "member_joined":
                joined[self.names[event["content"]["user"]]] = event["seq"]
            self.read_to = event["seq"]
        assert set(joined) == now - model.inside, (joined, now, model.inside)
        for event in events:
            for name in stay | {who for who, first in joined.items() if first <= event["seq"]}:
                model.seen[name].append(event["seq"])
        model.inside = now

    def _compare(self, room: Opened, model: Model) -> None:
        everything: list[JSON] = self.events(room, "are")
        assert [one["seq"] for one in everything] == list(range(1, len(everything) + 1))
        by_seq = {one["seq"]: one for one in everything}
        for name in STAFF:
            if name in model.inside:
                assert self.events(room, name) == [by_seq[seq] for seq in model.seen[name]], name
            else:
                assert self.person(name).get(f"{room.path}/events").status_code in (403, 404), name
        consent = self.person("are").ok("get", room.asks)
        assert consent["state"] == model.state
        assert {self.names[one["user"]] for one in consent["asked"]} == model.asked
        assert {self.names[one["user"]] for one in consent["grantees"]} == model.granted
