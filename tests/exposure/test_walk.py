"""Every path that shows something of a room, walked by those whose access has ended and by strangers (laws 4 and 5).

Each request is first made by those who are in, so that it is a real one, and once more, while somebody is out, by
somebody who is still in. Whoever is out gets the common 404, byte for byte what a room that does not exist gets.
"""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.common.sql import rfc3339
from server.consent import worker
from server.people import actions as people
from server.people.models import Agreement, Unit
from tests.base import Client
from tests.exposure.asks import OFFICER, Content
from tests.exposure.paths import ROUTES
from tests.exposure.stage import INSIDE, paths_of, undone
from tests.exposure.walk import ELSEWHERE, SHORT_S, WalkTestCase

pytestmark = pytest.mark.prove


def of_officers() -> frozenset[str]:
    """Routes that show an officer what concerns their own controller."""
    return frozenset(route for route, one in ROUTES.items() if isinstance(one, Content) and one.asks[0].by == OFFICER)


class InsideAndOutside(WalkTestCase):
    """Those who are in, strangers, and those whose emergency access is over.

    Red when `open_consent` asks nobody's concern, when `duties.access.mine` filters by no owner, when a refusal is a
    403, or when a 404 carries the id of its request.
    """

    def test_those_who_are_in_get_everything(self) -> None:
        """Each request of the walk is a real one."""
        for who in ("kari", "vera", "are", "sara", "ola"):
            self.walk_inside("in", who)
        assert self.real == set(paths_of(Content))

    def test_what_is_plain_holds_nothing_even_for_them(self) -> None:
        self.walk_plain("in", "kari", succeeds=True)
        self.walk_plain("privacy officer", "ola", succeeds=True)
        self.walk_plain("in", "are")

    def test_who_has_never_been_in(self) -> None:
        self.walk_outside("proposed", "nils")
        self.walk_outside("has a relation", "sara")
        self.walk_outside("has none", "ida")
        self.walk_outside("privacy officer", "ola", but=of_officers())
        self.walk_outside("administrator", "admin")
        self.walk_outside("another patient", "trine")
        assert self.denied | self.by_relation == set(paths_of(Content))

    def test_without_a_session(self) -> None:
        self.walk_gone("nobody", "ida", Client())

    def test_other_methods_and_what_is_plain(self) -> None:
        self.walk_bare("proposed", "nils")
        self.walk_plain("proposed", "nils")

    def test_who_has_asked_and_waits(self) -> None:
        self.walk_waiting("waits", "mona")

    def begin(self, who: str) -> None:
        """They are in, to read."""
        answer = self.ask_for_access(who)
        assert answer.status_code == 201, answer.content
        assert self.stage.words["vera"] in str(self.events(self.room, who))

    def ask_for_access(self, who: str) -> Any:
        said = {"ground": "life_danger", "reason": "funnet bevisstløs"}
        path = f"{self.room.path}/emergency-access"
        return self.person(who).post(path, said, headers={"Idempotency-Key": "night"})

    def test_emergency_access_that_is_over(self) -> None:
        """By hand, by the clock before the worker has noticed, and because the patient excludes them."""
        with undone():
            self.begin("sara")
            self.person("sara").ok("delete", f"{self.room.path}/emergency-access")
            assert self.ask_for_access("sara").status_code == 404, "an old answer is not given again"
            self.walk_outside("emergency access ended", "sara")
        with undone():
            self.begin("sara")
            self.person("are").ok("post", "exclusions", {"user": self.ids["user_of_sara"]})
            self.walk_outside("excluded from emergency access", "sara", related=False)
        with self.settings(ENV=settings.ENV.model_copy(update={"emergency_hours": SHORT_S / 3600})):
            self.begin("sara")
        time.sleep(SHORT_S)
        self.walk_outside("emergency access has run out", "sara")


