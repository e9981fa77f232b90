"""How fast people answered: each figure means what it says it means, and names nobody (M6)."""

from datetime import UTC, datetime, timedelta
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from server.alerts import figures as figures_module
from server.alerts.figures import DEFINITIONS, FEWEST, figures, nearest
from server.alerts.layout import today
from server.alerts.models import Alert
from server.alerts.times import Times, times_of
from server.common.clock import now
from tests.alerts.base import NightTestCase
from tests.support.served import sqlite_only

pytestmark = sqlite_only

WINTER = datetime(2027, 3, 1, 1, 10, tzinfo=UTC)  # a Monday, 02:10 in Oslo


def raised(at: datetime = WINTER, **after_s: float) -> Times:
    return Times(at, **{name: at + timedelta(seconds=one) for name, one in after_s.items()})


def test_medians_and_nine_tenths_are_times_that_were() -> None:
    found = figures([raised(accepted=one) for one in (10, 20, 30, 40, 50, 60, 70, 80, 90, 1000)], for_team=True)
    acceptance = found.total.measures["acceptance"]
    assert (acceptance.happened, acceptance.median_s, acceptance.p90_s) == (10, 50.0, 90.0)
    never = found.total.measures["contact"]
    assert (never.happened, never.median_s, never.p90_s) == (0, None, None)


def test_hours_and_weekdays_are_oslos() -> None:
    """Red when a call at 02:10 in Oslo is counted under the hour in UTC."""
    summer = datetime(2026, 7, 5, 22, 30, tzinfo=UTC)  # Monday 00:30 in Oslo
    found = figures([raised(), raised(summer)], for_team=True)
    assert [one.key for one in found.by_hour if one.count] == [0, 2]
    assert [(one.key, one.count) for one in found.by_weekday if one.count] == [(0, 2)]
    assert (len(found.by_hour), len(found.by_weekday)) == (24, 7)


def test_others_than_the_team_see_no_small_numbers() -> None:
    """Red when a cell of four is told, of which somebody might know one."""
    many = [raised(sent=1, accepted=5) for _ in range(FEWEST)] + [raised(WINTER + timedelta(hours=1))] * (FEWEST - 1)
    found = figures(many, for_team=False)
    assert found.total.count == 2 * FEWEST - 1
    assert [one.count for one in found.by_hour] == [FEWEST if hour == 2 else None for hour in range(24)]
    assert found.total.measures["contact"].happened is None
    assert found.total.measures["acceptance"].happened == FEWEST
    few = figures(many[:4], for_team=False)
    assert few.total.count is None
    assert few.total.measures["page"].median_s is None


@given(st.lists(st.floats(min_value=0, max_value=1e6), min_size=1).map(sorted), st.sampled_from([0.5, 0.9]))
def test_at_least_so_many_are_no_slower(spans: list[float], part: float) -> None:
    found = nearest(spans, part)
    assert found is not None
    assert sum(round(one, 1) <= found for one in spans) >= part * len(spans)
    assert sum(round(one, 1) < found for one in spans) < max(part * len(spans), 1)


class FiguresOfTheNight(NightTestCase):
    def given(self) -> None:
        super().given()
        self.shift("nils")
        self.called = self.pressed()["id"]
        self.person("nils").ok("post", f"alerts/{self.called}/accept", {})

    @property
    def path(self) -> str:
        day = today(now())
        first, last = day - timedelta(days=1), day + timedelta(days=1)
        return f"programmes/{self.programme.id}/figures?from={first}&to={last}"

    def test_the_team_sees_them_with_what_they_mean(self) -> None:
        told = self.person("ida").ok("get", self.path)
        assert (told["total"]["count"], told["total"]["acceptance"]["happened"]) == (1, 1)
        assert told["total"]["contact"] == {"happened": 0, "median_s": None, "p90_s": None}
        assert set(told["definitions"]) == set(DEFINITIONS)
        assert told["definitions"]["acceptance"] == "Fra trykket til en person først hadde svart ja."
        assert "Trine" not in str(told)
        assert self.person("ida").ok("get", f"programmes/{self.programme.id}/figures?from=2026-01-01&to=2026-01-02")
        (looked, _) = self.audit(type="figures.viewed")
        assert looked.subject_id is None

    def test_whom_the_patient_keeps_out_counts_nothing(self) -> None:
        """L3. Red when figures are of all rows: in a small team one call is a cell of its own."""
        self.exclude("sara")
        assert self.person("sara").ok("get", self.path)["total"]["count"] == 0
        assert self.person("ida").ok("get", self.path)["total"]["count"] == 1

    def test_administrators_get_whole_months_that_are_over(self) -> None:
        """Red when two answers can be subtracted: the tenth and the eleventh day, or this month yesterday and today."""
        for first, last in (("2026-02-03", "2026-02-04"), ("2026-02-01", "2026-04-30"), ("2026-02-28", "2026-12-31")):
            told = self.person("admin").ok("get", f"programmes/{self.programme.id}/figures?from={first}&to={last}")
            assert (told["from"], told["to"]) == ("2026-02-01", "2026-02-28")
        old, new = (self.month(when) for when in (now() - timedelta(days=40), now()))
        with patch.object(figures_module, "FEWEST", 1):
            assert self.person("admin").ok("get", new)["total"]["count"] is None, "it goes on"
            Alert.objects.update(raised_at=now() - timedelta(days=40))
            assert self.person("admin").ok("get", old)["total"]["count"] == 1

    def month(self, at: datetime) -> str:
        day = today(at)
        return f"programmes/{self.programme.id}/figures?from={day}&to={day}"

    def test_administrators_see_no_small_numbers_and_others_none(self) -> None:
        assert self.person("admin").ok("get", self.path)["total"]["count"] is None
        for who in ("kari", "trine"):
            assert self.person(who).get(self.path).status_code == 404
        assert self.person("ida").get(f"programmes/{self.programme.id}/figures").status_code == 400

    def test_the_first_of_each_counts(self) -> None:
        """Red when a handover makes the first answer look later."""
        (before,) = times_of(Alert.objects.all()).values()
        self.person("nils").ok("post", f"alerts/{self.called}/hand-over", {"to": str(self.user_id("ida"))})
        self.person("ida").ok("post", f"alerts/{self.called}/accept", {})
        (after,) = times_of(Alert.objects.all()).values()
        assert after.accepted_by == self.user_id("nils")
        assert before == after
