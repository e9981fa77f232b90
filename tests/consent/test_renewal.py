"""A new end before the old one has come, an end of the patient's own choosing, and the reminder in between."""

from datetime import UTC, datetime, timedelta
from unittest import mock

from server.common.clock import now
from server.consent import worker
from server.consent.models import Consent
from server.people.models import Patient
from tests.base import JSON, TownTestCase
from tests.consent.base import Consenting, ahead, faults
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class Renewal(Consenting, TownTestCase):
    def given(self) -> None:
        with mock.patch("server.consent.actions.end_of", lambda at, *_: at + timedelta(days=100)):
            self.room = self.open_shared_room()
        self.path = f"{self.room.asks}/renewal"

    def end(self) -> datetime:
        return datetime.fromisoformat(self.shown(self.room)["until"])

    def test_the_end_moves_and_nothing_else(self) -> None:
        """Red when a renewal lets in who waits, begins anew, or keeps the old end."""
        self.propose(self.room, "kari", "sara")
        before = self.shown(self.room)
        text = self.person("are").ok("get", self.path)
        assert "Sara" not in text["first"], "nobody is let in by it who was not"
        told = self.says(self.room, "renew", text_sha256=text["sha256"])
        assert self.end() - datetime.fromisoformat(before["until"]) > timedelta(days=200)
        assert (told["since"], told["grantees"]) == (before["since"], before["grantees"])
        assert self.inside(self.room, "kari", "frida", "vera", "sara") == {"kari", "frida", "vera"}
        renewed, asked = self.history(self.room.consent)["results"][-2:]
        assert (renewed["act"], renewed["text_sha256"]) == ("renewed", text["sha256"])
        assert renewed["text"] == f"{text['first']}\n\n{text['more']}"
        assert (asked["act"], asked["method"], "Sara Bergli" in asked["text"]) == ("requested", "clock", True)
        assert Consent.objects.get(id=self.room.consent).ends_at == self.end()
        assert faults(self.room.consent) == set()

    def test_who_waits_is_asked_for_again_in_words_that_name_them(self) -> None:
        """Nobody says yes to what they have not read. Red when the text of a renewal is what a later yes goes by."""
        self.propose(self.room, "kari", "sara")
        self.says(self.room, "renew")
        shown = self.shown(self.room)
        assert [one["name"] for one in shown["asked"]] == ["Sara Bergli"]
        assert "Sara Bergli" in shown["text"]["first"]
        assert self.end().strftime("%Y") in shown["text"]["first"]
        self.says(self.room, "change", text_sha256=shown["text"]["sha256"])
        assert self.inside(self.room, "sara") == {"sara"}
        self.says(self.room, "renew")
        assert self.history(self.room.consent)["results"][-1]["act"] == "renewed", "and nobody where nobody waits"

    def test_the_text_names_the_end_that_a_yes_would_give(self) -> None:
        text = self.person("are").ok("get", self.path)
        shown = self.shown(self.room)["text"]
        assert text["sha256"] != shown["sha256"]
        assert set(text) == {"form", "version", "language", "first", "more", "yes", "no", "sha256"}
        year = str((now() + timedelta(days=360)).year)
        assert year in text["first"]

    def test_nobody_says_yes_to_what_they_have_not_read(self) -> None:
        """Red when `renew` compares nothing, or compares with the old text."""
        shown = self.shown(self.room)["text"]["sha256"]
        self.refuses(self.person("are").post(f"{self.room.asks}/renew", {"text_sha256": shown}), 409, "text_changed")
        text = self.person("are").ok("get", self.path)["sha256"]
        self.change(self.room, to=["kari"])
        self.refuses(self.person("are").post(f"{self.room.asks}/renew", {"text_sha256": text}), 409, "text_changed")
        for sha in ("x", "A" * 64, None, 7):
            self.refuses(self.person("are").post(f"{self.room.asks}/renew", {"text_sha256": sha}), 400, "invalid")

    def test_only_what_is_in_force(self) -> None:
        asked = self.open_room(purpose="transition")
        self.withdraw(self.room)
        for room in (asked, self.room):
            self.refuses(self.person("are").post(f"{room.asks}/renew", {}), 409, "not_active")
            self.refuses(self.person("are").get(f"{room.asks}/renewal"), 409, "not_active")

    def test_only_the_patient(self) -> None:
        for name, status, code in (
            ("kari", 403, "patient_only"),
            ("sara", 404, "not_found"),
            ("trine", 404, "not_found"),
        ):
            self.refuses(self.person(name).post(f"{self.room.asks}/renew", {}), status, code)
            self.refuses(self.person(name).get(self.path), status, code)

    def test_what_stands_beside_the_end_is_named_too(self) -> None:
        """Red when `offer` leaves out units that are kept out, or the range of content."""
        self.says(self.room, "change", excluded_units=[str(self.unit("NAV Fjordvik oppfølging").id)])
        self.says(self.room, "change", content={"start": "2026-01-02T12:00:00Z", "end": None})
        first = self.person("are").ok("get", self.path)["first"]
        assert "Ikke med: NAV Fjordvik oppfølging" in first
        assert "02.01.2026" in first

    # --- an end of one's own ---
    def test_an_earlier_end(self) -> None:
        until = ahead(days=3)
        told = self.says(self.room, "change", until=until.isoformat())
        assert datetime.fromisoformat(told["until"]) == until
        assert len(told["grantees"]) == 3, "and nobody else comes or goes"
        room = self.open_room(purpose="transition")
        told = self.says(room, "give", until=until.isoformat())
        assert datetime.fromisoformat(told["until"]) == until

    def test_never_a_later_one_nor_one_that_has_been(self) -> None:
        """Red when `earlier_end` lets through what the text does not name."""
        are, end = self.person("are"), self.end()
        asked = self.open_room(purpose="transition")
        offered = datetime.fromisoformat(self.shown(asked)["until"])
        for path, at in (
            (f"{self.room.asks}/change", end + timedelta(seconds=1)),
            (f"{self.room.asks}/change", now() - timedelta(seconds=1)),
            (f"{asked.asks}/give", offered + timedelta(seconds=1)),
            (f"{asked.asks}/give", now() - timedelta(days=1)),
        ):
            self.field(are.post(path, {"until": at.isoformat()}), "until", "out_of_range")
        self.says(self.room, "change", until=end.isoformat())
        for until in ("x", 7, [], "9999-12-31T23:59:59Z", "2027-02-30T00:00:00Z"):
            self.refuses(are.post(f"{self.room.asks}/change", {"until": until}), 400, "invalid")

    def test_an_earlier_end_comes(self) -> None:
        """Nobody needs to look, and nobody needs a worker."""
        self.says(self.room, "change", until=ahead(seconds=1).isoformat())
        assert self.inside(self.room, "kari") == {"kari"}
        while now() < self.end():
            pass
        assert self.inside(self.room, "kari", "frida", "vera") == set()
        assert self.shown(self.room)["state"] == "active", "not on record yet"
        worker.tick()
        assert self.shown(self.room)["state"] == "expired"
        self.refuses(self.person("are").post(f"{self.room.asks}/renew", {}), 409, "not_active")


