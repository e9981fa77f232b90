"""The walk: each request of the table, by those who are in, by those who are out, by those who wait."""

import json
from collections.abc import Mapping

from django.conf import settings
from django.test import override_settings

from tests.base import Client, TownTestCase
from tests.exposure.asks import OFFICER, Content, Plain
from tests.exposure.paths import WAITING
from tests.exposure.stage import INSIDE, RELATED_STAFF, Answer, Path, Stage, fill, fits, paths_of, undone

NOTHING: frozenset[str] = frozenset()
ELSEWHERE = "Holmen psykisk helse"
"""A unit without a relation to the patient."""
SHORT_S = 2.0
"""Long enough for one request on a loaded machine; what ends so soon is waited for."""
AS_NEW = {"head": 0, "unread": 0, "last_event": None, "next_attended_at": None, "participation": "following"}
NOT_THEIRS = frozenset({"not_found", "consent_missing", "patient_only", "members_only", "ended", "nothing_to_correct"})
NOT_THEIRS |= {"not_yours_to_remove"}
"""Refusals to those who know of a room and wait for it."""


def statutory_grounds_on() -> override_settings:
    """As an installation that has turned a ground on."""
    return override_settings(ENV=settings.ENV.model_copy(update={"statutory_grounds": ["cooperating_staff"]}))


