"""Who I am, for whom I act, what I may do."""

from datetime import timedelta
from typing import Any

import pytest

from server.audit.entry import SYSTEM
from server.audit.models import AuditEvent
from server.common.clock import now
from server.common.ids import new_id
from server.people import actions
from server.people.actors import actor_of
from server.people.models import Engagement, Session, Unit
from tests.people.conftest import SignedIn, patient, user
from tests.support.served import sqlite_only

pytestmark = sqlite_only

ME = "/api/v1/me"


@pytest.mark.parametrize(
    ("persona", "kind", "may", "may_not"),
    [
        ("are", "patient", "consents.decide", "patients.read"),
        ("kari", "staff", "emergency_access.use", "review.read"),
        ("vera", "staff", "patients.register", "emergency_access.use"),
        ("ola", "officer", "review.read", "patients.read"),
        ("admin", "administrator", "directory.read", "patients.read"),
    ],
)
def test_each_kind_of_person(signed_in: SignedIn, persona: str, kind: str, may: str, may_not: str) -> None:
    me = signed_in(persona).get(ME).json()
    assert me["kind"] == kind
    assert me["user"] == str(user(persona).id)
    assert may in me["capabilities"]
    assert may_not not in me["capabilities"]


def test_names(signed_in: SignedIn) -> None:
    assert signed_in("are").get(ME).json()["name"] == "Are Strandvik"
    assert signed_in("are").get(ME).json()["patient"] == str(patient("are").id)
    kari = signed_in("kari").get(ME).json()
    assert kari["name"] == "Kari Lunde"
    assert [one["acting_for"] for one in kari["engagements"]] == [True]
    assert kari["engagements"][0]["unit"]["controller"]["name"] == "Fjordvik kommune"
    assert signed_in("ola").get(ME).json()["appointment"]["controller"]["name"] == "Helse Fjord"


def test_an_officer_acts_for_their_controller(signed_in: SignedIn) -> None:
    signed_in("ola")
    session = Session.objects.in_full().get(user__username="ola")
    actor = actor_of(session)
    assert session.officer is not None
    assert (actor.role, actor.controller_id, actor.unit_id) == ("officer", session.officer.controller_id, None)


def test_language(signed_in: SignedIn) -> None:
    are = signed_in("are")
    answer = are.patch(ME, {"language": "en"}, format="json")
    assert answer.json()["language"] == "en"
    assert are.get(ME).json()["language"] == "en"
    assert patient("are").language == "en"
    assert AuditEvent.objects.filter(type="user.language_set", subject_id=patient("are").id).count() == 1


def test_changing_nothing_is_no_act(signed_in: SignedIn) -> None:
    assert signed_in("kari").patch(ME, {}, format="json").json()["language"] == "nb"
    assert not AuditEvent.objects.filter(type="user.language_set").exists()


@pytest.mark.parametrize("body", [{"language": "de"}, {"language": None}, {"language": ["nb"]}, [], {"language": {}}])
def test_bad_language(signed_in: SignedIn, body: Any) -> None:
    assert signed_in("kari").patch(ME, body, format="json").status_code == 400


def test_acting_for_another_engagement(
    signed_in: SignedIn, sent: list[tuple[str, str]], django_capture_on_commit_callbacks: Any
) -> None:
    second = actions.engage(
        user=user("kari"), unit=Unit.objects.get(name="Ytre DPS"), role="veileder", health_personnel=False, actor=SYSTEM
    )
    kari = signed_in("kari")
    first = kari.get(ME).json()["engagements"]
    assert [one["acting_for"] for one in first] == [True, False]
    with django_capture_on_commit_callbacks(execute=True):
        answer = kari.post(f"{ME}/engagement", {"engagement": str(second.id)}, format="json")
    assert [one["acting_for"] for one in answer.json()["engagements"]] == [False, True]
    assert "emergency_access.use" not in answer.json()["capabilities"]
    event = AuditEvent.objects.get(type="engagement.chosen")
    assert (event.engagement_id, event.unit_id, event.role) == (second.id, second.unit_id, "veileder")
    assert sent == [("session", str(Session.objects.get(user=user("kari")).sid))]
    # What they see follows: Are has a relation to Fjordvik, Trine to both.
    assert kari.get(f"/api/v1/patients/{patient('are').id}").status_code == 404
    assert kari.get(f"/api/v1/patients/{patient('trine').id}").status_code == 200


def test_only_ones_own_current_engagements_can_be_chosen(signed_in: SignedIn) -> None:
    kari = signed_in("kari")
    past = Engagement.objects.create(
        user=user("kari"),
        unit=Unit.objects.get(name="Ytre DPS"),
        role="x",
        valid_from=now() - timedelta(days=2),
        valid_to=now() - timedelta(days=1),
    )
    bodies = set()
    for foreign in (new_id(), past.id, Engagement.objects.get(user=user("sara")).id):
        answer = kari.post(f"{ME}/engagement", {"engagement": str(foreign)}, format="json")
        assert answer.status_code == 404
        bodies.add(answer.content)
    assert len(bodies) == 1
    assert kari.post(f"{ME}/engagement", {"engagement": "x"}, format="json").status_code == 400
    assert AuditEvent.objects.filter(type="engagement.chosen", outcome="refused").count() == 3
