"""Message notices (S5): who is told, when, once, and never whoever may not know any more (law 5)."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from server.common.clock import now
from server.common.hints import Hint
from server.gateway.hub import Hub
from server.notify.models import Delivery
from server.rooms import notices
from server.rooms.models import Member, Notice
from server.rooms.notices import Heard
from tests.base import TownTestCase, TownTransactionTestCase
from tests.rooms.devices import Devices
from tests.support.deliveries import deliver, make_due
from tests.support.served import sqlite_only
from tests.support.threads import at_once


class Told(Devices, TownTestCase):
    pytestmark = sqlite_only

    def given(self) -> None:
        self.room = self.open_shared_room()

    def setUp(self) -> None:
        super().setUp()
        self.start()
        for name in ("kari", "vera", "are"):
            self.device(name)

    def test_everybody_else_and_nothing_is_said(self) -> None:
        self.post(self.room, "kari", "Are har time på tirsdag")
        assert self.told() == {"vera": 1, "are": 1}
        topics = set()
        for name in ("vera", "are"):
            (message,) = self.push.received(self.devices[name])
            tag = message["tag"]
            assert dict(message) == {
                "kind": "message",
                "title": "Du har en ny melding",
                "tag": tag,
                "sound": "message",
            }
            assert (message.topic, message.urgency, message.ttl) == (tag, "normal", 24 * 3600)
            assert len(tag) == 32
            topics.add(tag)
        assert len(topics) == 2, "two push services cannot tell that it is one room"
        assert not {str(self.room.id), self.room.id.hex} & topics
        assert self.told() == {"vera": 1, "are": 1}

    def test_not_whoever_has_no_device(self) -> None:
        self.post(self.room, "vera")
        assert self.told() == {"kari": 1, "are": 1}
        assert not Notice.objects.filter(member__user__username="frida").exists(), "nothing was ever said to her"

    def test_once_until_it_is_read(self) -> None:
        first = self.post(self.room, "kari")["seq"]
        assert self.told() == {"vera": 1, "are": 1}
        last = self.post(self.room, "kari")["seq"]
        self.read("are", first)
        assert self.told() == {"vera": 1, "are": 2}, "all that he was told of is read"
        third = self.post(self.room, "kari")["seq"]
        assert self.told() == {"vera": 1, "are": 2}
        self.read("vera", last)
        assert self.told() == {"vera": 2, "are": 2}
        self.read("vera", third)
        assert self.told() == {"vera": 2, "are": 2}
        self.post(self.room, "frida")
        assert self.told() == {"kari": 1, "vera": 3, "are": 2}
        assert self.push.posts(self.devices["vera"])[0].topic == self.push.posts(self.devices["vera"])[2].topic

    def test_many_at_once_are_one(self) -> None:
        for _ in range(3):
            self.post(self.room, "kari")
        assert self.told() == {"vera": 1, "are": 1}

    def test_after_a_while_when_there_is_more(self) -> None:
        self.post(self.room, "kari")
        assert self.told() == {"vera": 1, "are": 1}
        Notice.objects.update(at=F("at") - timedelta(minutes=31))
        assert self.told() == {"vera": 1, "are": 1}, "nothing new: nobody is nagged"
        self.post(self.room, "frida")
        assert self.told() == {"kari": 1, "vera": 2, "are": 2}

    def test_one_who_answers_without_a_mark(self) -> None:
        """What one wrote oneself, and what is no message, tells nobody."""
        self.post(self.room, "vera")
        self.told()
        before = Delivery.objects.count()
        self.read("kari", self.post(self.room, "kari")["seq"])
        self.read("are", self.member("kari").read)
        self.read("vera", self.member("kari").read)
        self.post(self.room, "vera")
        self.propose(self.room, "kari", "sara")
        assert self.tick() == 2, "Kari and Are"
        assert Delivery.objects.count() == before + 2

    def test_not_whoever_reads(self) -> None:
        self.settings(notice_after_s=5, notice_shown_s=60)
        seq = self.post(self.room, "kari")["seq"]
        assert self.told() == {}
        self.read("vera", seq)
        Member.objects.filter(id=self.member("are").id).update(delivered=seq)
        assert self.due_after(4) == set()
        assert self.due_after(7) == set(), "a device of his shows it"
        self.device("frida")
        assert self.due_after(7) == {"frida"}
        assert self.due_after(61) == {"are", "frida"}
        assert self.due_after(24 * 3600 + 1) == set(), "no news"

    def due_after(self, seconds: float) -> set[str]:
        found = notices.untold(now() + timedelta(seconds=seconds), None)
        names = dict(Member.objects.values_list("id", "user__username"))
        return {names[one.member_id] for one in found}

    def test_read_before_it_was_sent(self) -> None:
        seq = self.post(self.room, "kari")["seq"]
        assert self.tick() == 2
        self.read("vera", seq)
        assert self.told() == {"are": 1}
        assert Delivery.objects.get(user__username="vera").code == "not_allowed"

    def test_later_each_for_itself(self) -> None:
        self.settings(notice_after_s=0, notice_spread_s=20)
        self.post(self.room, "kari")
        at = now()
        self.tick()
        delays = [(one.due_at - at).total_seconds() for one in Delivery.objects.all()]
        assert len(delays) == len({round(one, 2) for one in delays}) == 2
        assert all(-0.1 <= one <= 21 for one in delays)
        make_due()
        assert self.told() == {"vera": 1, "are": 1}

    def test_when_no_device_could_be_told(self) -> None:
        self.push.script(self.devices["vera"], [413])
        self.post(self.room, "kari")
        assert self.told() == {"vera": 1, "are": 1}
        assert Notice.objects.get(member=self.member("vera")).lost
        assert self.tick() == 0, "not at once"
        Notice.objects.update(at=F("at") - timedelta(minutes=31))
        assert self.told() == {"vera": 2, "are": 1}
        assert not Notice.objects.get(member=self.member("vera")).lost

    def test_one_of_two_devices_is_enough(self) -> None:
        self.push.script(self.devices["vera"], [413])
        self.device("vera")
        self.post(self.room, "kari")
        self.tick()
        deliver()
        assert not Notice.objects.get(member=self.member("vera")).lost


class NotToldAnyMore(Devices, TownTestCase):
    """Access ends between the order and the sending. Red when `may_send` answers true."""

    pytestmark = sqlite_only

    def given(self) -> None:
        self.room = self.open_shared_room()

    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.device("vera")
        self.device("frida")
        self.post(self.room, "kari")
        assert self.tick() == 2

    def test_withdrawn(self) -> None:
        self.withdraw(self.room)
        assert self.told() == {}
        assert set(Delivery.objects.values_list("state", "code")) == {("dropped", "not_allowed")}

    def test_narrowed_to_the_others(self) -> None:
        self.change(self.room, to=["kari", "frida"])
        assert self.told() == {"frida": 1}

    def test_excluded(self) -> None:
        self.person("are").ok("post", "exclusions", {"user": str(self.user_id("vera"))})
        assert self.told() == {"frida": 1}

    def test_left(self) -> None:
        self.person("vera").ok("delete", f"{self.room.path}/members/{self.member('vera').id}")
        assert self.told() == {"frida": 1}

    def test_the_account_is_closed(self) -> None:
        vera = self.member("vera").user
        vera.is_active = False
        vera.save()
        assert self.told() == {"frida": 1}

    def test_back_again_and_what_was_meanwhile_is_not_theirs(self) -> None:
        self.change(self.room, to=["kari", "frida"])
        self.post(self.room, "kari")
        self.propose(self.room, "kari", "vera")
        self.change(self.room, to=["kari", "frida", "vera"])
        for one in ("frida", "vera"):
            self.read(one, self.events(self.room)[-1]["seq"])
        assert self.told() == {}
        self.post(self.room, "kari")
        assert self.told() == {"frida": 1, "vera": 1}

    def test_access_ends_while_it_is_asked(self) -> None:
        """The permit is older than the statement that looks: decided again, and refused."""
        withdrawn = []
        original = notices.permits.load

        def load(*args: Any, **kwargs: Any) -> Any:
            found = original(*args, **kwargs)
            if not withdrawn:
                withdrawn.append(True)
                self.withdraw(self.room)
            return found

        with mock.patch.object(notices.permits, "load", load):
            assert self.told() == {}
        assert withdrawn


class Away(Devices, TownTestCase):
    pytestmark = sqlite_only

    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.room = self.open_shared_room()
        self.device("are")

    def take_part(self, how: str) -> None:
        member = self.member("are").id
        self.person("are").ok("patch", f"{self.room.path}/members/{member}", {"participation": how})

    def test_who_stays_out_is_left_alone(self) -> None:
        self.take_part("away")
        self.post(self.room, "kari")
        assert self.told() == {}
        self.take_part("following")
        assert self.told() == {"are": 1}

    def test_away_between_the_order_and_the_sending(self) -> None:
        self.post(self.room, "kari")
        assert self.tick() == 1
        self.take_part("away")
        assert self.told() == {}

    def test_who_was_only_proposed_is_told_nothing(self) -> None:
        self.device("sara")
        self.propose(self.room, "kari", "sara")
        self.post(self.room, "kari")
        assert self.told() == {"are": 1}


class Looking(Devices, TownTestCase):
    """Hints make it quick, and nothing depends on them (law 4)."""

    pytestmark = sqlite_only

    def given(self) -> None:
        self.room = self.open_shared_room()

    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.device("vera")
        self.heard = Heard()
        self.enterContext(mock.patch.object(notices, "HEARD", self.heard))
        notices.tick()

    def statements(self, act: Any) -> Sequence[str]:
        with CaptureQueriesContext(connection) as seen:
            act()
        return [one["sql"] for one in seen.captured_queries if "SAVEPOINT" not in one["sql"]]

    def test_nothing_heard_costs_nothing(self) -> None:
        assert self.statements(notices.tick) == []

    def test_a_room_that_was_heard_of(self) -> None:
        self.post(self.room, "kari")
        self.heard.room(self.room.id)
        assert notices.tick() == 1
        deliver()
        assert len(self.push.received(self.devices["vera"])) == 1

    def test_the_hub_passes_them_on(self) -> None:
        hub = Hub.__new__(Hub)
        hub.rooms = {}
        hub.heard([Hint("room", str(self.room.id), 3), Hint("marks", str(self.room.id))][:1])
        self.post(self.room, "kari")
        assert notices.tick() == 1

    def test_a_hint_that_is_lost(self) -> None:
        self.post(self.room, "kari")
        found = [notices.tick() for _ in range(notices.LOOK_EVERY)]
        assert sum(found) == 1
        assert found[-1] == 1

    def test_patience(self) -> None:
        """What was heard of is looked at when it is old enough, however much more is heard of."""
        at, five = now(), timedelta(seconds=5)
        one, two = self.room.id, UUID(int=2)
        self.heard.room(one)
        assert self.heard.due(at, five) == set()
        self.heard.room(one)
        self.heard.room(two)
        assert self.heard.due(at + timedelta(seconds=2), five) == set()
        assert self.heard.due(at + timedelta(seconds=5), five) == {one}
        assert self.heard.due(at + timedelta(seconds=8), five) == {one, two}
        assert self.heard.due(at + timedelta(seconds=9), five) == set()

    def test_more_than_can_be_named(self) -> None:
        with mock.patch.object(notices, "MOST_ROOMS", 3):
            for number in range(9):
                self.heard.room(UUID(int=number))
            assert len(self.heard._fresh) == 3
            assert self.heard.due(now(), timedelta(0)) is None, "all of them"

    def test_as_many_as_one_statement_takes_and_then_the_rest(self) -> None:
        self.device("frida")
        self.post(self.room, "kari")
        with mock.patch.object(notices, "AT_ONCE", 1):
            self.heard.room(self.room.id)
            assert [notices.tick() for _ in range(3)] == [1, 1, 0]

    def test_the_same_number_of_statements_for_all_rooms(self) -> None:
        self.post(self.room, "kari")
        other = self.open_shared_room(purpose="transition")
        self.device("frida")

        def look() -> None:
            self.heard.everything()
            notices.tick()

        look()
        quiet = len(self.statements(look))
        assert quiet == 2, "the time, and who is to be told"
        self.read("vera", self.post(self.room, "kari")["seq"])
        self.post(self.room, "kari")
        one = len(self.statements(look))
        self.post(self.room, "are")
        self.post(other, "kari")
        for name in ("frida", "vera"):
            Notice.objects.filter(member__user__username=name).update(at=F("at") - timedelta(hours=1))
        assert len(self.statements(look)) == one <= quiet + 4, "the claim, the devices, the orders and their time"
        assert Delivery.objects.count() > 3

    def test_writing_knows_nothing_of_it(self) -> None:
        """The hot path has no statement more, whoever has a device."""
        said = [
            sql
            for _ in range(2)
            for sql in self.statements(partial(self.post, self.room, "kari"))
            if "notify_" in sql or "rooms_notice" in sql
        ]
        assert said == []

    def test_a_failure_looks_again(self) -> None:
        self.post(self.room, "kari")
        self.heard.room(self.room.id)
        with mock.patch.object(notices, "tell", side_effect=RuntimeError), pytest.raises(RuntimeError):
            notices.tick()
        assert notices.tick() == 1


class TwoWorkers(Devices, TownTransactionTestCase):
    def test_at_once(self) -> None:
        """They find the same members, some a moment later; each member is told once. Red when `_claim` does not compare
        the number."""
        self.start()
        self.room = self.open_shared_room()
        for name in ("vera", "frida", "are"):
            self.device(name)
        for _ in range(2):
            self.post(self.room, "kari")
            first = notices.untold(now(), [self.room.id, UUID(int=1)])
            assert len(first) == 3
            assert first == notices.untold(now(), None)
            seq = self.post(self.room, "kari")["seq"]
            second = notices.untold(now(), None)
            assert len(second) == 3
            new = at_once([partial(notices.tell, found, now()) for found in (first, second) * 2])
            assert sum(new) == 3, new
            for name in ("vera", "frida", "are"):
                self.read(name, seq)
        self.post(self.room, "kari")
        assert self.told() == {"vera": 1, "frida": 1, "are": 1}, "what has been overtaken is not sent"
        assert Delivery.objects.filter(code="not_allowed").count() == 6
        assert set(Notice.objects.values_list("number", flat=True)) == {3}
