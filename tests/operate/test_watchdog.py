"""What the watchdog finds, looking from outside; here through the test's own transaction."""

import time
from datetime import timedelta
from typing import Any
from unittest import mock
from uuid import uuid4

from django.conf import settings
from django.db import connection
from django.test import override_settings

from server.alerts.models import Alert, AlertEvent, RouterBeat, Shift, TeamMember
from server.common.clock import now
from server.common.ids import new_id
from server.notify.models import Delivery
from server.operate import watch, watchdog
from server.operate.models import WatchReport
from server.operate.own_sql import Database, Postgres, Sqlite
from server.operate.watchdog import Finding, Watch
from tests.alerts.base import NightTestCase
from tests.base import Client

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def ago(seconds: float) -> Any:
    return now() - timedelta(seconds=seconds)


def own(raw: Any) -> Database:
    """The watchdog's SQL over a connection that is there already."""
    return Sqlite(raw) if connection.vendor == "sqlite" else Postgres(raw)


def synthetic(**more: Any) -> Any:
    return override_settings(ENV=settings.ENV.model_copy(update={"synthetic_user": "mona", **more}))


class Found(NightTestCase):
    def setUp(self) -> None:
        super().setUp()
        RouterBeat.objects.create(name="router", at=now())
        for user in ("nils", "ida"):  # somebody is always on call
            self.shift(user, now() - DAY, now() + 20 * DAY)

    def codes(self, watching: Watch | None = None, later: float = 0) -> list[str]:
        """As the watchdog finds it so many seconds from now, the router being well."""
        at, database = now() + timedelta(seconds=later), own(connection.connection)
        if later:
            RouterBeat.objects.update(at=at)
        with mock.patch.object(type(database), "now", return_value=at):
            return [one.code for one in (watching or Watch()).look(database)]

    def raised(self, **more: Any) -> Alert:
        """An alert that the router is to look at in a moment."""
        self.press()
        Alert.objects.update(**more)
        return self.alert()

    def closed(self, alert: Alert) -> None:
        """The row alone."""
        Alert.objects.filter(id=alert.id).update(state="closed", due_at=None, duty="", closed_at=now(), responder=None)

    # --- calls for help ---
    def test_nothing_on_a_quiet_night(self) -> None:
        assert self.codes() == []
        self.raised()
        assert self.codes() == []

    def test_an_alert_that_is_overdue(self) -> None:
        alert = self.raised(due_at=ago(14))
        assert self.codes() == []
        Alert.objects.update(due_at=ago(16))
        assert self.codes() == ["alerts_overdue"]
        self.closed(alert)
        AlertEvent.objects.create(alert=alert, n=99, at=now(), type="closed", generation=0, step=0)
        assert self.codes() == []

    def test_one_that_was_closed_by_nobody(self) -> None:
        """A hand in the database, or a fault of ours. Red when only open calls are looked at."""
        alert = self.raised()
        self.closed(alert)
        assert self.codes() == ["alert_closed_silently"]
        assert Finding("alert_closed_silently").is_urgent
        Alert.objects.update(closed_at=ago(25 * 3600))
        assert self.codes() == ["alert_closed_silently"], "it was raised today, whatever is said of its end"
        Alert.objects.update(raised_at=ago(26 * 3600))
        assert self.codes() == [], "that is for the log"

    def test_one_that_nobody_looks_at_for_long(self) -> None:
        """A clock that was far ahead once. Red when an alert is only ever too late."""
        self.raised(due_at=now() + 5 * HOUR - timedelta(seconds=30))
        assert self.codes() == []
        Alert.objects.update(due_at=now() + 5 * HOUR + timedelta(seconds=30))
        assert self.codes() == ["alert_due_far"]
        assert Finding("alert_due_far").is_urgent

    def test_an_alert_of_which_no_provider_has_taken_a_page(self) -> None:
        alert = self.raised(due_at=now() + HOUR)
        assert self.codes(later=29) == []
        assert self.codes(later=31) == ["alerts_unpaged"]
        page = self.page(alert, channel="email", accepted_at=now())
        assert self.codes(later=31) == ["alerts_unpaged"], "a mail wakes nobody"
        Delivery.objects.filter(id=page.id).update(channel="sms")
        assert self.codes(later=31) == []
        Alert.objects.update(generation=1)
        AlertEvent.objects.create(
            alert=alert, n=99, at=now() + timedelta(seconds=40), type="resumed", generation=1, step=-1
        )
        assert self.codes(later=69) == []
        assert self.codes(later=71) == ["alerts_unpaged"], "what was sent before calling began anew counts no more"

    def test_somebody_has_it(self) -> None:
        self.raised(due_at=now() + HOUR, state="accepted", duty="responder", responder=self.user_id("nils"))
        assert self.codes(later=60) == []

    def test_pages_that_nobody_sends(self) -> None:
        alert = self.raised()
        self.page(alert, state="waiting", due_at=ago(14))
        assert self.codes() == []
        Delivery.objects.update(due_at=ago(16))
        assert self.codes() == ["pages_late"]

    def test_a_router_that_is_not_heard(self) -> None:
        RouterBeat.objects.update(at=ago(14))
        assert self.codes() == []
        RouterBeat.objects.update(at=ago(16))
        assert self.codes() == ["router_silent"]
        RouterBeat.objects.all().delete()
        assert self.codes() == ["router_silent"]

    # --- rosters ---
    def test_a_gap_in_the_roster(self) -> None:
        Shift.objects.update(ends=now() + 13 * DAY)
        assert self.codes() == ["roster_gap"]
        assert not Finding("roster_gap").is_urgent
        Shift.objects.update(cancelled_at=now())
        assert self.codes() == ["roster_gap"]
        type(self.programme).objects.update(closed_at=now())
        assert self.codes() == [], "not of a programme that takes no calls"

    def test_a_shift_of_somebody_who_has_left_is_a_gap(self) -> None:
        Shift.objects.filter(user=self.user_id("ida")).update(cancelled_at=now())
        assert self.codes() == []
        TeamMember.objects.filter(user=self.user_id("nils")).update(ended_at=now())
        assert self.codes() == ["roster_gap"]

    def test_hours_that_cannot_be_read_stop_nothing(self) -> None:
        type(self.programme).objects.update(office_hours={"mon": [["late", "later"]]})
        RouterBeat.objects.update(at=ago(16))
        assert self.codes() == ["router_silent", "roster_unreadable"]

    def test_rosters_are_looked_at_now_and_then(self) -> None:
        clock = [100.0]
        watching = Watch(lambda: clock[0])
        assert self.codes(watching) == []
        Shift.objects.update(cancelled_at=now())
        assert self.codes(watching) == []
        with mock.patch.object(watchdog, "JUMP_S", 1e9):
            clock[0] += watchdog.SLOW_S
            assert self.codes(watching) == ["roster_gap"]

    # --- the trial ---
    def test_a_trial_that_failed(self) -> None:
        for state, late, codes in (
            ({"state": "closed", "outcome": "answered", "closed_at": now()}, 60, []),
            ({"state": "closed", "outcome": "unanswered", "closed_at": now()}, 60, ["synthetic_failed"]),
            ({}, 100, []),
            ({}, 200, ["synthetic_failed", "alerts_unpaged"]),
        ):
            with self.subTest(state=state, late=late), synthetic():
                made = self.trial(raised_at=ago(late), **state)
                assert set(self.codes()) == set(codes) - {"alerts_unpaged"}, "a trial is nobody's call"
            assert self.codes() == [], "nobody is to be tried"
            Alert.objects.filter(id=made.id).update(raised_at=ago(3 * 3600))

    def test_a_trial_that_comes_back_after_one_that_did_not(self) -> None:
        self.trial(raised_at=ago(3600), state="closed", outcome="unanswered", closed_at=now())
        with synthetic():
            assert self.codes() == ["synthetic_failed"]
            self.trial(raised_at=ago(30), state="closed", outcome="answered", closed_at=now())
            assert self.codes() == []

    def test_a_trial_that_is_missing(self) -> None:
        with synthetic():
            assert self.codes() == [], "the programme has just opened"
            type(self.programme).objects.update(opened_at=ago(3600 + 120 + 61))
            assert self.codes() == ["synthetic_missing"]
            self.trial(raised_at=ago(10))
            assert self.codes() == []

    # --- clocks ---
    def test_a_clock_that_jumps(self) -> None:
        for jump, codes in (
            (5.0, []),
            (6.5, []),
            (8.1, ["clock_jumped"]),
            (1.0, ["clock_jumped"]),
            (-60.0, ["clock_jumped"]),
        ):
            clock, times = [100.0], [now(), now() + timedelta(seconds=jump)]
            watching, database = Watch(lambda: clock[0]), own(connection.connection)  # noqa: B023
            with self.subTest(jump=jump), mock.patch.object(type(database), "now", side_effect=times):
                watching.look(database)
                clock[0] += 5
                assert [one.code for one in watching.look(database)] == codes

    def test_a_slow_answer_is_no_jump_and_a_jump_is_told_for_a_while(self) -> None:
        clock, at = [100.0], now()
        watching, database = Watch(lambda: clock[0]), own(connection.connection)
        RouterBeat.objects.update(at=at + HOUR)

        def slow(_: object) -> Any:
            clock[0] += 4
            return at + timedelta(seconds=clock[0] - 100)

        with mock.patch.object(type(database), "now", slow):
            for _ in range(3):
                clock[0] += 5
                assert watching.look(database) == []
            at += timedelta(seconds=30)
            assert [one.code for one in watching.look(database)] == ["clock_jumped"]
            clock[0] += watchdog.TOLD_S - 10
            assert "clock_jumped" in [one.code for one in watching.look(database)]
            clock[0] += 20
            assert "clock_jumped" not in [one.code for one in watching.look(database)]

    # --- what becomes of it ---
    def test_health_and_metrics_tell_it(self) -> None:
        watch.forget()
        self.addCleanup(watch.forget)
        database = own(connection.connection)
        for found in ([Finding("alerts_overdue", 2), Finding("roster_gap")], []):
            watchdog.report(database, found)
            watch.forget()
            said = [code for code in watch.warnings() if not code.startswith("audit")]
            assert said == [one.code for one in found]
            numbers = Client().get("/metrics").content.decode()
            assert f'samsnakk_watchdog_findings{{code="alerts_overdue"}} {2.0 if found else 0.0}' in numbers
            assert f'samsnakk_watchdog_findings{{code="roster_gap"}} {1.0 if found else 0.0}' in numbers
        assert WatchReport.objects.count() == 1
        WatchReport.objects.update(at=ago(31), findings=[{"code": "alerts_overdue", "count": 1}])
        for age, codes in ((10, []), (31, ["watchdog_silent"])):
            with mock.patch.object(watch, "BORN", time.monotonic() - age):
                watch.forget()
                assert [code for code in watch.warnings() if not code.startswith("audit")] == codes
        WatchReport.objects.all().delete()
        with mock.patch.object(watch, "BORN", time.monotonic() - 31):
            for is_on, codes in ((True, ["watchdog_silent"]), (False, [])):
                with override_settings(ENV=settings.ENV.model_copy(update={"watchdog": is_on})):
                    watch.forget()
                    assert [code for code in watch.warnings() if not code.startswith("audit")] == codes

    def test_numbers_of_alerts(self) -> None:
        self.raised(state="exhausted")
        numbers = Client().get("/metrics").content.decode()
        assert 'samsnakk_alerts_open{state="exhausted"} 1.0' in numbers
        assert 'samsnakk_alerts_open{state="received"} 0.0' in numbers
        assert "samsnakk_router_beat_age_seconds" in numbers
        assert "samsnakk_alerts_due_oldest_seconds" in numbers

    # --- rows ---
    def page(self, alert: Alert, **more: Any) -> Delivery:
        fields = {"channel": "push", "state": "accepted", "to_sealed": b"-", **more}
        return Delivery.objects.create(
            id=uuid4(), kind="page", about=alert.id, urgent=True, ttl_s=60, topic="x", **fields
        )

    def trial(self, **more: Any) -> Alert:
        fields: dict[str, Any] = {"due_at": now(), "step_at": now(), "raised_from": "synthetic", **more}
        if fields.get("state") == "closed":
            fields |= {"due_at": None, "duty": ""}
        made = Alert.objects.create(id=new_id(), programme=self.programme, synthetic=True, **fields)
        if made.state == "closed":
            AlertEvent.objects.create(alert=made, n=0, at=now(), type="closed", generation=0, step=0)
        return made
