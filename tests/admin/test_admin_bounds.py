"""What an administrator's pages do not tell, however they are asked; and what no administrator does for themself."""

from typing import Any

from django.urls import reverse

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.duties.models import Duty
from server.operate.admin_site.pages import SITE
from server.people import actions as people
from server.people.actions.sessions import sign_in_lasting
from server.people.models import Engagement, Officer, Patient, Session, User
from tests.admin.test_admin import AdminTestCase
from tests.support.served import sqlite_only

pytestmark = sqlite_only

NAMED = {"user": {"is_active", "is_administrator"}, "engagement": {"health_personnel", "leads"}}
NAMED["session"] = {"sign_in", "device"}


class Asked(AdminTestCase):
    def test_nothing_but_the_named_filters(self) -> None:
        """Red when an address sorts people by what the page does not show, as who is a patient."""
        Patient.objects.filter(user__username="are").update(user=User.objects.get(username="kari"))
        allowed = self.audit(type="admin.viewed", outcome="success")
        for model in SITE._registry:
            name = str(model._meta.model_name)
            address = reverse(f"admin:{model._meta.app_label}_{name}_changelist")
            fields = {one.name for one in model._meta.get_fields()} - NAMED.get(name, set())
            for asked in (f"{one}__isnull" for one in fields):
                assert self.admin.get(address, {asked: "1"}).status_code == 404, (name, asked)
            for asked in ("_popup", "_to_field", "_facets", "q", "pk", "id__in", "nothing", "name__startswith"):
                assert self.admin.get(address, {asked: "1"}).status_code == 404, (name, asked)
            for asked in NAMED.get(name, set()):
                assert self.admin.get(address, {f"{asked}__startswith": "1"}).status_code == 404
        for page in ("people_user", "people_engagement"):
            assert self.admin.get(reverse(f"admin:{page}_add"), {"_popup": "1"}).status_code == 404
        assert len(self.audit(type="admin.viewed", outcome="success")) == len(allowed)
        assert self.audit(type="admin.viewed", reason="unknown_filter", outcome="refused")

    def test_a_filter_stands_in_the_log(self) -> None:
        address = reverse("admin:people_user_changelist")
        assert "kari" in self.page(address)
        text = self.page(address + "?is_administrator__exact=1&o=1&p=1")
        assert "kari" not in text
        assert "_facets" not in text
        event = self.audit(type="admin.viewed")[-1]
        assert event.detail == {"page": "people_user_changelist", "filters": ["is_administrator"]}

    def test_every_link_of_a_filter_leads_somewhere(self) -> None:
        for model in SITE._registry:
            name = str(model._meta.model_name)
            address = reverse(f"admin:{model._meta.app_label}_{name}_changelist")
            for asked in NAMED.get(name, set()):
                for value in ({f"{asked}__exact": "0"}, {asked: "demo"} if asked == "sign_in" else {}):
                    assert self.admin.get(address, value).status_code in (200, 302), (name, asked)

    def test_whose_session_a_patients_is(self) -> None:
        """Whoever works here may be a patient too; by their id they could be found among the people at work."""
        kari = User.objects.get(username="kari")
        Patient.objects.filter(user__username="are").update(user=kari)
        sign_in_lasting(user=kari, method="citizen_oidc", level=4, as_patient=True, device="other", proved_at=now())
        Session.objects.filter(user=kari, as_patient=False).delete()
        text = self.page(reverse("admin:people_session_changelist"))
        assert "citizen_oidc" in text
        assert str(kari.id) not in text


class Oneself(AdminTestCase):
    def refused(self, name: str, **said: Any) -> None:
        answer = self.send(reverse(f"admin:{name}_add"), **said)
        assert answer.status_code == 409, answer.content

    def test_nobody_engages_or_appoints_themself(self) -> None:
        me, unit = self.user_id("admin"), self.engagement_of("kari").unit
        self.refused("people_engagement", user=me, unit=unit.id, role="overlege", health_personnel="on", leads="on")
        self.refused("people_officer", user=me, controller=unit.controller_id, email="x@example.org")
        assert not Engagement.objects.filter(user_id=me).exists()
        assert not Officer.objects.filter(user_id=me).exists()
        officer = Officer.objects.create(user_id=me, controller_id=unit.controller_id, valid_from=now())
        address = reverse("admin:people_officer_changelist")
        answer = self.send(address, action="let_verify_the_log", _selected_action=[str(officer.id)], index="0")
        officer.refresh_from_db()
        assert (answer.status_code, officer.verifies_log) in {(409, False), (404, False)}
        assert self.audit(type="officer.appointed", reason="own", outcome="refused")

    def test_others_are_told(self) -> None:
        """The controller's officers of a new one; who leads there, of a new leader."""
        known = Officer.objects.current().first()
        assert known is not None
        self.added("people_user", name="Ny Ansatt", username="ny", language="nb")
        new = User.objects.get(username="ny")
        self.added("people_officer", user=new.id, controller=known.controller_id, email="ny@example.org")
        assert Duty.objects.filter(user_id=known.user_id, code="officer_appointed").count() == 1
        assert not Duty.objects.filter(user_id=new.id).exists()
        unit = self.engagement_of("kari").unit
        ola = User.objects.get(username="ola")
        people.engage(user=ola, unit=unit, role="leder", health_personnel=False, leads=True, actor=SYSTEM)
        self.added("people_engagement", user=new.id, unit=unit.id, role="sykepleier", leads="on")
        assert Duty.objects.filter(user_id=ola.id, code="leader_engaged").count() == 1
