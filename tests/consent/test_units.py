"""Units: asked for as a whole or by role, narrowed by the patient, and excluded from a room."""

import json
from uuid import uuid4

from server.audit.entry import SYSTEM
from server.consent.actions import expire
from server.people import actions as people
from server.people.models import User
from tests.base import JSON, Opened, TownTestCase
from tests.consent.base import Consenting, ahead
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class Asked(Consenting, TownTestCase):
    """Sara opens Trine's room and proposes Nils and Ida; then she asks for units instead of people."""

    def given(self) -> None:
        self.room = self.open_room("sara", patient="trine", propose=["nils", "ida"])
        self.answer(self.room, "decline", "trine")

    def ask(self, *grantees: JSON, room: Opened | None = None) -> JSON:
        told: JSON = self.person("sara").ok(
            "post", "consents", {"room": str((room or self.room).id), "grantees": list(grantees)}
        )
        return told

    def named(self, unit: str, **more: str) -> JSON:
        return {"unit": str(self.unit(unit).id), **more}

    def test_a_unit(self) -> None:
        """Whoever is proposed and works there comes in. Red when a grant for a unit covers nobody, or everybody."""
        self.ask(self.named("Akuttmottaket"))
        asked = self.shown(self.room, "trine")
        assert [(one["user"], one["unit_name"], one["role"]) for one in asked["asked"]] == [
            (None, "Akuttmottaket", None)
        ]
        assert "Akuttmottaket (Helse Fjord)" in asked["text"]["first"]
        self.give(self.room, "trine")
        assert self.inside(self.room, "sara", "nils", "ida", "mona") == {"nils", "ida"}

    def test_a_unit_and_a_role(self) -> None:
        """Red when the role of a grant is not compared."""
        nurse = User.objects.create(username="lege1", name="Leif Legesen")
        people.engage(user=nurse, unit=self.unit("Akuttmottaket"), role="lege", health_personnel=True, actor=SYSTEM)
        self.propose(self.room, "sara", "lege1")
        self.answer(self.room, "decline", "trine")
        self.ask(self.named("Akuttmottaket", role="sykepleier"), self.named("Ytre DPS", user=str(self.user_id("sara"))))
        first = self.shown(self.room, "trine")["text"]["first"]
        assert "sykepleier, Akuttmottaket (Helse Fjord)" in first
        self.give(self.room, "trine")
        here = {name: one["state"] for name, one in self.members(self.room, "trine").items()}
        assert here == {"trine": "joined", "sara": "joined", "nils": "joined", "ida": "joined", "lege1": "proposed"}

    def test_whoever_comes_later_from_that_unit_is_in_at_once(self) -> None:
        self.ask(self.named("Akuttmottaket"), self.named("Ytre DPS"))
        self.give(self.room, "trine")
        member = self.propose(self.room, "sara", "mona")
        assert member["state"] == "joined"
        assert self.inside(self.room, "mona") == {"mona"}

    def test_narrowing_to_a_role_and_to_a_person(self) -> None:
        """Law 5. Red when `_narrowed` gives the grant as wide as it was asked."""
        self.ask(self.named("Akuttmottaket"), self.named("Ytre DPS"))
        self.give(self.room, "trine")
        assert self.inside(self.room, "sara", "nils", "ida") == {"sara", "nils", "ida"}
        only_ida = [self.named("Ytre DPS", role="psykolog"), self.named("Akuttmottaket", user=str(self.user_id("ida")))]
        told = self.says(self.room, "change", "trine", grantees=only_ida)
        assert self.inside(self.room, "sara", "nils", "ida") == {"sara", "ida"}
        assert {(one["unit_name"], one["role"], one["name"]) for one in told["grantees"]} == {
            ("Ytre DPS", "psykolog", ""),
            ("Akuttmottaket", None, "Ida Solheim"),
        }
        for wider in (
            self.named("Ytre DPS"),
            self.named("Akuttmottaket"),
            self.named("Ytre DPS", role="teamleder MULI"),
        ):
            answer = self.person("trine").post(f"{self.room.asks}/change", {"grantees": [wider]})
            self.field(answer, "grantees.0", "not_proposed")

    def test_narrowing_already_when_saying_yes(self) -> None:
        self.ask(self.named("Akuttmottaket"))
        self.says(self.room, "give", "trine", grantees=[self.named("Akuttmottaket", user=str(self.user_id("nils")))])
        assert self.inside(self.room, "nils", "ida") == {"nils"}

    def test_a_role_and_a_person_both_count(self) -> None:
        """A nurse who becomes something else is another's colleague."""
        self.ask(self.named("Akuttmottaket", role="sykepleier", user=str(self.user_id("nils"))))
        self.give(self.room, "trine")
        assert self.inside(self.room, "nils", "ida") == {"nils"}
        engagement = self.engagement_of("nils")
        engagement.role = "avdelingsleder"
        engagement.save()
        assert self.inside(self.room, "nils") == set()

    def test_what_is_no_unit(self) -> None:
        """Bad input is a 400 that names the field, never a 500."""
        sara, room = self.person("sara"), str(self.room.id)
        answer = sara.post("consents", {"room": room, "grantees": [self.named("Ytre DPS"), {"unit": str(uuid4())}]})
        self.field(answer, "grantees.1", "unknown_unit")
        for grantees in (
            [str(self.user_id("nils"))],
            [{"user": str(self.user_id("nils"))}],
            [{"unit": None}],
            [{"unit": "x"}],
            [{"unit": str(self.unit("Ytre DPS").id), "role": "x" * 41}],
            [{"unit": str(self.unit("Ytre DPS").id), "user": "x"}],
            [[]],
            [None],
            [7],
            {},
            "x",
            [self.named("Ytre DPS")] * 61,
        ):
            self.refuses(sara.post("consents", {"room": room, "grantees": grantees}), 400, "invalid")
        for role in ("psyk\x00olog", "psyk\ud800olog"):
            said = json.dumps({"room": room, "grantees": [{"unit": str(self.unit("Ytre DPS").id), "role": role}]})
            assert sara.post("consents", said, content_type="application/json").status_code == 400

    def test_a_role_that_nobody_has_and_somebody_who_works_elsewhere(self) -> None:
        """They are words in a consent; nobody fits them."""
        self.ask(self.named("Ytre DPS", role="konge"), self.named("Ytre DPS", user=str(self.user_id("nils"))))
        self.give(self.room, "trine")
        assert self.inside(self.room, "sara", "nils", "mona") == set()