class Former(WalkTestCase):
    """Members whose access has ended, each way that there is; each has been answered everything while they were in.

    Red when `rooms.access.fits` answers true, when a card needs no permit, or when a recheck is left out.
    """

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        for who in INSIDE:
            cls.stage.remember(who)

    def ask_again(self, who: str) -> None:
        self.person(who).ok("post", "rooms", {"patient": self.ids["patient_id"], "propose": []})

    def test_withdrawn(self) -> None:
        """Frida is asked to offer a call, and is told in which room (M4)."""
        self.withdraw(self.room)
        self.walk_outside("withdrawn", "kari")
        self.walk_outside("withdrawn", "frida", but=frozenset({"GET duties"}))

    def test_withdrawn_and_asks_again(self) -> None:
        self.withdraw(self.room)
        self.ask_again("kari")
        self.walk_waiting("withdrawn, and asks again", "kari")

    def test_run_out(self) -> None:
        """Before the worker has noticed, and after; the first who asks for the room again notices."""
        soon = rfc3339(now() + timedelta(seconds=SHORT_S))
        self.person("are").ok("post", f"{self.room.asks}/change", {"until": soon})
        time.sleep(SHORT_S)
        unnoticed = "has run out, and nobody has noticed"
        self.walk_outside(unnoticed, "kari", author=False, otherwise={"POST rooms": "try_again"})
        worker.tick()
        self.walk_outside("has run out", "kari")

    def test_narrowed(self) -> None:
        self.change(self.room, to=["frida"])
        self.walk_outside("narrowed", "kari")
        self.walk_outside("narrowed", "vera")
        self.walk_inside("narrowed", "frida", "are", otherwise=frozenset({"nothing_to_correct"}))

    def test_narrowed_and_asks_again(self) -> None:
        self.change(self.room, to=["frida"])
        self.ask_again("kari")
        self.walk_waiting("narrowed, and asks again", "kari")

    def test_taken_out(self) -> None:
        self.person("are").ok("delete", f"{self.room.path}/members/{self.ids['member_of_vera']}")
        self.walk_outside("taken out", "vera")

    def test_left(self) -> None:
        """Whoever left and is covered still is in again once they ask for the room."""
        self.person("kari").ok("delete", f"{self.room.path}/members/{self.ids['member_of_kari']}")
        self.walk_outside("left", "kari", but=frozenset({"POST rooms"}))

    def test_engagement(self) -> None:
        """Back in the same unit the consent covers them, once they ask for the room."""
        frida, elsewhere = self.engagement_of("frida"), Unit.objects.get(name=ELSEWHERE)
        with undone():
            other = people.engage(user=frida.user, unit=elsewhere, role="lege", health_personnel=True, actor=SYSTEM)
            self.person("frida").ok("post", "me/engagement", {"engagement": str(other.id)})
            self.walk_outside("acts for another engagement", "frida", author=False, related=False)
        people.end_engagement(engagement_id=frida.id, actor=SYSTEM, reason="left")
        self.walk_gone("engagement ended", "frida")
        for unit, theirs in ((elsewhere, set()), (frida.unit, {"POST rooms"})):
            with undone():
                people.engage(user=frida.user, unit=unit, role="fastlege", health_personnel=True, actor=SYSTEM)
                anew, related = self.sign_in("frida"), unit == frida.unit
                case, but = f"engaged anew, {unit.kind}", frozenset(theirs)
                self.walk_outside(case, "frida", anew, author=False, related=related, but=but)

    def test_agreement(self) -> None:
        people.end_agreement(agreement_id=Agreement.objects.get().id, actor=SYSTEM, reason="expired")
        self.walk_outside("agreement ended", "frida")

    def test_account(self) -> None:
        people.deactivate_user(user_id=self.user_id("vera"), actor=SYSTEM, reason="left")
        self.walk_gone("account closed", "vera")


class Excluded(WalkTestCase):
    """Those whom the patient has excluded: as persons, or with their unit.

    Red when own posts or emergency access do not look at exclusions.
    """

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.stage.remember("kari")

    def exclude(self, who: str) -> None:
        self.person("are").ok("post", "exclusions", {"user": str(self.user_id(who))})

    def test_as_persons(self) -> None:
        """Neither a relation nor a statute opens anything to them, nor a new yes that names them."""
        for who in ("kari", "vera"):
            self.exclude(who)
            self.walk_outside("excluded", who, author=False, related=False)
        self.walk_inside("others are excluded", "frida", "are")

    def test_after_a_withdrawal_and_a_new_yes(self) -> None:
        self.exclude("kari")
        self.withdraw(self.room)
        self.give(self.room)
        self.walk_outside("excluded, and the consent is given anew", "kari", author=False, related=False)

    def test_their_duties(self) -> None:
        """Nobody who is excluded is asked to offer a call."""
        self.withdraw(self.room)
        self.exclude("frida")
        self.walk_outside("excluded, and has a duty", "frida", author=False, related=False)

    def test_with_their_unit(self) -> None:
        unit = str(self.engagement_of("kari").unit_id)
        self.person("are").ok("post", f"{self.room.asks}/change", {"excluded_units": [unit]})
        self.walk_outside("their unit is excluded", "kari")