class WalkTestCase(TownTestCase):
    """One stage for all tests of a class. Faults are gathered, and told together when a test ends."""

    stage: Stage

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.stage = Stage()

    def setUp(self) -> None:
        super().setUp()
        self.room, self.ids = self.stage.room, self.stage.ids
        self.known = frozenset(self.ids[name] for name in ("room_id", "consent_id", "patient_name"))
        self.enterContext(statutory_grounds_on())
        for who in (*INSIDE, "are", "sara"):  # before anything that is undone again
            self.person(who)
        self.faults: list[str] = []
        self.real: set[Path] = set()
        self.denied: set[Path] = set()
        self.by_relation: set[Path] = set()
        self._nothing: dict[tuple[Path, str], Answer] = {}

    def tearDown(self) -> None:
        super().tearDown()
        assert not self.faults, f"{len(self.faults)} faults:\n" + "\n".join(self.faults)

    def fault(self, case: str, who: str, path: Path, what: str) -> None:
        query = f"?{path.ask.query}" if path.ask.query else ""
        self.faults.append(f"- {case} · {who} · {path.route}{query}: {what}")

    def ask(self, who: str, client: Client, path: Path, *, missing: bool = False, inside: bool = False) -> Answer:
        """The request as this person would make it, of the room or of what does not exist; it leaves no trace. What has
        to be done first is done by whoever is `inside`, and by others for everybody."""
        ids, first = self.stage.ids_for(who, self.stage.missing if missing else self.ids), path.ask.first
        other = self.person(first.by) if first is not None and first.by else None
        with undone():
            if not missing and (inside or other is not None):
                ids = self.stage.prepare(other or client, path, ids)
            return self.stage.ask(client, path, ids)

    # --- those who are in ---
    def walk_inside(self, case: str, *who: str, otherwise: frozenset[str] = NOTHING) -> None:
        """Each request succeeds, by the first of `who` whom the table allows it. `otherwise`: codes that are no matter
        of access."""
        for path in paths_of(Content):
            person = next((one for one in who if fits(path.ask, one)), None)
            if person is None:
                continue
            answer = self.ask(person, self.person(person), path, inside=True)
            shows = str(fill(path.ask.shows, self.stage.ids_for(person, self.ids)))
            if answer.status < 300 and shows in answer.said:
                self.real.add(path)
            elif answer.kind not in otherwise:
                self.fault(case, person, path, f"is in, and got {answer}")

    # --- those who are out ---
    def walk_outside(
        self,
        case: str,
        who: str,
        client: Client | None = None,
        *,
        author: bool | None = None,
        related: bool | None = None,
        but: frozenset[str] = NOTHING,
        otherwise: Mapping[str, str] | None = None,
    ) -> None:
        """Each request gets the common 404, the same as for what does not exist, or what the table says instead;
        nothing of the room stands in it, and no old answer is given again.

        `author`: whether they may take what they wrote; `related`: whether they may what a relation is enough for;
        `but`: routes that are theirs in this case; `otherwise`: codes that tell nothing, by route.
        """
        client = client or self.person(who)
        author = who in INSIDE if author is None else author
        related = who in RELATED_STAFF if related is None else related
        for path in paths_of(Content):
            answer = self.ask(who, client, path)
            theirs = path.route in but or (path.ask.by_relation and related)
            self.by_relation |= {path} if theirs else set()
            if (otherwise or {}).get(path.route) == answer.kind:
                self._check_silent(case, who, path, answer)
            elif path.ask.for_authors and author:
                self._check_own(case, who, path, answer)
            elif not theirs:
                self._check_denied(case, who, client, path, answer)
            elif answer.kind != "shown":
                self.fault(case, who, path, f"may, and got {answer}")
            else:
                codes = self.stage.codes if path.ask.by == OFFICER else NOTHING
                self._check_silent(case, who, path, answer, self.known | codes | {self.ids["remark"]})
            if (who, path) in self.stage.keys:
                self._check_replayed(case, who, client, path, {path.ask.replayed})

    def walk_gone(self, case: str, who: str, client: Client | None = None) -> None:
        """Each request by somebody whose session has ended is refused for that, in the same words whatever it asks."""
        client, words = client or self.person(who), set()
        for path in paths_of(Content):
            answer = self.ask(who, client, path)
            words.add(answer.compared[1])
            if answer.kind != "unauthenticated" or len(words) > 1:
                self.fault(case, who, path, f"has no session, and got {answer}")

    def walk_waiting(self, case: str, who: str) -> None:
        """Whoever has asked for the room and waits knows of it, and of nothing that is in it but what they wrote."""
        for path in paths_of(Content):
            answer = self.ask(who, self.person(who), path)
            if path.ask.for_authors and who in INSIDE:
                self._check_own(case, who, path, answer)
            else:
                self._check_waiting(case, who, path, answer)
            if (who, path) in self.stage.keys:
                ids, key = self.stage.keys[who, path]
                with undone():
                    answer = self.stage.ask(self.person(who), path, ids, key=key)
                self._check_waiting(f"{case}, an old answer", who, path, answer)

    def walk_bare(self, case: str, who: str) -> None:
        """HEAD and OPTIONS tell whoever is out nothing either."""
        for path in (one for one in paths_of(Content) if one.number == 0):
            for method in ("HEAD", "OPTIONS") if path.method == "GET" else ("OPTIONS",):
                with undone():
                    answer, nothing = (
                        self.stage.ask_bare(self.person(who), method, path, self.stage.ids_for(who, ids))
                        for ids in (self.ids, self.stage.missing)
                    )
                self._check_silent(case, who, path, answer)
                if answer.compared != nothing.compared:
                    self.fault(case, who, path, f"{method} got {answer.compared}; of nothing {nothing.compared}")

    def walk_plain(self, case: str, who: str, *, succeeds: bool = False) -> None:
        """What is said to hold nothing of any room holds nothing of this one. A patient's name may stand there."""
        for path in paths_of(Plain):
            answer = self.ask(who, self.person(who), path)
            self._check_silent(case, who, path, answer, frozenset({self.ids["patient_name"]}))
            if answer.status >= (300 if succeeds and fits(path.ask, who) else 500):
                self.fault(case, who, path, f"is Plain, and got {answer}")

    def _check_denied(self, case: str, who: str, client: Client, path: Path, answer: Answer) -> None:
        if answer.kind not in {"not_found"} | path.ask.otherwise:
            self.fault(case, who, path, f"is out, and got {answer}")
            return
        self.denied.add(path)
        if answer.kind == "waiting":
            self._check_card(case, who, path, answer)
            return
        self._check_silent(case, who, path, answer)
        # What one person is answered of nothing is asked once: another who is answered the same cannot tell either.
        nothing = self._nothing.get((path, answer.kind)) or self.ask(who, client, path, missing=True)
        self._nothing[path, answer.kind] = nothing
        if answer.kind != "absent" and answer.compared != nothing.compared:
            self.fault(case, who, path, f"got {answer.compared}; of nothing {nothing.compared}")

    def _check_own(self, case: str, who: str, path: Path, answer: Answer) -> None:
        """What they wrote themselves, and nothing of anybody else's."""
        own = frozenset({self.stage.words[who], self.stage.more[who]})
        if answer.status != 200 or self.stage.words[who] not in answer.said:
            self.fault(case, who, path, f"may take what they wrote, and got {answer}")
        self._check_silent(case, who, path, answer, own | {self.ids["room_id"]})

    def _check_replayed(self, case: str, who: str, client: Client, path: Path, kinds: set[str]) -> None:
        """An answer that was given while they were in is not given again."""
        ids, key = self.stage.keys[who, path]
        with undone():
            answer = self.stage.ask(client, path, ids, key=key)
        if answer.kind not in kinds:
            self.fault(case, who, path, f"an old answer is given again: {answer}")
        elif answer.kind == "waiting":
            self._check_card(case, who, path, answer)
        else:
            self._check_silent(case, who, path, answer)

    def _check_waiting(self, case: str, who: str, path: Path, answer: Answer) -> None:
        if answer.status >= 300:
            if answer.kind not in NOT_THEIRS | path.ask.otherwise:
                self.fault(case, who, path, f"waits, and got {answer}")
        elif path.route not in WAITING and answer.kind not in path.ask.otherwise:
            self.fault(case, who, path, f"waits, and is answered {answer}")
        elif answer.kind == "waiting":
            self._check_card(case, who, path, answer)
        elif '"state":"active"' in answer.said or '"state":"joined"' in answer.said:
            self.fault(case, who, path, f"waits, and is told who is in: {answer}")
        self._check_silent(case, who, path, answer, self.known | frozenset({self.ids.get(f"member_of_{who}", "-")}))

    def _check_card(self, case: str, who: str, path: Path, answer: Answer) -> None:
        """A room as new: nothing of what has happened in it."""
        told = json.loads(answer.body)
        [card] = [one for one in told.get("results", [told]) if one["id"] == self.ids["room_id"]]
        if any(card[name] != value for name, value in AS_NEW.items()) or card["consent"]["state"] != "requested":
            self.fault(case, who, path, f"the card of a room as new tells more: {answer}")
        self._check_silent(case, who, path, answer, self.known)

    def _check_silent(self, case: str, who: str, path: Path, answer: Answer, known: frozenset[str] = NOTHING) -> None:
        held = [one for one in self.stage.secrets - known if one in answer.said]
        if held:
            self.fault(case, who, path, f"{len(held)} things of the room stand in {answer} {answer.headers}")