class Excluded(Consenting, TownTestCase):
    """A unit kept out of a room stands in that room's consent."""

    def given(self) -> None:
        self.room = self.open_shared_room()
        self.nav = str(self.unit("NAV Fjordvik oppfølging").id)

    def keep_out(self, *units: str) -> JSON:
        return self.says(self.room, "change", excluded_units=list(units))

    def test_at_once_and_in_this_room_alone(self) -> None:
        """Law 5. Red when rule 3 is left out, or `excluded_units` are kept with no effect on the room."""
        other = self.open_shared_room(purpose="transition")
        told = self.keep_out(self.nav)
        assert told["excluded_units"] == [{"unit": self.nav, "name": "NAV Fjordvik oppfølging"}]
        assert self.inside(self.room, "kari", "frida", "vera") == {"kari", "frida"}
        assert self.inside(other, "vera") == {"vera"}

    def test_it_is_carried_through_every_answer(self) -> None:
        """Until the patient says otherwise. Red when `_over`, `ask` or `_with` begins with fresh terms."""
        self.keep_out(self.nav)
        self.withdraw(self.room)
        assert self.shown(self.room)["excluded_units"] != []
        self.give(self.room)
        assert self.inside(self.room, "kari", "frida", "vera") == {"kari", "frida"}
        self.says(self.room, "renew")
        self.propose(self.room, "kari", "sara")
        self.says(self.room, "change")
        assert self.inside(self.room, "kari", "vera", "sara") == {"kari", "sara"}
        self.says(self.room, "change", until=ahead(seconds=1).isoformat())
        while not expire(consent=self.consent(self.room)):
            pass
        self.answer(self.room, "decline")
        self.open_room()
        self.give(self.room)
        assert [one["unit"] for one in self.shown(self.room)["excluded_units"]] == [self.nav]
        assert self.inside(self.room, "kari", "vera") == {"kari"}

    def test_the_text_of_the_next_question_names_it(self) -> None:
        self.keep_out(self.nav)
        self.withdraw(self.room)
        assert "Ikke med: NAV Fjordvik oppfølging" in self.shown(self.room)["text"]["first"]

    def test_lifted_it_opens_what_the_consent_covers(self) -> None:
        self.keep_out(self.nav)
        told = self.keep_out()
        assert told["excluded_units"] == []
        assert self.inside(self.room, "vera") == {"vera"}

    def test_it_goes_before_a_grant_for_the_same_unit(self) -> None:
        """Red when rule 4 comes before rule 3."""
        told = self.says(
            self.room,
            "change",
            grantees=[str(self.user_id("vera")), str(self.user_id("kari"))],
            excluded_units=[self.nav],
        )
        assert "Vera Haugen" in str(told["grantees"])
        assert self.inside(self.room, "kari", "vera") == {"kari"}

    def test_with_the_first_yes(self) -> None:
        room = self.open_room(purpose="transition")
        self.says(room, "give", excluded_units=[self.nav, self.nav])
        assert self.inside(room, "kari", "vera") == {"kari"}
        assert len(self.shown(room)["excluded_units"]) == 1

    def test_units_that_are_none(self) -> None:
        are = self.person("are")
        answer = are.post(f"{self.room.asks}/change", {"excluded_units": [self.nav, str(uuid4())]})
        self.field(answer, "excluded_units.1", "unknown_unit")
        for units in ("x", [None], ["x"], [[]], {}, None, [self.nav] * 61):
            self.refuses(are.post(f"{self.room.asks}/change", {"excluded_units": units}), 400, "invalid")
        assert self.inside(self.room, "vera") == {"vera"}
