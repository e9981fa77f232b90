"""What the router finds due, and whom it hands to `decide`; the decisions themselves are in `test_decide.py`."""

from datetime import timedelta

from server.alerts import store
from server.alerts.facts import Roster
from server.common.clock import now
from tests.alerts.base import HOUR, NightTestCase
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class ClockBack(NightTestCase):
    """Red when the router asks for due times only, or for steps ahead of the clock only."""

    def test_people_are_called_on(self) -> None:
        self.shift("nils")
        told = self.pressed()
        self.look()
        back = now() - HOUR
        assert self.look(at=back) == 1
        assert self.look(at=back + timedelta(seconds=1)) == 0
        assert self.alert(told["id"]).due_at < back + timedelta(minutes=5)

    def test_whoever_has_it_still_owes_the_call_within_three_minutes(self) -> None:
        told = self.pressed()
        self.person("nils").ok("post", f"alerts/{told['id']}/accept", {})
        back = now() - HOUR
        assert self.look(at=back) == 1
        assert self.look(at=back + timedelta(seconds=179)) == 0
        assert self.look(at=back + timedelta(seconds=181)) == 1
        alert = self.alert(told["id"])
        assert (alert.duty, alert.generation) == ("router", 1)


class WhoeverHadIt(NightTestCase):
    """Red when they are nobody once calling has begun anew, or are there though excluded."""

    def roster(self) -> Roster:
        alert = self.alert()
        return store.roster(alert, store.case_of(alert), now())

    def test_is_known_when_calling_begins_anew(self) -> None:
        told = self.pressed()
        assert self.roster()["responder"] == ()
        self.person("ida").ok("post", f"alerts/{told['id']}/accept", {})
        self.pressed()
        assert self.alert().responder_id is None
        assert [one.id for one in self.roster()["responder"]] == [self.user_id("ida")]

    def test_is_nobody_once_excluded(self) -> None:
        told = self.pressed()
        self.person("ida").ok("post", f"alerts/{told['id']}/accept", {})
        self.exclude("ida")
        self.look()
        assert self.alert().responder_id is None
        assert self.roster()["responder"] == ()
