"""`review/events`: an officer finds what concerns their own controller, by every filter, and nothing else."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from server.audit.models import AuditEvent, Leaf, index_of
from server.common.ids import new_id
from server.common.sql import rfc3339
from server.people.models import Relation, User
from server.review.meanings import BASES, OUTCOMES, TYPES
from server.review.models import Line
from server.review.words import DONE, TRIED
from server.vault.models import DataKey
from tests.base import Client
from tests.review.officers import EVENTS, OfficersTestCase

KOMMUNE = "Fjordvik kommune"
PLACES = ("", "/{id}", "/{id}/reveal")


class Week(OfficersTestCase):
    """Are's room in use, and some who tried."""

    def setUp(self) -> None:
        super().setUp()
        self.room = self.open_shared_room()
        self.post(self.room, "vera", "hei")
        self.person("kari").ok("get", f"{self.room.path}/events")
        for name in ("sara", "nils"):
            assert self.person(name).get(f"{self.room.path}/events").status_code == 404
        self.follow()
        self.theirs = self.officer_of(KOMMUNE)

    def lines_of(self, controller: str, **conditions: Any) -> list[str]:
        found = Line.objects.filter(controller_id=self.controller_id(controller), **conditions)
        return [str(one) for one in found.order_by("-at", "-position").values_list("event_id", flat=True)]

    # --- finding ---
    def test_the_staffs_acts_and_the_patients_data(self) -> None:
        """Red when lines of other controllers are listed, or those about its patients are not."""
        are, here = self.patient_id(), self.controller_id(KOMMUNE)
        known = Relation.objects.filter(unit__controller_id=here).values_list("patient_id", "valid_from")
        expected = {
            str(one.id)
            for one in AuditEvent.objects.filter(id__in=Leaf.objects.values("event_id"))
            if one.controller_id == here
            or any(one.subject_id == who and since <= one.at for who, since in known)
            or (one.role == "system" and not (one.controller_id or one.subject_id) and here < one.id)
        }
        listed = self.listed(self.theirs, "limit=200")
        assert {one["id"] for one in listed} == expected
        assert {one["actor"] for one in listed} > {str(self.user_id("sara")), str(self.user_id("vera"))}
        hospital = self.listed(self.person("ola"), "limit=200")
        assert {one["type"] for one in hospital if one["subject"] == str(are)} == {"events.viewed"}, "its own staff's"

    def test_every_filter_alone_and_with_a_period(self) -> None:
        vera = self.engagement_of("vera")
        asked = {
            "actor": ("actor_id", vera.user_id),
            "unit": ("unit_id", vera.unit_id),
            "subject": ("subject_id", self.patient_id()),
            "room": ("room_id", self.room.id),
            "type": ("type", "events.viewed"),
            "basis": ("basis", "consent"),
            "outcome": ("outcome", "refused"),
        }
        middle = AuditEvent.objects.get(type="message.posted").at
        for name, (column, value) in asked.items():
            found = self.lines_of(KOMMUNE, **{column: value})
            listed = self.listed(self.theirs, urlencode({name: value, "limit": 3}))
            assert [one["id"] for one in listed] == found, name
            assert 0 < len(found) < Line.objects.count(), name
            for period, condition in (("from", {"at__gte": middle}), ("to", {"at__lt": middle})):
                some = self.listed(self.theirs, urlencode({name: value, period: rfc3339(middle)}))
                assert [one["id"] for one in some] == self.lines_of(KOMMUNE, **{column: value}, **condition), name

    def test_filters_hold_together_and_a_period_is_half_open(self) -> None:
        sara, at = self.user_id("sara"), AuditEvent.objects.get(type="message.posted").at
        query = {"actor": sara, "outcome": "refused", "type": "events.viewed"}
        (one,) = self.listed(self.theirs, urlencode(query))
        assert (one["actor"], one["subject"], one["room"]) == (str(sara), str(self.patient_id()), str(self.room.id))
        assert self.listed(self.theirs, urlencode(query | {"basis": "consent"})) == []
        posted = {"type": "message.posted"}
        assert len(self.listed(self.theirs, urlencode(posted | {"from": rfc3339(at)}))) == 1
        assert self.listed(self.theirs, urlencode(posted | {"to": rfc3339(at)})) == []
        beyond = rfc3339(at + timedelta(milliseconds=1))
        assert len(self.listed(self.theirs, urlencode(posted | {"from": rfc3339(at), "to": beyond}))) == 1

    def test_pages_stand_still_while_the_log_grows_and_moments_repeat(self) -> None:
        """Red when the cursor is a moment alone, or counts rows."""
        same = AuditEvent.objects.get(type="message.posted").at
        Line.objects.filter(at__gte=same - timedelta(seconds=30)).update(at=same)
        expected = self.lines_of(KOMMUNE)
        page = self.theirs.ok("get", f"{EVENTS}?limit=7")
        found = [one["id"] for one in page["results"]]
        while page["next"]:
            self.follow()  # our own looks, each of them a line
            page = self.theirs.ok("get", page["next"])
            found += [one["id"] for one in page["results"]]
        assert found == expected

    def test_no_name_and_no_detail_is_in_a_list(self) -> None:
        said = str(self.theirs.ok("get", f"{EVENTS}?limit=200")) + str(
            self.theirs.ok("get", f"{EVENTS}/{self.lines_of(KOMMUNE)[0]}")
        )
        for name in [*User.objects.exclude(name="").values_list("name", flat=True), "Are Strandvik"]:
            assert name not in said

    # --- asking wrongly ---
    def test_what_is_not_understood_is_refused(self) -> None:
        wrong = {
            "actor=kari": ("actor", "invalid"),
            "from=yesterday": ("from", "invalid"),
            "from=0001-01-01T00:00:00%2B10:00": ("from", "overflow"),
            "from=2026-05-01T00:00:00Z&to=2026-05-01T00:00:00Z": ("to", "invalid"),
            "outcome=maybe": ("outcome", "invalid_choice"),
            "type=%00": ("type", "invalid"),
            "basis=": ("basis", "blank"),
            "name=Vera": ("name", "unknown"),
            "hvem er det?=1": ("", "unknown"),
            "type=room.opened&type=room.viewed": ("type", "repeated"),
        }
        for query, (field, code) in wrong.items():
            answer = self.theirs.get(f"{EVENTS}?{query}")
            assert answer.status_code == 400, query
            assert (field, code) in {(one["field"], one["code"]) for one in answer.json()["errors"]}, (query, answer)
            assert "hvem er det" not in answer.content.decode()
        for cursor in ("x", "cD0x", "cD0yMDI2LTAxLTAxVDAwOjAwOjAwWi85OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "cD3DuA=="):
            answer = self.theirs.get(f"{EVENTS}?{urlencode({'cursor': cursor})}")
            assert (answer.status_code, answer.json()["code"]) == (400, "cursor"), cursor

    # --- who may ---
    def test_nobody_else_is_let_in(self) -> None:
        event = self.lines_of(KOMMUNE)[0]
        for name in ("kari", "sara", "are", "admin"):
            for place in PLACES:
                answer = self.person(name).get(EVENTS + place.format(id=event))
                assert (answer.status_code, answer.json()["code"]) == (403, "officer_only"), (name, place)
            answer = self.person(name).post(f"{EVENTS}/{event}/reveal", {"reason": "fordi jeg er nysgjerrig"})
            assert (answer.status_code, answer.json()["code"]) == (403, "officer_only"), name
        assert Client().get(EVENTS).status_code == 401
        refused = self.audit(type__startswith="review.", outcome="refused", actor_id=self.user_id("kari"))
        assert [one.reason for one in refused] == ["not_officer"] * 4
        self.person("ola").ok("get", EVENTS)
        self.end_appointment("ola")
        for place in PLACES:
            assert self.person("ola").get(EVENTS + place.format(id=event)).status_code == 401, place

    def test_another_controllers_event_is_as_one_that_never_was(self) -> None:
        foreign = next(one for one in self.lines_of(KOMMUNE, subject_id=self.patient_id(), type="message.posted"))
        missing, ola = str(new_id()), self.person("ola")
        for place in PLACES[1:]:
            answers = [ola.get(EVENTS + place.format(id=id_)) for id_ in (foreign, missing)]
            assert [one.status_code for one in answers] == [404, 404]
            assert answers[0].content == answers[1].content
        reason = {"reason": "Klage fra pasienten."}
        posted = [ola.post(f"{EVENTS}/{id_}/reveal", reason) for id_ in (foreign, missing)]
        assert [one.status_code for one in posted] == [404, 404]
        assert posted[0].content == posted[1].content
        tried = self.audit(type="review.revealed", outcome="refused")
        assert [(str(one.object_id), one.reason) for one in tried] == [(foreign, "foreign"), (missing, "missing")]
        assert tried[0].subject_id == self.patient_id(), "the patient reads that somebody tried"
        assert self.theirs.get(f"{EVENTS}/{foreign}").status_code == 200

    # --- one event ---
    def test_one_event_with_every_code_and_what_they_mean(self) -> None:
        event = AuditEvent.objects.get(type="message.posted")
        said = self.theirs.ok("get", f"{EVENTS}/{event.id}", headers={"accept-language": "en"})
        vera = self.engagement_of("vera")
        assert said["actor"] == {
            "user": str(vera.user_id),
            "controller": str(vera.unit.controller_id),
            "unit": str(vera.unit_id),
            "engagement": str(vera.id),
            "role": vera.role,
            "sign_in": "demo",
        }
        assert (said["subject"], said["room"]) == (str(self.patient_id()), str(self.room.id))
        assert (said["purpose"], said["basis"], said["outcome"]) == ("coordination", "consent", "success")
        assert said["records"] == event.record_ids != []
        assert said["request"] == event.request_id != ""
        place = index_of(Leaf.objects.get(event_id=event.id).position)
        assert said["leaf"] == {"tree": 1, "index": place, "sealed": True}
        assert said["means"] == {
            "type": "Writing a message in a room.",
            "basis": "The patient's consent.",
            "outcome": "It was done, or shown.",
        }
        for language, words in (
            ("nb", "Skriving av en melding i et rom."),
            ("nn", "Skriving av ei melding i eit rom."),
        ):
            said = self.theirs.ok("get", f"{EVENTS}/{event.id}", headers={"accept-language": language})
            assert said["means"]["type"] == words

    # --- looks stand in the log ---
    def test_every_page_is_a_look(self) -> None:
        self.listed(self.theirs, "limit=7")
        looks = self.audit(type="review.events_viewed", actor_id=self.theirs.user_id)
        pages = -(-len(self.lines_of(KOMMUNE)) // 7)
        assert len(looks) == pages
        assert {(one.basis, one.subject_id, one.controller_id) for one in looks} == {
            ("officer", None, self.controller_id(KOMMUNE))
        }
        assert looks[0].detail["count"] == 7
        self.follow()
        again = self.listed(self.theirs, "type=review.events_viewed")
        assert len(again) == pages, "an officer's looks are lines like everybody's"

    def test_a_look_narrowed_to_a_patient_stands_in_the_patients_log(self) -> None:
        query = {"subject": self.patient_id(), "outcome": "refused"}
        self.theirs.ok("get", f"{EVENTS}?{urlencode(query)}")
        (look,) = self.audit(type="review.events_viewed", subject_id=self.patient_id())
        assert look.detail["filters"] == {"subject": str(self.patient_id()), "outcome": "refused"}
        log = self.person("are").ok("get", "me/access-log")["results"]
        assert (log[1]["type"], log[1]["who"]["name"]) == ("review.events_viewed", f"Ombud {KOMMUNE}")
        keys, nobody = DataKey.objects.count(), new_id()
        assert self.listed(self.theirs, f"subject={nobody}") == []
        assert DataKey.objects.count() <= keys + 1, "no key is made for a patient who never was"
        assert not DataKey.objects.filter(owner=nobody).exists()

    # --- what it costs ---
    def test_a_fixed_number_of_statements(self) -> None:
        for query in ("limit=2", "limit=50"):
            self.theirs.ok("get", f"{EVENTS}?{query}")
            with self.assertNumQueries(5):  # session; savepoint, page, log, release
                self.theirs.ok("get", f"{EVENTS}?{query}")
        event = self.lines_of(KOMMUNE)[0]
        with self.assertNumQueries(6):  # session; savepoint, event, log, release; checkpoint
            self.theirs.ok("get", f"{EVENTS}/{event}")


def test_every_type_that_has_words_for_patients_has_words_for_officers() -> None:
    """Red when a type is added in one place and not in the other: both are shown, to different readers."""
    assert sorted((set(DONE) | set(TRIED)) ^ set(TYPES)) == []
    assert set(BASES) > {"self", "consent", "officer"}
    assert set(OUTCOMES) == {"success", "refused"}
