"""Withdrawal stops sharing, never care (M4): the task to offer a call always waits for somebody who is there."""

from server.audit.entry import SYSTEM
from server.consent import worker
from server.duties.models import Duty, Kind
from server.people import actions as people
from tests.base import TownTestCase


class OfferOfACall(TownTestCase):
    def offers(self) -> list[Duty]:
        return list(Duty.objects.filter(kind=Kind.OFFER_CALL).order_by("id"))

    def test_one_named_clinician_who_took_part(self) -> None:
        """Red when `offer_call` is not called, or called for each member."""
        room = self.open_shared_room()
        self.withdraw(room)
        self.withdraw(room)
        (offer,) = self.offers()
        assert offer.user_id == self.user_id("frida"), "of those who took part, whoever treats him"
        assert offer.room_id == room.id
        told = self.person("frida").ok("get", "duties")["results"]
        assert [one["kind"] for one in told] == ["offer_call"]

    def test_nobody_is_asked_when_nothing_was_shared(self) -> None:
        self.withdraw(self.open_room())
        assert self.offers() == []

    def test_it_is_handed_on_when_they_leave(self) -> None:
        """Red when the worker does not ask for stranded offers; and when it asks twice."""
        self.withdraw(self.open_shared_room())
        people.end_engagement(engagement_id=self.engagement_of("frida").id, actor=SYSTEM, reason="left")
        for _ in range(2):
            worker.tick()
        assert [offer.user_id for offer in self.offers()] == [self.user_id("frida"), self.user_id("kari")]
