"""A shielded employee: patients read unit, role and one code; officers and the log itself say who it was."""

from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from server.common.clock import now
from server.common.ids import new_id
from server.common.sql import rfc3339
from server.people.models import Controller
from server.review.models import Shield
from tests.base import JSON, Client, Opened, Town
from tests.review.officers import OfficersTestCase

REASON = "Konkrete trusler, anmeldt til politiet."


class ShieldsTestCase(OfficersTestCase):
    """Sara of Ytre DPS reads in Trine's room."""

    room: ClassVar[Opened]

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        town = Town()
        town._arrive()
        cls.room = town.open_shared_room("kari", patient="trine", propose=["sara"])
        town.person("sara").ok("get", f"{cls.room.path}/events")

    def decide(self, by: str | Client = "ola", whom: str = "sara", **more: Any) -> Any:
        """The response."""
        client = self.person(by) if isinstance(by, str) else by
        said = {"user": str(self.user_id(whom)), "reason": REASON, "decided_on": "2026-01-15"}
        return client.post("review/shields", said | more)

    def shield(self, **more: Any) -> JSON:
        answer = self.decide(**more)
        assert answer.status_code == 201, answer.content
        told: JSON = answer.json()
        return told

    def end(self, shield: JSON, by: str = "ola") -> Any:
        return self.person(by).post(f"review/shields/{shield['id']}/end")

    def looks(self) -> list[JSON]:
        """What Trine reads of somebody who read in the room."""
        found = self.person("trine").ok("get", "me/access-log?limit=200")["results"]
        return [one for one in found if one["type"] == "events.viewed"]


class Shields(ShieldsTestCase):
    def test_a_code_in_place_of_the_name(self) -> None:
        """In the list, in the page to print and in JSON Lines. Red when any of them shows name or id."""
        assert "Sara Bergli" in self.looks()[0]["words"]
        code = self.shield()["code"]
        assert self.looks()[0]["who"] == {
            "user": None,
            "name": "",
            "code": code,
            "role": "psykolog",
            "unit": "Ytre DPS",
            "controller": "Helse Fjord",
        }
        trine, secret = self.person("trine"), ("Sara Bergli", str(self.user_id("sara")))
        for path in ("me/access-log?limit=200", "me/access-log/export?form=html", "me/access-log/export?form=jsonl"):
            answer = trine.get(path)
            text = (b"".join(answer) if answer.streaming else answer.content).decode()
            assert f"Ansatt {code} (psykolog, Ytre DPS) leste samtalen. Grunnlag: samtykket ditt." in text, path
            assert not [one for one in secret if one in text], path
            assert "Kari Lunde" in text, "others by their names"

    def test_officers_and_the_log_say_who(self) -> None:
        shield = self.shield()
        self.follow()
        sara = str(self.user_id("sara"))
        assert self.listed(self.person("officer2"), f"actor={sara}")
        [kept] = self.audit(type="review.shield_decided")
        assert (str(kept.object_id), kept.record_ids, kept.basis) == (shield["id"], [sara], "officer")
        assert (shield["name"], shield["reason"], shield["decided_on"]) == ("Sara Bergli", REASON, "2026-01-15")
        assert self.person("officer2").ok("get", "review/shields")["results"] == [shield]
        assert self.audit(type="review.shields_viewed")[-1].actor_id == self.user_id("officer2")

    def test_until_it_is_ended_and_the_code_stays_the_same(self) -> None:
        """Red when a new decision gives the same person a new code, or an end does not show the name."""
        first = self.shield()
        ended = self.end(first, "officer2").json()
        assert (ended["ended_at"] is not None, ended["ended_by"]) == (True, str(self.user_id("officer2")))
        assert self.end(first).json() == ended, "ending it again changes nothing"
        assert self.looks()[0]["who"]["name"] == "Sara Bergli"
        again = self.shield()
        assert again["code"] == first["code"]
        assert self.looks()[0]["who"]["code"] == first["code"]
        assert len(self.audit(type="review.shield_ended")) == 1

    def test_from_when_it_is_valid(self) -> None:
        self.shield(valid_from=rfc3339(now() + timedelta(days=1)))
        assert self.looks()[0]["who"]["name"] == "Sara Bergli"

    def test_only_what_was_done_for_that_employer(self) -> None:
        """Red when a shield is looked up by the person alone."""
        other = Controller.objects.get(name="Fjordvik kommune")
        Shield.objects.create(
            controller=other,
            user_id=self.user_id("sara"),
            code="K7QXWZ",
            reason_sealed=b"x",
            decided_by_id=self.user_id("ola"),
            decided_on="2026-01-15",
            valid_from=now(),
        )
        assert self.looks()[0]["who"]["name"] == "Sara Bergli"

    def test_one_at_a_time(self) -> None:
        self.shield()
        again = self.decide("officer2")
        assert (again.status_code, again.json()["code"]) == (409, "shielded_already")
        kept = Shield.objects.get()
        kept.id = new_id()
        with pytest.raises(IntegrityError), transaction.atomic():
            kept.save(force_insert=True)

    def test_only_the_end_may_be_written_and_once(self) -> None:
        """Red when the migration makes no triggers, or names other columns. What was written is sealed."""
        shield = self.shield()
        kept = Shield.objects.filter(id=shield["id"])
        assert REASON.encode() not in bytes(kept.get().reason_sealed)
        changes: list[dict[str, Any]] = [{"code": "X"}, {"user": self.user_id("mona")}, {"reason_sealed": b"x"}]
        for change in changes:
            with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
                kept.update(**change)
        self.end(shield)
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            kept.update(ended_at=None, ended_by=None)
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            kept.delete()

    def test_nobody_else(self) -> None:
        """Staff, patients, administrators and officers of others; and nobody about themselves."""
        shield = self.shield()
        for name in ("sara", "trine", "admin"):
            for answer in (self.decide(name), self.end(shield, name), self.person(name).get("review/shields")):
                assert (answer.status_code, answer.json()["code"]) == (403, "officer_only"), name
        theirs = self.officer_of("Fjordvik kommune")
        assert theirs.ok("get", "review/shields")["results"] == []
        foreign, missing = theirs.post(f"review/shields/{shield['id']}/end"), self.decide(theirs, "mona")
        nobody = theirs.post("review/shields", {"user": str(new_id()), "reason": REASON, "decided_on": "2026-01-15"})
        assert foreign.status_code == 404
        assert foreign.content == missing.content == nobody.content
        own = self.decide("ola", "ola")
        assert (own.status_code, own.json()["code"]) == (409, "own_shield")
        assert {one.outcome for one in self.audit(type="review.shield_ended")} == {"refused"}

    def test_a_bad_decision(self) -> None:
        for wrong in ({"decided_on": "2999-01-01"}, {"decided_on": "x"}, {"reason": "kort"}, {"user": "x"}):
            answer = self.decide(**wrong)
            assert answer.status_code == 400, wrong
            assert [one["field"] for one in answer.json()["errors"]] == list(wrong)

    def test_a_retry_is_the_same_decision(self) -> None:
        headers = {"Idempotency-Key": "k"}
        said = {"user": str(self.user_id("sara")), "reason": REASON, "decided_on": "2026-01-15"}
        first, again = (self.person("ola").post("review/shields", said, headers=headers) for _ in range(2))
        assert first.json() == again.json()
        assert Shield.objects.count() == 1
