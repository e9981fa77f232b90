"""Who is told what somebody did at work (L3), and on which basis a controller processes it (L1)."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.common.errors import Invalid
from server.people import actions
from server.people.access import leaders_of
from server.people.models import Controller, Engagement, Officer, Unit, User
from tests.base import TownTestCase

LATER = timedelta(days=1)


class Leaders(TownTestCase):
    def told(self, name: str) -> list[str]:
        with CaptureQueriesContext(connection) as seen:
            found = leaders_of(self.engagement_of(name))
        assert len(seen) <= 3, "the engagement, and at most two of ours"
        return [User.objects.get(id=one).username for one in found]

    def engage(self, name: str, unit: str, **more: Any) -> Engagement:
        user, _ = User.objects.get_or_create(username=name, defaults={"name": name})
        place = Unit.objects.get(name=unit)
        return actions.engage(
            user=user, unit=place, role="leder", health_personnel=True, leads=True, actor=SYSTEM, **more
        )

    def test_the_units_own(self) -> None:
        """Red when nobody is asked to lead, or every unit's leaders are told."""
        assert self.told("sara") == ["mona"]
        self.engage("akuttleder", "Akuttmottaket")
        assert self.told("nils") == ["akuttleder"]
        assert self.told("sara") == ["mona"]

    def test_another_units_of_the_same_controller(self) -> None:
        """Red when other units, or other controllers, are not told apart."""
        assert self.told("nils") == ["mona"]
        self.engage("navleder", "NAV Fjordvik oppfølging")
        assert self.told("nils") == ["mona"]
        assert self.told("vera") == ["navleder"]

    def test_the_officers_where_nobody_leads(self) -> None:
        Engagement.objects.filter(leads=True).update(leads=False)
        assert self.told("nils") == ["ola", "officer2"]
        assert self.told("kari") == [], "nobody at all: whoever acts on this must say so"

    def test_never_the_person_themself(self) -> None:
        """Red when the actor may be told of their own act; being told of it by oneself is nobody being told."""
        assert self.told("mona") == ["ola", "officer2"]
        actions.appoint_officer(
            user=User.objects.get(username="kari"),
            controller=Controller.objects.get(name="Fjordvik kommune"),
            actor=SYSTEM,
        )
        assert self.told("kari") == []
        assert self.told("frida") == []

    def test_only_who_leads_now(self) -> None:
        """Red when a former, a coming or a closed account's leadership counts."""
        self.engage("nyleder", "Akuttmottaket", valid_from=now() + LATER)
        gone = self.engage("gammelleder", "Akuttmottaket")
        actions.end_engagement(engagement_id=gone.id, actor=SYSTEM, reason="left")
        closed = self.engage("stengt", "Akuttmottaket")
        User.objects.filter(id=closed.user_id).update(is_active=False)
        assert self.told("nils") == ["mona"]
        User.objects.filter(username="mona").update(is_active=False)
        User.objects.filter(username="officer2").update(is_active=False)
        assert self.told("nils") == ["ola"]
        Officer.objects.update(ended_at=now())
        assert self.told("nils") == []

    def test_each_once(self) -> None:
        self.engage("mona", "Holmen psykisk helse")
        unit = Unit.objects.get(name="Ytre DPS")
        mona = User.objects.get(username="mona")
        actions.engage(user=mona, unit=unit, role="overlege", health_personnel=True, leads=True, actor=SYSTEM)
        assert self.told("sara") == ["mona"]


class LegalBasis(TownTestCase):
    def test_every_controller_of_the_town_has_one(self) -> None:
        for one in Controller.objects.all():
            assert one.article_6 in ("6(1)(c)", "6(1)(e)")
            assert one.article_9.startswith("9(2)(")
            assert "§" in one.statute

    def test_it_is_never_consent(self) -> None:
        """Red when either constraint, or the check before it, goes (L1)."""
        helse = Controller.objects.filter(name="Helse Fjord")
        for wrong in (
            {"article_6": "6(1)(a)"},
            {"article_6": "6(1)(A)"},
            {"article_6": "6(1)(e), 6(1)(a)"},
            {"article_6": "samtykke"},
            {"article_9": "9(2)(a)"},
            {"article_9": "9(2)(h), 9(2)(A)"},
            {"article_9": "6(1)(e)"},
        ):
            (field,) = wrong
            with pytest.raises(IntegrityError, match=f"{field}_never_consent"), transaction.atomic():
                helse.update(**wrong)
            with pytest.raises(Invalid) as refused:
                actions.register_controller(name="X", org_number="313001806", actor=SYSTEM, **wrong)
            assert refused.value.errors == [{"field": field, "code": "legal_basis", "detail": ""}]

    def test_it_may_be_recorded_later(self) -> None:
        made = actions.register_controller(name="X", org_number="313001806", actor=SYSTEM)
        assert (made.article_6, made.article_9, made.statute) == ("", "", "")
        Controller.objects.filter(id=made.id).update(article_6="6(1)(c), 6(1)(e)", article_9="9(2)(h)")