class Reminders(Consenting, TownTestCase):
    """The patient is told before the end, once for each end."""

    def given(self) -> None:
        self.room = self.open_shared_room()

    def ends(self, days: float) -> None:
        self.says(self.room, "change", until=ahead(days=days).isoformat())

    def days_before(self, id_: object) -> float:
        row = Consent.objects.get(id=id_)
        assert row.ends_at is not None
        assert row.remind_at is not None
        return (row.ends_at - row.remind_at) / timedelta(days=1)

    def its_time_comes(self) -> None:
        Consent.objects.filter(remind_at__isnull=False).update(remind_at=now())

    def reminded(self) -> list[JSON]:
        worker.tick()
        return [one for one in self.person("are").ok("get", "duties")["results"] if one["kind"] == "consent_ending"]

    def test_as_many_days_before_as_the_form_says(self) -> None:
        """And of a short one its last quarter. Red when the form's days are not asked."""
        for days, before in ((365, 14), (57, 14), (56, 14), (40, 10), (4, 1)):
            if days < 365:
                self.ends(days)
            assert abs(self.days_before(self.room.consent) - before) < 0.01, days

    def test_what_it_says_and_when(self) -> None:
        """Red when it comes early, or does not say which."""
        assert self.reminded() == []
        self.its_time_comes()
        [told] = self.reminded()
        assert (told["object"], told["room"], told["code"]) == (str(self.room.consent), str(self.room.id), "room")
        until = datetime.fromisoformat(self.shown(self.room)["until"])
        assert datetime.fromisoformat(told["due_at"]) == until
        [event] = self.audit(type="duty.owed", reason="consent_ending")
        assert (event.subject_id, event.actor_id) == (self.patient_id(), None)
        assert faults(self.room.consent) == set()

    def test_once_for_each_end(self) -> None:
        """Red when `remind` does not write down that it has, or an end that was moved keeps the reminder of the old."""
        self.its_time_comes()
        for _ in range(3):
            assert len(self.reminded()) == 1
        self.says(self.room, "renew")
        assert self.reminded() == [], "a year on there is nothing to say"
        self.its_time_comes()
        assert len(self.reminded()) == 1

    def test_another_act_does_not_bring_it_again(self) -> None:
        """Red when every version sets the reminder anew."""
        self.its_time_comes()
        assert len(self.reminded()) == 1
        self.change(self.room, to=["kari"])
        self.propose(self.room, "kari", "sara")
        assert Consent.objects.get(id=self.room.consent).remind_at is None
        assert len(self.reminded()) == 1

    def test_not_for_what_has_been_withdrawn(self) -> None:
        self.its_time_comes()
        self.withdraw(self.room)
        assert self.reminded() == []

    def test_an_enrolment_too(self) -> None:
        unit = {"unit": str(self.unit("Akuttmottaket").id)}
        body = {"patient": str(self.patient_id()), "form": "muli", "grantees": [unit]}
        id_ = self.person("kari").ok("post", "consents", body)["id"]
        self.withdraw(self.room)
        self.person("are").ok("post", f"consents/{id_}/give", {})
        assert abs(self.days_before(id_) - 14) < 0.01
        self.its_time_comes()
        assert [one["code"] for one in self.reminded()] == ["muli"]

    def test_somebody_without_an_account_cannot_be_told_here(self) -> None:
        self.its_time_comes()
        Patient.objects.filter(user__username="are").update(user=None)
        worker.tick()
        assert self.duties(kind="consent_ending") == []

    def test_both_nights_on_which_the_clock_in_oslo_moves(self) -> None:
        """Law 10: days are days of the database's clock, UTC; the summer time of the end is not asked."""
        for end in (datetime(2027, 3, 28, 1, tzinfo=UTC), datetime(2027, 10, 31, 1, tzinfo=UTC)):
            self.says(self.room, "change", until=end.isoformat())
            assert Consent.objects.get(id=self.room.consent).remind_at == end - timedelta(days=14)
            self.says(self.room, "renew")
