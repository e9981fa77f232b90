"""Trine's week: she is asked, decides, changes her mind, shuts one person out, is helped at night, stops sharing; and
Ola's Monday after it. Through the API alone, as her phone and his desk do it."""

import hashlib
import json

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.base import JSON, Opened, TownTestCase


class TrinesWeek(TownTestCase):
    def overview(self) -> dict[str, JSON]:
        """Who may take part, as she sees it; by form."""
        return {one["form"]: one for one in self.person("trine").ok("get", "consents")["results"]}

    def may_read(self, name: str, room: Opened) -> bool:
        return bool(self.person(name).get(f"{room.path}/events").status_code == 200)

    def readers(self, room: Opened) -> set[str]:
        return {name for name in ("kari", "sara", "mona", "nils", "vera") if self.may_read(name, room)}

    def duties(self, name: str) -> dict[str, JSON]:
        return {one["kind"]: one for one in self.person(name).ok("get", "duties")["results"]}

    def test_her_week(self) -> None:
        trine = self.person("trine")

        # Monday: Kari opens a room and asks for Sara and Mona, in one call (S2); nobody is told anything (S3).
        room = self.open_room("kari", patient="trine", propose=["sara", "mona"])
        asked = self.overview()["room"]
        assert {one["name"] for one in asked["asked"]} == {"Kari Lunde", "Sara Bergli", "Mona Lierud"}
        assert asked["grantees"] == []
        assert asked["text"]["yes"] == "Ja"
        assert asked["text"]["no"] == "Nei"
        assert self.readers(room) == set()

        # She says yes to two of the three, on the text that she read.
        self.answer_on(room, "give", asked["text"]["sha256"], ["kari", "sara"])
        assert self.readers(room) == {"kari", "sara"}
        said = self.overview()["room"]["sentence"]
        assert "Kari Lunde" in said
        assert "Mona" not in said
        self.post(room, "trine", "hils søsteren min")

        # Tuesday: the MULI team asks too; that is another consent, for units.
        dps, ward = self.engagement_of("mona").unit, self.engagement_of("nils").unit
        grantees = [{"unit": str(dps.id)}, {"unit": str(ward.id)}]
        body = {"patient": str(self.patient_id("trine")), "form": "muli", "grantees": grantees}
        enrolment = self.person("mona").ok("post", "consents", body)
        trine.ok("post", f"consents/{enrolment['id']}/give", {})
        assert self.overview()["muli"]["state"] == "active"
        assert self.overview()["muli"]["withdrawal"] != self.overview()["room"]["withdrawal"]

        # Wednesday: something was said at the DPS; Sara is to have no part in anything any more.
        trine.ok("post", "exclusions", {"user": str(self.user_id("sara"))})
        assert self.readers(room) == {"kari"}
        assert self.person("sara").get(room.path).json()["code"] == "not_found"

        # Thursday, ten past two: Nils has her before him. He finds the room, says why, and reads.
        (found,) = self.person("nils").ok("get", f"patients/{self.patient_id('trine')}/rooms")["results"]
        assert found["id"] == str(room.id)
        why = {"ground": "life_danger", "reason": "Funnet bevisstløs, planen trengs"}
        begun = self.person("nils").ok("post", f"{room.path}/emergency-access", why)
        assert "hils søsteren min" in str(self.events(room, "nils"))
        wrote = self.person("nils").post(f"{room.path}/messages", {"txn_id": "n", "body": "hei"})
        assert (wrote.status_code, wrote.json()["code"]) == (403, "read_only")
        refused = self.person("sara").post(f"{room.path}/emergency-access", why)
        assert refused.json()["code"] == "not_found", "whom she shut out stays out, even then (L3)"
        assert self.person("nils").delete(f"{room.path}/emergency-access").status_code == 204
        assert self.readers(room) == {"kari"}

        # Friday: she sees it, in the room and in her log, and Mona has been told.
        marks = [one["content"] for one in self.events(room, "trine") if one["type"] == "emergency_access"]
        assert [one["act"] for one in marks] == ["begun", "ended"]
        log = trine.ok("get", "me/access-log")["results"]
        assert any(one["type"] == "emergency_access.begun" and one["who"]["name"] == "Nils Dahle" for one in log)
        assert "emergency_used" in self.duties("trine")
        assert "emergency_told" in self.duties("mona")

        # She has had enough of the room, not of help: it stops at once, and somebody who knows her is to call.
        trine.ok("post", f"{room.asks}/withdraw", {"remark": "jeg stoler ikke på dette nå"})
        assert self.readers(room) == set()
        assert self.overview()["muli"]["state"] == "active"
        assert self.duties("kari")["offer_call"]["patient"] == str(self.patient_id("trine"))
        late = self.person("kari").post(f"{room.path}/messages", {"txn_id": "k", "body": "er du der?"})
        assert late.status_code == 404
        assert "ikke sendt" in late.json()["detail"]
        self.post_for_the_record(room)

        # She keeps a receipt, and anybody can verify it without us.
        page = trine.get(f"{room.asks}/receipt")
        assert page.status_code == 200
        assert "jeg stoler ikke på dette nå" in page.content.decode()
        self.verified(trine.ok("get", f"{room.asks}/history"))

        # Monday after: Ola's desk has one open review, and it stays until he has answered it in words.
        review = self.duties("ola")["emergency_review"]
        assert review["object"] == begun["id"]
        ola = self.person("ola")
        assert ola.post(f"duties/{review['id']}/done", {}).json()["code"] == "answer_needed"
        ola.ok("post", f"duties/{review['id']}/done", {"answer": "Vurdert og i orden."})
        assert "emergency_review" not in self.duties("ola")

    def answer_on(self, room: Opened, verb: str, shown: str, people: list[str]) -> None:
        said = {"text_sha256": shown, "grantees": [str(self.user_id(one)) for one in people]}
        self.person("trine").ok("post", f"{room.asks}/{verb}", said)

    def post_for_the_record(self, room: Opened) -> None:
        """What Kari wrote herself is hers to keep in her own record, and nothing else is."""
        exported = self.person("kari").ok("get", f"{room.path}/own-posts")
        assert "søsteren" not in str(exported)
        assert exported["until"]

    def verified(self, history: JSON) -> None:
        """The seals, with a library that knows nothing of us."""
        assert history["sound"]
        assert [one["act"] for one in history["results"]] == ["requested", "given", "withdrawn"]
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(history["seal_key"]))
        before = None
        for version in history["results"]:
            sealed = version["document"].encode()
            key.verify(bytes.fromhex(version["signature"]), sealed)
            document = json.loads(sealed)
            assert rfc8785.dumps(document) == sealed
            assert document["previous"] == before
            assert hashlib.sha256(version["text"].encode()).hexdigest() == document["text"]["sha256"]
            before = hashlib.sha256(sealed).hexdigest()
