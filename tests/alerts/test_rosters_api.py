"""Mona keeps the roster; who is on call follows from it, and what has been stays as it was (M3, law 10)."""

from datetime import date, datetime, timedelta
from typing import Any
from unittest.mock import patch

from server.alerts import layout
from server.alerts.actions.on_call import office
from server.alerts.models import Override, Programme, Rotation, Shift, TeamMember
from server.alerts.reach import on_call
from server.common.clock import now
from server.people.hours import OSLO
from server.people.models import User
from tests.alerts.base import NightTestCase
from tests.base import JSON
from tests.support.served import sqlite_only

pytestmark = sqlite_only

MONDAY = date(2027, 3, 1)


def oslo(day: date, clock: str) -> datetime:
    return datetime.fromisoformat(f"{day.isoformat()}T{clock}").replace(tzinfo=OSLO)


class Rosters(NightTestCase):
    """At first nobody has a turn: the town's rotation is taken away."""

    def given(self) -> None:
        super().given()
        Rotation.objects.all().update(ends_on=date(2026, 1, 5))

    @property
    def path(self) -> str:
        return f"programmes/{self.programme.id}"

    def rotation(self, *people: str, by: str = "mona", **more: Any) -> JSON:
        said = {
            "name": "Natt",
            "people": [str(self.user_id(one)) for one in people],
            "every": "daily",
            "days": 1,
            "starts_on": layout.today(now()).isoformat(),
            "handover": "15:30",
        }
        told: JSON = self.person(by).ok("post", f"{self.path}/rotations", said | more)
        return told

    def override(self, by: str = "mona", status: int = 201, **said: Any) -> JSON:
        answer = self.person(by).post(f"{self.path}/overrides", said)
        assert answer.status_code == status, answer.content
        told: JSON = answer.json()
        return told

    def whose(self, at: datetime) -> list[str]:
        """Usernames of who is on call."""
        names = dict(User.objects.values_list("id", "username"))
        return [names[one] for one in on_call(self.programme, at)[0]]

    # --- laying out ---
    def test_sixty_days_are_laid_out_and_again_changes_nothing(self) -> None:
        self.rotation("nils", "ida", outside_office_hours=False)
        last = Shift.objects.order_by("-ends").first()
        assert last is not None
        assert last.ends > now() + timedelta(days=59)
        rows = list(Shift.objects.order_by("id").values())
        assert layout.lay_out_all() == 0
        assert layout.lay_out(self.programme.id) == 0
        assert list(Shift.objects.order_by("id").values()) == rows
        assert len(self.audit(type="roster.laid_out")) == 1

    def test_the_days_go_on(self) -> None:
        """Red when shifts are only laid out when somebody changes something."""
        self.rotation("nils", "ida", outside_office_hours=False)
        later = now() + timedelta(days=5)
        with patch.object(layout, "now", lambda: later):
            assert layout.lay_out_all() == 1
        last = Shift.objects.order_by("-ends").first()
        assert last is not None
        assert last.ends > later + timedelta(days=59)

    def test_an_exception_of_the_calendar_is_laid_out(self) -> None:
        """Red when a day that becomes a day off leaves it without anybody on call."""
        self.rotation("nils", "ida")
        day = layout.today(now()) + timedelta(days=7)
        while day.weekday() > 4 or self.whose(oslo(day, "11:00")):
            day += timedelta(days=1)
        self.person("mona").ok("patch", self.path, {"exceptions": {day.isoformat(): []}})
        assert layout.lay_out_all() == 1
        assert self.whose(oslo(day, "11:00"))
        self.person("mona").ok("patch", self.path, {"exceptions": {}})
        assert layout.lay_out_all() == 1
        assert not self.whose(oslo(day, "11:00"))

    def test_what_follows_from_no_rule_is_left_alone(self) -> None:
        shift = self.shift("sara")
        self.rotation("nils")
        shift.refresh_from_db()
        assert shift.cancelled_at is None

    def test_a_rotation_that_cannot_be_read_hides_no_other(self) -> None:
        broken = Rotation.objects.create(
            programme=self.programme, name="x", people=["nobody"], starts_on=MONDAY, handover="99:99"
        )
        self.rotation("nils", outside_office_hours=False)
        assert self.whose(now() + timedelta(days=3)) == ["nils"]
        assert not Shift.objects.filter(source=broken.id).exists()

    # --- rotations ---
    def test_what_is_wrong_is_named_and_only_leaders_keep_it(self) -> None:
        wrong = self.person("mona").post(
            f"{self.path}/rotations",
            {"name": "x", "people": [str(self.user_id("nils"))], "every": "weekly", "days": 3}
            | {"starts_on": "2027-03-01", "handover": "25:00"},
        )
        assert wrong.status_code == 400
        assert {one["field"] for one in wrong.json()["errors"]} == {"days", "handover"}
        stranger = self.person("mona").post(
            f"{self.path}/rotations",
            {"name": "x", "people": [str(self.user_id("kari"))], "every": "daily", "days": 1}
            | {"starts_on": "2027-03-01", "handover": "15:30"},
        )
        assert stranger.json()["errors"][0]["code"] == "not_in_team"
        for who, status in (("nils", 403), ("kari", 404), ("trine", 404)):
            assert self.person(who).post(f"{self.path}/rotations", {}).status_code == 400
            good = {"name": "x", "people": [str(self.user_id("nils"))], "every": "daily", "days": 1}
            refused = self.person(who).post(
                f"{self.path}/rotations", good | {"starts_on": "2027-03-01", "handover": "15:30"}
            )
            assert refused.status_code == status, (who, refused.content)

    def test_ended_it_goes_on_to_its_next_handover(self) -> None:
        """Red when whoever is on call loses the night that has begun."""
        since = (layout.today(now()) - timedelta(days=3)).isoformat()
        made = self.rotation("nils", outside_office_hours=False, starts_on=since)
        assert self.whose(now()) == ["nils"]
        ended = self.person("mona").ok("post", f"{self.path}/rotations/{made['id']}/end")
        assert self.whose(now()) == ["nils"]
        assert self.whose(oslo(date.fromisoformat(ended["ends_on"]), "15:29")) in (["nils"], [])
        assert self.whose(now() + timedelta(days=2)) == []
        again = self.person("mona").ok("post", f"{self.path}/rotations/{made['id']}/end")
        assert again == ended
        day = layout.today(now()) + timedelta(days=1)
        assert ended["ends_on"] in (day.isoformat(), (day - timedelta(days=1)).isoformat())

    def test_one_that_has_not_begun_never_does(self) -> None:
        starts = layout.today(now()) + timedelta(days=10)
        made = self.rotation("nils", starts_on=starts.isoformat())
        assert Shift.objects.filter(cancelled_at=None).exists()
        self.person("mona").ok("post", f"{self.path}/rotations/{made['id']}/end")
        assert not Shift.objects.filter(cancelled_at=None).exists()
        assert Shift.objects.exists(), "they are kept"

    # --- exceptions ---
    def test_an_exception_and_back(self) -> None:
        self.rotation("nils", outside_office_hours=False)
        begins = now() + timedelta(days=4)
        said = {
            "user": str(self.user_id("ida")),
            "begins": begins.isoformat(),
            "ends": (begins + timedelta(hours=2)).isoformat(),
        }
        made = self.override(**said)
        assert self.whose(begins + timedelta(hours=1)) == ["ida"]
        assert self.whose(begins + timedelta(hours=3)) == ["nils"]
        (listed,) = self.person("nils").ok("get", f"{self.path}/overrides")["results"]
        assert listed["id"] == made["id"]
        before = set(Shift.objects.values_list("id", flat=True))
        self.person("mona").ok("delete", f"{self.path}/overrides/{made['id']}")
        self.person("mona").ok("delete", f"{self.path}/overrides/{made['id']}")
        assert self.whose(begins + timedelta(hours=1)) == ["nils"]
        assert before <= set(Shift.objects.values_list("id", flat=True)), "nothing is deleted"
        self.override(**said)
        assert self.whose(begins + timedelta(hours=1)) == ["ida"]

    def test_what_has_been_stays_as_it_was(self) -> None:
        """Red when an exception that is taken back rewrites who was on call."""
        since = (layout.today(now()) - timedelta(days=3)).isoformat()
        self.rotation("nils", outside_office_hours=False, starts_on=since)
        made = self.override(
            user=str(self.user_id("ida")),
            begins=(now() - timedelta(hours=5)).isoformat(),
            ends=(now() + timedelta(hours=5)).isoformat(),
        )
        assert datetime.fromisoformat(made["begins"]) > now() - timedelta(minutes=1), "not before now"
        assert self.whose(now() - timedelta(minutes=30)) == ["nils"]
        assert self.whose(now()) == ["ida"]
        during = now()
        self.person("mona").ok("delete", f"{self.path}/overrides/{made['id']}")
        assert self.whose(now()) == ["nils"]
        was = Shift.objects.filter(begins__lte=during, ends__gt=during, cancelled_at=None)
        assert [one.user_id for one in was] == [self.user_id("ida")]
        assert layout.lay_out_all() == 0

    def test_ones_own_shift_may_go_to_a_colleague(self) -> None:
        self.rotation("nils", outside_office_hours=False)
        begins = now() + timedelta(days=4)
        span = {"begins": begins.isoformat(), "ends": (begins + timedelta(days=1)).isoformat()}
        ida, nils = str(self.user_id("ida")), str(self.user_id("nils"))
        made = self.override(by="nils", user=ida, instead_of=nils, **span)
        assert self.whose(begins + timedelta(hours=1)) == ["ida"]
        for said in (
            {"user": ida, "instead_of": None},
            {"user": None, "instead_of": nils},
            {"user": ida, "instead_of": str(self.user_id("sara"))},
        ):
            assert self.override(by="nils", status=403, **said, **span)["code"] == "leader_only"
        assert self.person("sara").delete(f"{self.path}/overrides/{made['id']}").status_code == 403
        self.person("nils").ok("delete", f"{self.path}/overrides/{made['id']}")
        assert self.whose(begins + timedelta(hours=1)) == ["nils"]
        stranger = self.override(user=str(self.user_id("kari")), status=400, **span)
        assert stranger["errors"][0]["code"] == "not_in_team"
        back = span | {"ends": (now() - timedelta(days=1)).isoformat()}
        assert self.override(user=ida, status=400, **back)["errors"][0]["field"] == "ends"
        assert not Override.objects.filter(ended_at=None).exists()

    # --- looking ---
    def test_who_is_on_call_now_and_next(self) -> None:
        until = self.shift("nils").ends
        self.shift("ida", until, until + timedelta(hours=8))
        self.shift("sara", now() + timedelta(days=30))
        TeamMember.objects.filter(user__username="ida").update(ended_at=now())
        (one,) = self.person("nils").ok("get", "on-call/now")["results"]
        assert [(o["name"], o["until"][:16]) for o in one["now"]] == [("Nils Dahle", until.isoformat()[:16])], one
        assert [o["user"] for o in one["next"]] == [str(self.user_id("sara"))], "Ida has left the team"
        assert {o["code"] for o in one["numbers"]} == {"on_call", "out_of_hours", "emergency"}
        assert one["final_number"] == self.programme.final_number
        assert [o["user"] for o in one["day_contacts"]] == [str(self.user_id("mona"))]
        assert self.person("kari").ok("get", "on-call/now")["results"] == []
        assert self.person("trine").get("on-call/now").status_code == 403
        assert len(self.audit(type="on_call.viewed")) == 1

    def test_the_office(self) -> None:
        closed = Programme(office_hours={"mon": [["08:00", "15:30"]]}, exceptions={})
        calendar = layout.calendar_of(closed)
        assert office(calendar, oslo(MONDAY, "09:00")) == (True, oslo(MONDAY, "15:30"))
        assert office(calendar, oslo(MONDAY, "15:30")) == (False, oslo(MONDAY + timedelta(days=7), "08:00"))
        assert office(layout.calendar_of(Programme(office_hours={"x": 1})), oslo(MONDAY, "09:00")) == (False, None)

    def test_a_date_and_a_time(self) -> None:
        begins = oslo(MONDAY, "15:30")
        self.shift("nils", begins, begins + timedelta(hours=16))
        told = self.person("ida").ok("get", "on-call?date=2027-03-02")["results"]
        assert [(one["name"], one["begins"]) for one in told] == [("Nils Dahle", "2027-03-01T14:30:00.000000Z")]
        assert self.person("ida").ok("get", "on-call?date=2027-03-03")["results"] == []
        path = f"{self.path}/shifts?from=2027-02-01&to=2027-03-01"
        assert len(self.person("ida").ok("get", path)["results"]) == 1
        assert self.person("kari").get(path).status_code == 404
        assert self.person("ida").get(f"{self.path}/shifts?from=2027-03-02&to=2027-03-01").status_code == 400
        for far in ("0001-01-01", "9999-12-31"):
            assert self.person("ida").get(f"on-call?date={far}").status_code == 400
            assert self.person("ida").get(f"{self.path}/shifts?from={far}&to={far}").status_code == 400
            assert self.person("ida").get(f"{self.path}/nights/{far}").status_code == 404

    def test_what_is_wrong_in_words(self) -> None:
        """Red when a roster with holes is not said to have any, or the same is said each night."""
        report = self.person("mona").ok("get", f"{self.path}/roster-report")
        (gap,) = report["days_14"]["findings"]
        assert gap["kind"] == "gap"
        assert gap["times"] > 5
        assert gap["text"].startswith("Ingen har vakt fra ")
        since = (layout.today(now()) - timedelta(days=3)).isoformat()
        self.rotation("nils", starts_on=since, every="weekly", days=7)
        report = self.person("mona").ok("get", f"{self.path}/roster-report")
        kinds = {one["kind"] for one in report["weeks_52"]["findings"]}
        assert kinds - {"double"} == {"unreachable", "out_of_reach", "short_rest"}
        rests = [one for one in report["weeks_52"]["findings"] if one["kind"] == "short_rest"]
        assert len(rests) < 80, "five a week are one"
        assert self.person("kari").get(f"{self.path}/roster-report").status_code == 404
