"""The morning: what is open is offered to whoever comes, and the team is told that there is a report (M3)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from unittest.mock import patch

from server.alerts import morning, telling
from server.alerts.actions import nights
from server.alerts.calendar import Calendar
from server.alerts.layout import today
from server.alerts.models import Admission, Alert, AlertEvent, Programme
from server.common.clock import now
from server.people.hours import OSLO
from server.people.models import Unit
from tests.alerts.base import NightTestCase
from tests.base import JSON
from tests.support.served import sqlite_only

pytestmark = sqlite_only

HOUR = timedelta(hours=1)


@contextmanager
def told() -> Iterator[list[dict[str, object]]]:
    """Notices as they are ordered, whatever devices people have."""
    found: list[dict[str, object]] = []

    def notice(users: list[object], **more: object) -> int:
        found.append({"users": set(users), **more})
        return len(users)

    with patch.object(telling, "notice", notice):
        yield found


class Mornings(NightTestCase):
    """Nils has taken Trine's call, and his shift ends in an hour; then it is Ida's."""

    def given(self) -> None:
        super().given()
        Programme.objects.update(office_hours={}, exceptions={})
        self.until = now() + HOUR
        self.shift("nils", now() - 8 * HOUR, self.until)
        self.shift("ida", self.until, self.until + 8 * HOUR)
        self.called = self.pressed()["id"]
        self.person("nils").ok("post", f"alerts/{self.called}/accept", {})

    def tick(self, at: datetime) -> int:
        with patch.object(morning, "now", lambda: at):
            return morning.tick()

    # --- offering ---
    def test_it_is_offered_when_the_shift_is_over_and_once(self) -> None:
        """Red when whoever goes home keeps it, loses it before it is taken over, or everybody is told each time."""
        with told() as notices:
            assert morning.offer(self.alert(), self.until - HOUR / 2) is False
            assert morning.offer(self.alert(), self.until) is True
        alert = self.alert()
        assert (alert.state, alert.responder_id) == ("handover_offered", self.user_id("nils"))
        assert [one["users"] for one in notices] == [{self.user_id("ida")}]
        Alert.objects.update(state="accepted", offered_from="", offered_at=None)  # nobody took it
        offered = AlertEvent.objects.get(type="handover_offered")
        assert offered.code == "shift_over"
        with told(), patch.object(morning, "offered_since", lambda *_: offered.at):
            assert morning.offer(self.alert(), self.until) is False, "once"
        with told(), patch.object(morning, "offered_since", lambda *_: offered.at + HOUR):
            assert morning.offer(self.alert(), self.until) is True, "and again to whoever comes next"

    def test_whoever_was_not_on_call_keeps_it(self) -> None:
        Alert.objects.update(responder=self.user_id("sara"))
        assert morning.offered_since(self.alert(), self.until + 9 * HOUR) is None

    def test_since_the_newest_who_began(self) -> None:
        alert = self.alert()
        assert morning.offered_since(alert, self.until + HOUR) == self.until
        begins = self.until + 8 * HOUR
        self.shift("sara", begins, begins + HOUR)
        assert morning.offered_since(alert, begins) == begins
        self.shift("nils", begins, begins + 2 * HOUR)
        assert morning.offered_since(alert, begins + HOUR) is None, "he is on call again"

    def test_by_day_it_goes_to_the_day_contact(self) -> None:
        assert morning.coming(self.programme, self.until) == [self.user_id("ida")]
        assert morning.coming(self.programme, self.until + 9 * HOUR) == [self.user_id("mona")], "nobody is on call"
        always = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday")}
        self.programme.office_hours = always
        assert morning.coming(self.programme, self.until) == [self.user_id("ida"), self.user_id("mona")]

    def test_whom_she_has_excluded_is_told_nothing(self) -> None:
        self.exclude("ida")
        with told() as notices:
            assert morning.offer(self.alert(), self.until) is True
            assert morning.announce(self.programme, self.morning_after()) is True
        offered, announced = (one["users"] for one in notices)
        assert offered == set()
        assert announced == {self.user_id(one) for one in ("mona", "nils", "sara")}

    # --- the report ---
    def morning_after(self) -> datetime:
        """Just after the night of the call."""
        return nights.span_of(self.night())[1] + timedelta(minutes=1)

    def night(self) -> date:
        raised = self.alert().raised_at
        return today(raised - 8 * HOUR)

    def report(self, by: str = "mona", night: date | None = None) -> JSON:
        path = f"programmes/{self.programme.id}/nights/{night or self.night()}"
        found: JSON = self.person(by).ok("get", path)
        return found

    def test_the_report_says_who_when_and_what(self) -> None:
        nils = self.person("nils")
        nils.ok("post", f"alerts/{self.called}/calling")
        nils.ok("post", f"alerts/{self.called}/in-contact", {"alone": True})
        nils.ok(
            "post",
            f"alerts/{self.called}/close",
            {"outcome": "helped_by_phone", "children": "none", "done": "Snakket."},
        )
        (one,) = self.report()["alerts"]
        assert (one["patient"]["name"], one["accepted_by"]["name"]) == ("Trine Holmåsen", "Nils Dahle")
        assert one["accepted_after_s"] is not None
        assert one["contact_after_s"] >= one["accepted_after_s"]
        assert one["page_after_s"] is None
        assert (one["outcome"], one["children"], one["state"]) == ("helped_by_phone", "none", "closed")
        assert [
            str(e.object_id) for e in self.audit(type="alert.report_viewed", subject_id=self.patient_id("trine"))
        ] == [self.called]
        assert self.report(night=date(2026, 1, 1))["alerts"] == []
        for who in ("kari", "trine", "admin"):
            assert self.person(who).get(f"programmes/{self.programme.id}/nights/2026-01-01").status_code == 404
        assert self.person("mona").get(f"programmes/{self.programme.id}/nights/20260101").status_code == 404

    def test_what_is_open_goes_on_to_the_next_night(self) -> None:
        self.person("nils").ok("post", f"alerts/{self.called}/calling")
        self.person("nils").ok("post", f"alerts/{self.called}/not-reached")
        report = self.report(night=self.night() + timedelta(days=1))
        assert [one["id"] for one in report["alerts"]] == [self.called]
        assert {(one["kind"], one["owner"]["name"]) for one in report["follow_ups"]} == {
            *(("plan_contacts", "Nils Dahle"), ("call_113", "Nils Dahle"))
        }
        assert report["alerts"][0]["not_reached"]

    def test_whom_she_has_excluded_reads_nothing_of_her(self) -> None:
        self.exclude("sara")
        assert self.report("sara")["alerts"] == []
        assert self.person("sara").ok("get", f"programmes/{self.programme.id}/weekly")["alerts"] == []
        assert not self.audit(type="alert.report_viewed", subject_id=self.patient_id("trine"))

    def test_the_week(self) -> None:
        trine = self.patient_id("trine")
        ward = Unit.objects.get(name="Ytre DPS")
        Admission.objects.create(
            patient_id=trine,
            programme=self.programme,
            ward=ward,
            admitted_on=today(now()) - timedelta(days=2),
            recorded_by_id=self.user_id("mona"),
        )
        week = self.person("mona").ok("get", f"programmes/{self.programme.id}/weekly")
        assert [one["id"] for one in week["alerts"]] == [self.called]
        assert [one["patient"]["id"] for one in week["admissions"]] == [str(trine)]
        assert self.audit(type="alert.weekly_viewed", subject_id=trine)
        assert self.audit(type="admission.viewed", subject_id=trine)
        assert self.person("kari").get(f"programmes/{self.programme.id}/weekly").status_code == 404

    def test_the_team_is_told_once_that_it_is_there(self) -> None:
        """Red when it says more than that it is there, comes each minute, or comes when there is nothing."""
        at = self.morning_after()
        assert morning.announce(self.programme, at - 2 * timedelta(minutes=1)) is False
        assert morning.announce(self.programme, at + 7 * HOUR) is False
        with told() as notices:
            assert morning.announce(self.programme, at) is True
        (one,) = notices
        assert one["mail"] is True
        assert one["users"] == {self.user_id(name) for name in ("mona", "nils", "ida", "sara")}
        assert len(self.audit(type="night.announced")) == 1
        assert morning.announce(self.programme, at) is False, "nobody has a device: nothing new"
        Alert.objects.all().update(raised_at=at, state="closed", due_at=None, duty="", closed_at=at)
        with told() as notices:
            assert morning.announce(self.programme, at) is False
        assert notices == []

    def test_the_loop_does_both(self) -> None:
        with told():
            assert self.tick(self.until) >= 1
        with patch.object(morning, "offer", side_effect=ValueError), told():
            self.tick(self.until)


def test_when_the_morning_is() -> None:
    hours = Calendar({"mon": [["07:30", "15:00"]]})
    assert morning.morning_of(hours, date(2027, 3, 1)) == datetime(2027, 3, 1, 7, 30, tzinfo=OSLO)
    assert morning.morning_of(hours, date(2027, 3, 2)) == datetime(2027, 3, 2, 8, 0, tzinfo=OSLO)
    assert morning.morning_of(hours, date(2027, 3, 29)) == datetime(2027, 3, 29, 8, 0, tzinfo=OSLO), "Easter Monday"
