"""Nobody reviews what they did themselves."""

from server.audit.entry import SYSTEM
from server.duties import actions as duties
from server.duties.models import Kind
from server.people.models import Patient
from tests.base import TownTestCase


class OwnReview(TownTestCase):
    def test_an_officer_does_not_see_the_review_of_their_own_act(self) -> None:
        """Red when `concerns` is not asked for."""
        about = {"patient": Patient.objects.get(id=self.patient_id("trine")), "actor": SYSTEM}
        helse_fjord = self.engagement_of("nils").unit.controller_id
        for whose in ("ola", "nils"):
            duties.owe(kind=Kind.EMERGENCY_REVIEW, controller_id=helse_fjord, concerns_id=self.user_id(whose), **about)
        (seen,) = self.person("ola").ok("get", "duties")["results"]
        own = {"answer": "i orden"}
        assert self.person("ola").ok("post", f"duties/{seen['id']}/done", own)["answered"]
        assert self.person("ola").ok("get", "duties")["results"] == []
