"""Organisations, the directory, and agreements between controllers (S9, S10, L6)."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from stdnum.no import orgnr

from server.audit.entry import SYSTEM
from server.audit.models import AuditEvent
from server.common.clock import now
from server.common.errors import Invalid
from server.people import actions
from server.people.access import agreeing_with, agreement_between, current_appointment, current_engagement
from server.people.crowd import bulk_staff
from server.people.demo import build_town
from server.people.demo import town as town_data
from server.people.hours import faults
from server.people.models import Agreement, ContactPoint, Controller, Engagement, Unit, User
from server.people.names import display_names, patient_names
from server.vault import actions as vault
from tests.people.conftest import Effects, SignedIn, patient, user
from tests.support.served import sqlite_only

pytestmark = sqlite_only


def ids(*names: str) -> list[Any]:
    return [Controller.objects.get(name=name).id for name in names]


def test_the_town_is_built_once(town: None) -> None:
    before = [model.objects.count() for model in (User, Unit, Engagement, Agreement, ContactPoint, AuditEvent)]
    build_town()
    assert before == [model.objects.count() for model in (User, Unit, Engagement, Agreement, ContactPoint, AuditEvent)]
    for number in [one.org_number for one in Controller.objects.all()] + [one.org_number for one in Unit.objects.all()]:
        assert orgnr.is_valid(number)
        assert number.startswith("3"), "synthetic"
    assert all(faults(hours) == [] for hours in town_data()["hours"].values())
    assert User.objects.filter(username="officer2").exists()


def test_organisations(signed_in: SignedIn, django_assert_num_queries: Any) -> None:
    are = signed_in("are")
    with django_assert_num_queries(4):  # session, units, contact points, who tends them
        page = are.get("/api/v1/organisations").json()
    units = {one["name"]: one for one in page["results"]}
    assert len(units) == 6
    dps = units["Ytre DPS"]
    assert dps["controller"]["name"] == "Helse Fjord"
    assert dps["contact_points"][0]["user"]["name"] == "Mona Lierud"
    assert units["Holmen psykisk helse"]["contact_points"][0]["user"] is None
    assert units["Akuttmottaket"]["attended"] is True
    assert units["Akuttmottaket"]["next_attended_at"] is not None


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"q": "kari"}, ["Kari Lunde"]),
        ({"q": "LUNDE kari"}, ["Kari Lunde"]),
        ({"q": "akutt"}, ["Ida Solheim", "Nils Dahle"]),
        ({"q": "OPPFØLGING"}, ["Vera Haugen"]),
        ({"role": "psykolog"}, ["Kari Lunde", "Sara Bergli"]),
        ({"role": "Psykolog", "q": "dps"}, ["Sara Bergli"]),
        ({"q": "100%"}, []),
        ({"q": "_"}, []),
        ({"q": "Are Strandvik"}, []),
    ],
)
def test_directory(signed_in: SignedIn, query: dict[str, str], names: list[str]) -> None:
    results = signed_in("vera").get("/api/v1/directory", query).json()["results"]
    assert sorted(one["name"] for one in results) == names


def test_the_directory_is_paged_and_shows_current_staff_only(
    signed_in: SignedIn, django_assert_num_queries: Any
) -> None:
    unit = Unit.objects.get(name="Holmen psykisk helse")
    made = bulk_staff([unit], 5)
    Engagement.objects.filter(id=made[0].id).update(ended_at=now())
    User.objects.filter(id=made[1].user_id).update(is_active=False)
    vera = signed_in("vera")
    with django_assert_num_queries(2):
        page = vera.get("/api/v1/directory", {"unit": str(unit.id), "limit": "2"}).json()
    rest = vera.get(page["next"]).json()
    shown = [one["engagement"] for one in page["results"] + rest["results"]]
    assert shown == sorted(str(one.id) for one in made[2:])
    assert rest["next"] is None


@pytest.mark.parametrize(
    "query", [{"unit": "x"}, {"q": "a\x00b"}, {"q": "x" * 101}, {"role": "x" * 41}, {"unit": "%00"}]
)
def test_bad_directory_queries(signed_in: SignedIn, query: dict[str, str]) -> None:
    assert signed_in("vera").get("/api/v1/directory", query).status_code == 400


@pytest.mark.parametrize("cursor", ["x", "cD1hYmM=", "cD0lMDA=", "bz1hYmM=", "%00", "ø" * 50])
@pytest.mark.parametrize("path", ["organisations", "directory", "patients"])
def test_a_forged_cursor_is_never_a_fault_of_ours(signed_in: SignedIn, path: str, cursor: str) -> None:
    kari = signed_in("kari")
    kari.raise_request_exception = False
    assert kari.get(f"/api/v1/{path}", {"cursor": cursor}).status_code < 500


def test_agreements(town: None, effects: Effects) -> None:
    helse, nav, holmen = ids("Helse Fjord", "NAV Fjordvik", "Holmen kommune")
    assert agreement_between(helse, nav)
    assert agreement_between(helse, helse)
    assert len(agreeing_with(helse)) == 5
    agreement = Agreement.objects.get()
    assert not agreement_between(helse, nav, at=agreement.valid_from - timedelta(seconds=1))
    for _ in range(2):
        actions.end_agreement(agreement_id=agreement.id, actor=SYSTEM, reason="ended")
    assert effects.agreements == [agreement.id]
    assert AuditEvent.objects.filter(type="agreement.ended").count() == 1
    assert not agreement_between(helse, nav)
    assert agreement_between(helse, helse)
    assert agreeing_with(helse) == {helse}
    # Two agreements with one party in common join nobody else (L6).
    parties = list(Controller.objects.filter(id__in=[helse, nav]))
    actions.register_agreement(title="A", controllers=parties, actor=SYSTEM)
    parties = list(Controller.objects.filter(id__in=[helse, holmen]))
    actions.register_agreement(title="B", controllers=parties, actor=SYSTEM)
    assert agreement_between(helse, nav)
    assert agreement_between(holmen, helse)
    assert not agreement_between(nav, holmen)
    assert agreeing_with(nav) == {nav, helse}


def test_an_agreement_in_the_future_joins_nobody(town: None, effects: Effects) -> None:
    Agreement.objects.update(ended_at=now())
    helse, nav = Controller.objects.get(name="Helse Fjord"), Controller.objects.get(name="NAV Fjordvik")
    soon = actions.register_agreement(
        title="Soon", controllers=[helse, nav], actor=SYSTEM, valid_from=now() + timedelta(days=1)
    )
    assert not agreement_between(helse.id, nav.id)
    assert agreement_between(helse.id, nav.id, at=now() + timedelta(days=2))
    actions.end_agreement(agreement_id=soon.id, actor=SYSTEM, reason="cancelled")
    assert not agreement_between(helse.id, nav.id, at=now() + timedelta(days=2))


def test_registering_checks(town: None) -> None:
    helse = Controller.objects.get(name="Helse Fjord")
    with pytest.raises(Invalid):
        actions.register_agreement(title="Alone", controllers=[helse, helse], actor=SYSTEM)
    with pytest.raises(Invalid):
        actions.register_controller(name="X", org_number="123456789", actor=SYSTEM)
    with pytest.raises(Invalid) as wrong:
        actions.register_unit(
            controller=helse,
            name="X",
            org_number="313001806",
            kind="other",
            response_hours=1,
            office_hours={"mon": [["9", "10"]]},
            actor=SYSTEM,
        )
    assert wrong.value.errors[0]["code"] == "clock"


def test_the_database_keeps_periods_in_order(town: None) -> None:
    agreement = Agreement.objects.get()
    for wrong in ({"valid_to": agreement.valid_from}, {"ended_at": agreement.valid_from - timedelta(seconds=1)}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Agreement.objects.update(**wrong)


def test_display_names(town: None, django_assert_num_queries: Any) -> None:
    everybody = [user("kari").id, user("are").id, user("trine").id, user("ola").id]
    vault.forget_keys()
    with django_assert_num_queries(2):
        names = display_names(everybody)
    assert names[user("are").id] == "Are Strandvik"
    assert names[user("kari").id] == "Kari Lunde"
    vault.forget_keys()
    with django_assert_num_queries(1):
        display_names([everybody[0]])
    assert display_names([]) == {}
    assert patient_names([patient("are")]) == {patient("are").id: "Are Strandvik"}


def test_current_engagement(town: None) -> None:
    engagement = current_engagement(user("sara").id)
    assert engagement is not None
    assert engagement.unit.controller.name == "Helse Fjord"
    assert current_engagement(user("are").id) is None
    assert current_engagement(user("sara").id, engagement.valid_from - timedelta(seconds=1)) is None
    assert current_appointment(user("ola").id) is not None
    assert current_appointment(user("kari").id) is None
