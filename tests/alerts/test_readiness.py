"""Hours before a shift it is found out if whoever has it can be reached, and a leader is told in time (M3)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from unittest.mock import patch

from server.alerts import readiness
from server.alerts.models import Programme, Shift, ShiftCheck, TeamMember
from server.common.clock import now
from server.duties.models import Duty
from server.notify.actions import ReachableAt
from server.notify.models import Address, Delivery
from server.people.hours import OSLO
from tests.alerts.base import NightTestCase
from tests.base import JSON
from tests.support.served import sqlite_only

pytestmark = sqlite_only

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


class Readiness(NightTestCase):
    """Nils is on call in three hours; the office never opens, and Ida is on call at all other times."""

    def given(self) -> None:
        super().given()
        Programme.objects.update(office_hours={}, exceptions={})
        self.programme.refresh_from_db()
        begins = now() + 3 * HOUR
        self.night = self.shift("nils", begins, begins + 12 * HOUR)
        year = timedelta(days=365)
        self.shift("ida", begins - year, begins)
        self.shift("ida", begins + 12 * HOUR, begins + year)

    def setUp(self) -> None:
        super().setUp()
        asked = patch.object(readiness, "asked_from", lambda begins, hours: begins - timedelta(hours=hours))
        asked.start()
        self.addCleanup(asked.stop)

    @contextmanager
    def reached(self, *channels: str, gateway: str = "https://gateway.example.org") -> Iterator[None]:
        """Nils has these; nobody else has anything."""
        nils = self.user_id("nils")
        ways = []
        for number, channel in enumerate(channels):
            kind = "push" if channel == "push" else "phone"
            address = Address.objects.create(user_id=nils, kind=kind, sealed=b"x", index=bytes([number]))
            ways.append(ReachableAt(address.id, channel))
        found = {nils: ways} if ways else {}
        env = readiness.settings.ENV.model_copy(update={"gateway_url": gateway})
        with (
            patch.object(
                readiness.notify, "reachable", lambda users: {one: found[one] for one in users if one in found}
            ),
            patch.object(readiness.settings, "ENV", env),
        ):
            yield

    def tick(self, after: timedelta = timedelta()) -> int:
        later = now() + after
        with patch.object(readiness, "now", lambda: later):
            return readiness.tick()

    def answer(self, channel: str) -> None:
        assert Delivery.objects.filter(kind="test", channel=channel).update(received_at=now()) == 1

    def duties(self, kind: str = "shift_not_ready") -> list[JSON]:
        return [one for one in self.person("mona").ok("get", "duties")["results"] if one["kind"] == kind]

    def test_what_comes_back_in_time_is_enough(self) -> None:
        with self.reached("push", "voice"):
            assert self.tick() == 1
            assert self.tick() == 0, "asked once"
            tests = Delivery.objects.filter(kind="test", about=self.night.id)
            assert {(one.channel, one.user_id) for one in tests} == {
                *(("push", self.user_id("nils")), ("voice", self.user_id("nils")))
            }
            self.answer("push")
            self.answer("voice")
            assert self.tick() == 1
            assert self.tick(2 * HOUR) == 0
        check = ShiftCheck.objects.get(shift=self.night)
        assert check.device_at
        assert check.number_at
        assert self.duties() == []
        assert len(self.audit(type="shift.asked")) == 1

    def test_silence_is_told_to_the_leader_once(self) -> None:
        """Red when nobody hears of a phone that lies switched off, or hears of it again and again."""
        with self.reached("push", "voice"):
            self.tick()
            assert self.tick(59 * MINUTE) == 0
            assert self.tick(61 * MINUTE) == 1
            assert self.tick(62 * MINUTE) == 0
            (told,) = self.duties()
            assert (told["code"], told["object"]) == ("device_silent", str(self.night.id))
            assert "Nils" not in told["words"]
            # It comes after all: nothing is owed any more.
            self.answer("push")
            self.person("nils").ok("post", f"on-call/shifts/{self.night.id}/confirm")
            self.tick(63 * MINUTE)
            assert self.duties() == []

    def test_no_device_is_told_at_once(self) -> None:
        with self.reached("voice"):
            assert self.tick() == 2
        assert [one["code"] for one in self.duties()] == ["no_device"]

    def test_a_telephone_is_needed_where_telephones_are_rung(self) -> None:
        with self.reached("push"):
            self.tick()
            self.answer("push")
            self.tick()
            assert self.tick(61 * MINUTE) == 1
        assert [one["code"] for one in self.duties()] == ["no_number"]

    def test_without_a_gateway_the_device_is_enough(self) -> None:
        with self.reached("push", gateway=""):
            self.tick()
            self.answer("push")
            assert self.tick() == 1
            assert self.tick(61 * MINUTE) == 0
        assert self.duties() == []

    def test_who_had_a_device_and_has_none_any_more(self) -> None:
        """They have answered, and then signed out of it. Red when what was once well stays so."""
        with self.reached("push", gateway=""):
            self.tick()
            self.answer("push")
            self.tick(61 * MINUTE)
            assert self.duties() == []
            with patch.object(readiness, "with_device", return_value=set()):
                assert self.tick(62 * MINUTE) == 1
            assert [one["code"] for one in self.duties()] == ["no_device"]
            self.tick(63 * MINUTE)
            assert self.duties() == [], "they have signed in again"

    def test_only_ones_own_shift_is_confirmed_and_not_before_one_is_asked(self) -> None:
        path = f"on-call/shifts/{self.night.id}/confirm"
        assert self.person("nils").post(path).json()["code"] == "not_asked_yet"
        with self.reached("push", "voice"):
            self.tick()
        assert self.person("ida").post(path).status_code == 404
        first = self.person("nils").ok("post", path)
        assert self.person("nils").ok("post", path) == first
        assert first["number_at"]
        assert first["device_at"] is None

    def test_who_has_left_and_what_is_cancelled_is_not_asked(self) -> None:
        with self.reached("push"):
            TeamMember.objects.filter(user__username="nils").update(ended_at=now())
            assert self.tick() in (0, 1), "a gap may be told of"
            TeamMember.objects.filter(user__username="nils").update(ended_at=None)
            Shift.objects.filter(id=self.night.id).update(cancelled_at=now())
            self.tick()
        assert not ShiftCheck.objects.exists()

    def test_a_failure_keeps_no_other_waiting(self) -> None:
        self.shift("sara", now() + HOUR, now() + 2 * HOUR)
        with self.reached("push"), patch.object(readiness.notify, "enqueue", side_effect=[ValueError, 1]):
            readiness.tick()
        assert ShiftCheck.objects.count() == 1

    # --- gaps ---
    def test_a_coming_gap_is_told_once(self) -> None:
        """Red when a night without anybody is found out about when it has come, or told of each minute."""
        assert readiness.tell_of_gaps(self.programme, now()) is False
        Shift.objects.filter(id=self.night.id).update(cancelled_at=now())
        assert readiness.tell_of_gaps(self.programme, now()) is True
        assert readiness.tell_of_gaps(self.programme, now()) is False
        assert readiness.tell_of_gaps(self.programme, now() + 4 * HOUR) is False, "the same, when it has begun"
        (told,) = self.duties("roster_gap")
        assert told["patient"] is None
        assert readiness.tell_of_gaps(self.programme, now() + 16 * HOUR) is False, "it is over"

    def test_no_roster_at_all_is_one_gap(self) -> None:
        Shift.objects.update(cancelled_at=now())
        week = {day: [["08:00", "15:30"]] for day in ("mon", "tue", "wed", "thu", "fri")}
        self.programme.office_hours = week
        assert readiness.gaps(self.programme, now()) == ["gap of long ago"]
        assert readiness.tell_of_gaps(self.programme, now()) is True
        assert readiness.tell_of_gaps(self.programme, now() + timedelta(days=3)) is False
        assert Duty.objects.filter(kind="roster_gap").count() == 1

    # --- starting a shift ---
    def test_a_shift_is_started_from_an_hour_before_it(self) -> None:
        nils = self.person("nils")
        path = f"on-call/shifts/{self.night.id}/start"
        assert nils.post(path).json()["code"] == "not_shift_time"
        Shift.objects.filter(id=self.night.id).update(begins=now() + 59 * MINUTE)
        started = nils.ok("post", path)
        until = datetime.fromisoformat(started["until"])
        assert abs(until - self.night.ends - HOUR) < timedelta(seconds=1)
        phone = self.sign_in("nils")
        phone.credentials(HTTP_AUTHORIZATION=f"Bearer {started['token']}")
        me = phone.ok("get", "me")
        assert datetime.fromisoformat(me["session"]["valid_until"]) == until
        for who in ("ida", "kari", "trine"):
            assert self.person(who).post(path).status_code == 404
        Shift.objects.filter(id=self.night.id).update(begins=now() - 2 * HOUR, ends=now() - HOUR)
        assert nils.post(path).json()["code"] == "not_shift_time"
        assert len(self.audit(type="shift.started", outcome="success")) == 1

    # --- calendars ---
    def test_a_private_calendar(self) -> None:
        """Red when it shows more than times, or opens for whoever has left, or after it was ended."""
        nils = self.person("nils")
        said = {"programme": str(self.programme.id)}
        own = nils.ok("post", "on-call/feeds", said)
        team = nils.ok("post", "on-call/feeds", said | {"whole_team": True})
        anybody = self.phone("none")
        anybody.credentials()
        path = own["url"].split("testserver")[-1]
        answer = anybody.get(path)
        assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
        text = answer.content.decode()
        assert text.count("BEGIN:VEVENT") == 1
        assert "Nils" not in text
        assert anybody.get(path, HTTP_IF_NONE_MATCH=answer.headers["ETag"]).status_code == 304
        assert len(self.audit(type="calendar_feed.read")) == 1
        whole = anybody.get(team["url"].split("testserver")[-1]).content.decode()
        assert whole.count("DESCRIPTION:Ida") == 2
        mine = nils.get("on-call/shifts.ics").content.decode()
        assert mine.count("BEGIN:VEVENT") == 1
        assert {one["id"] for one in nils.ok("get", "on-call/feeds")["results"]} == {own["id"], team["id"]}
        assert self.person("ida").delete(f"on-call/feeds/{own['id']}").status_code == 404
        nils.ok("delete", f"on-call/feeds/{own['id']}")
        assert anybody.get(path).status_code == 404
        assert nils.delete(f"on-call/feeds/{own['id']}").status_code == 404
        assert anybody.get("on-call/feeds/unknown/shifts.ics").status_code == 404
        TeamMember.objects.filter(user__username="nils").update(ended_at=now())
        assert anybody.get(team["url"].split("testserver")[-1]).status_code == 404
        assert self.person("kari").post("on-call/feeds", said).status_code == 404
        assert self.person("trine").get("on-call/shifts.ics").status_code == 403


def at(clock: str, day: date = date(2027, 3, 2)) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=OSLO)


def test_nobody_is_woken_to_be_asked() -> None:
    """Red when the test of a shift that begins in the morning rings at two o'clock at night."""
    asked = readiness.asked_from
    assert asked(at("15:30"), 6) == at("09:30")
    assert asked(at("14:00"), 6) == at("08:00")
    assert asked(at("08:00"), 6) == at("20:00", date(2027, 3, 1))
    assert asked(at("13:59"), 6) == at("20:00", date(2027, 3, 1))
    assert asked(at("03:30"), 6) == at("20:00", date(2027, 3, 1))
    assert asked(at("02:59"), 6) == at("20:59", date(2027, 3, 1))
