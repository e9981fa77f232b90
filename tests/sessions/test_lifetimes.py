"""How long a session lasts, by whose it is: at its edges, by the database's time."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.common.clock import now
from server.people.authentication import live_sessions
from server.people.decide import Lifetime, device_of, ends_from, may_in_person, within_limits
from server.people.models import DeviceKind
from server.people.worker import tick
from tests.base import TownTestCase
from tests.sessions.base import Devices, env, refused
from tests.support.served import sqlite_only

pytestmark = sqlite_only

SPANS = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=400))
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
KINDS = (
    ("are", "patient_idle_days", "patient_session_days", timedelta(days=1)),
    ("kari", "staff_idle_minutes", "staff_session_hours", timedelta(minutes=1)),
    ("ola", "officer_idle_minutes", "officer_session_hours", timedelta(minutes=1)),
    ("admin", "administrator_idle_minutes", "administrator_session_hours", timedelta(minutes=1)),
)
NEAR = timedelta(seconds=3)


class ByKind(Devices, TownTestCase):
    def test_each_kind_has_its_own(self) -> None:
        changed = {
            "patient_idle_days": 11,
            "patient_session_days": 40,
            "staff_idle_minutes": 50,
            "staff_session_hours": 9,
            "officer_idle_minutes": 40,
            "officer_session_hours": 7,
            "administrator_idle_minutes": 12,
            "administrator_session_hours": 3,
        }
        with env(**changed, access_minutes=6):
            for who, idle, whole, unit in KINDS:
                row = self.device(who).row()
                at = row.created
                assert abs(row.expiry - at - timedelta(minutes=6)) < NEAR, who
                assert row.idle_until is not None
                assert row.ends_at is not None
                assert abs(row.idle_until - at - changed[idle] * unit) < NEAR, who
                hours = timedelta(days=1) if who == "are" else timedelta(hours=1)
                assert abs(row.ends_at - at - changed[whole] * hours) < NEAR, who

    def test_idle_by_a_second_and_not(self) -> None:
        for who, *_ in KINDS:
            phone = self.device(who)
            phone.wind_to("idle_until", now() + NEAR)
            phone.again()
            phone.wind_to("idle_until", now() - timedelta(milliseconds=10))
            refused("session_expired", phone.refresh)

    def test_use_puts_off_the_idle_end_and_never_the_last_one(self) -> None:
        phone = self.device("kari")
        last = phone.row().ends_at
        assert last is not None
        phone.wind(timedelta(minutes=100))
        phone.again()
        row = phone.row()
        assert row.idle_until is not None
        assert row.idle_until - row.read_at > timedelta(minutes=115)
        assert row.ends_at == last - timedelta(minutes=100)
        for _ in range(5):
            phone.wind(timedelta(minutes=100))
            phone.again()
        phone.wind_to("ends_at", now() + NEAR)
        phone.again()
        row = phone.row()
        assert row.expiry == row.idle_until == row.ends_at, "no token outlives the session"
        phone.wind_to("ends_at", now() - timedelta(milliseconds=10))
        refused("session_expired", phone.refresh)

    def test_a_shorter_setting_holds_from_the_next_refresh_on(self) -> None:
        phone = self.device("are")
        with env(patient_idle_days=2, access_minutes=1):
            phone.again()
        row = phone.row()
        assert row.idle_until is not None
        assert row.idle_until - row.read_at < timedelta(days=2, seconds=1)

    def test_one_that_may_be_refreshed_is_not_swept(self) -> None:
        asleep, idle = self.device("are"), self.device("are")
        asleep.wind(timedelta(days=30))
        idle.wind(timedelta(days=91))
        tick()
        assert (asleep.row().ended_at, idle.row().end_reason) == (None, "expired")
        assert live_sessions([asleep.session.sid]) == {}, "its token opens nothing before it is refreshed"
        asleep.again()
        assert set(live_sessions([asleep.session.sid])) == {asleep.session.sid}


@given(access=SPANS, idle=SPANS, whole=SPANS, gaps=st.lists(SPANS, max_size=5))
def test_ends_are_in_order_and_the_last_one_never_moves(
    access: timedelta, idle: timedelta, whole: timedelta, gaps: list[timedelta]
) -> None:
    lifetime, at = Lifetime(access, idle, whole), AT
    ends = ends_from(lifetime, at)
    for gap in gaps:
        if at + gap >= ends.idle_until:
            break
        at += gap
        again = ends_from(lifetime, at, ends.ends_at)
        assert again.ends_at == ends.ends_at
        assert again.idle_until >= ends.idle_until
        ends = again
    assert at < ends.expiry <= ends.idle_until <= ends.ends_at == AT + whole


@given(agent=st.text(max_size=900), platform=st.text(max_size=100))
def test_whatever_a_device_says_of_itself_becomes_one_word(agent: str, platform: str) -> None:
    assert device_of(agent, platform) in DeviceKind.values


AGENTS = [
    ("iphone", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5", ""),
    ("iphone", "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X)", ""),
    ("android", "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile", ""),
    ("android", "okhttp/4.12.0", ""),
    ("android", "", '"Android"'),
    ("windows", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0", ""),
    ("mac", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Safari/605.1.15", '"macOS"'),
    ("linux", "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101", '"Linux"'),
    ("linux", "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0)", '"Chrome OS"'),
    ("other", "curl/8.5.0", ""),
    ("other", "", ""),
]


@pytest.mark.parametrize(("kind", "agent", "platform"), AGENTS)
def test_devices(kind: str, agent: str, platform: str) -> None:
    assert device_of(agent, platform) == kind


@given(may=st.sets(st.sampled_from(["read", "write", "consent"])))
def test_what_is_offered_is_what_may_be_done(may: set[str]) -> None:
    offered = within_limits(["directory.read", "rooms.read", "rooms.write", "consents.decide", "access_log.read"], may)
    assert ("rooms.read" in offered) == ("read" in may) == may_in_person("read", may)
    assert ("rooms.write" in offered) == ("write" in may)
    assert ("consents.decide" in offered) == ("consent" in may)
    assert {"consents.decide", "consents.withdraw"} & set(offered), "taking back is always there"
    assert may_in_person("nothing", may)
