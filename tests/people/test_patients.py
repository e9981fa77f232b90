"""Patients: registered once, seen through a relation, every look on record, the number nowhere."""

import json
import logging
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from rest_framework.test import APIClient

from server.audit.models import AuditEvent
from server.common.errors import NotFound
from server.common.ids import new_id
from server.people import actions
from server.people.access import patients_of
from server.people.actions import patients as verbs
from server.people.actors import acting_in
from server.people.crowd import bulk_patients, unused_numbers
from server.people.demo import town as town_data
from server.people.models import Patient, Relation, Session, Unit
from server.people.sealed import open_person
from server.vault import actions as vault
from tests.people.conftest import SignedIn, patient, user

PATIENTS = "/api/v1/patients"


@pytest.fixture
def number() -> str:
    return "01419010290"


def body(number: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": "Test Testesen",
        "national_identity_number": number,
        "language": "nn",
        "phone": "400 00 003",
        "phone_verified": True,
        "safe_contact": {"may_call": True, "others_may_answer": "Mor kan svare"},
        "relation": {"kind": "treatment", "reason": "Henvist hit"},
        **changes,
    }


def test_registering_makes_a_patient_and_a_relation(signed_in: SignedIn, number: str) -> None:
    kari = signed_in("kari")
    answer = kari.post(PATIENTS, body(number), format="json")
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert made == {
        "id": made["id"],
        "user": None,
        "name": "Test Testesen",
        "language": "nn",
        "address_protected": False,
        "phone": "+4740000003",
        "phone_verified": True,
        "safe_contact": {
            "may_call": True,
            "may_text": False,
            "may_leave_message": False,
            "others_may_answer": "Mor kan svare",
        },
    }
    assert kari.get(f"{PATIENTS}/{made['id']}").json() == made
    event = AuditEvent.objects.get(type="patient.registered", subject_id=made["id"])
    assert event.unit_id == Unit.objects.get(name="Fjordvik psykisk helse og rus").id
    relation = Relation.objects.get(patient_id=made["id"])
    assert (relation.kind, relation.recorded_by) == ("treatment", user("kari"))
    assert event.object_id == relation.id


def test_a_known_number_only_gets_a_relation(signed_in: SignedIn, number: str) -> None:
    first = signed_in("kari").post(PATIENTS, body(number), format="json").json()
    sara = signed_in("sara")
    assert sara.get(f"{PATIENTS}/{first['id']}").status_code == 404
    other = body(number, name="Somebody Else", language="en", phone="40000009", address_protected=True)
    again = sara.post(PATIENTS, other, format="json")
    assert again.status_code == 200
    assert again.json() == first
    assert AuditEvent.objects.filter(type="relation.recorded", subject_id=first["id"]).count() == 1
    # A third time the relation is there too: nothing is recorded but the look that the answer is.
    assert sara.post(PATIENTS, other, format="json").status_code == 200
    assert Relation.objects.filter(patient_id=first["id"]).count() == 2
    assert AuditEvent.objects.filter(type="patient.viewed", subject_id=first["id"], outcome="success").count() == 1


def test_a_number_may_be_written_with_a_space(signed_in: SignedIn, number: str) -> None:
    kari = signed_in("kari")
    first = kari.post(PATIENTS, body(number), format="json").json()
    again = kari.post(PATIENTS, body(f"{number[:6]} {number[6:]}"), format="json")
    assert again.json()["id"] == first["id"]


def test_two_who_register_the_same_number_at_once(
    signed_in: SignedIn, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = signed_in("kari").post(PATIENTS, body(number), format="json").json()
    monkeypatch.setattr(verbs, "_registered", lambda _: None)  # as it looked before the other committed
    again = signed_in("sara").post(PATIENTS, body(number), format="json")
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    assert Patient.objects.filter(id=first["id"]).count() == 1


def test_a_retry_is_the_same_act_while_the_relation_holds(signed_in: SignedIn, number: str) -> None:
    kari = signed_in("kari")
    first = kari.post(PATIENTS, body(number), format="json", HTTP_IDEMPOTENCY_KEY="one")
    again = kari.post(PATIENTS, body(number), format="json", HTTP_IDEMPOTENCY_KEY="one")
    assert (again.status_code, again.json()) == (201, first.json())
    assert kari.post(PATIENTS, body(number, name="B"), format="json", HTTP_IDEMPOTENCY_KEY="one").status_code == 409
    acting = acting_in(Session.objects.in_full().get(user=user("kari")))
    actions.end_relation(
        acting=acting, relation_id=Relation.objects.get(patient_id=first.json()["id"]).id, reason="done"
    )
    assert kari.post(PATIENTS, body(number), format="json", HTTP_IDEMPOTENCY_KEY="one").status_code == 404


WRONG = [
    ("national_identity_number", "01419010291"),
    ("national_identity_number", "1"),
    ("national_identity_number", ""),
    ("national_identity_number", None),
    ("national_identity_number", ["01419010290"]),
    ("national_identity_number", "٠١٤١٩٠١٠٢٩٠"),
    ("national_identity_number", "0141901029²"),
    ("phone", "12"),
    ("phone", "+4740000003x9999999"),
    ("phone", {"a": 1}),
    ("name", ""),
    ("name", "x" * 201),
    ("name", "a\x00b"),
    ("language", "de"),
    ("safe_contact", "yes"),
    ("safe_contact", {"may_call": "perhaps"}),
    ("safe_contact", {"others_may_answer": "x" * 301}),
    ("relation", None),
    ("relation", {"kind": "treatment"}),
    ("relation", {"kind": "friend", "reason": "x"}),
    ("relation", {"kind": "treatment", "reason": ""}),
    ("address_protected", "perhaps"),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_bad_input_is_400_and_never_quoted(signed_in: SignedIn, number: str, field: str, value: Any) -> None:
    before = Patient.objects.count()
    answer = signed_in("kari").post(PATIENTS, body(number, **{field: value}), format="json")
    assert answer.status_code == 400
    told = answer.content.decode()
    assert number not in told
    if isinstance(value, str) and len(value) > 2:
        assert value not in told
    assert Patient.objects.count() == before


@pytest.mark.parametrize("persona", ["are", "ola", "admin"])
def test_only_staff_see_or_register(signed_in: SignedIn, number: str, persona: str) -> None:
    client = signed_in(persona)
    assert client.get(PATIENTS).json()["code"] == "staff_only"
    assert client.post(PATIENTS, body(number), format="json").status_code == 403
    assert client.get(f"{PATIENTS}/{patient('are').id}").status_code == 404
    assert not Patient.objects.filter(user=None).exists()


def test_foreign_ended_and_missing_are_told_apart_by_nothing(
    signed_in: SignedIn, django_assert_num_queries: Any
) -> None:
    kari, vera = signed_in("kari"), signed_in("vera")
    are = patient("are")
    assert kari.get(f"{PATIENTS}/{are.id}").status_code == 200
    Relation.objects.filter(patient=are, unit__name__startswith="Fjordvik psykisk").update(ended_at=F("valid_from"))
    answers = [
        kari.get(f"{PATIENTS}/{are.id}"),  # ended
        vera.get(f"{PATIENTS}/{are.id}"),  # foreign
        vera.get(f"{PATIENTS}/{new_id()}"),  # missing
    ]
    assert {(one.status_code, one.content) for one in answers} == {(404, answers[0].content)}
    refused = AuditEvent.objects.filter(type="patient.viewed", outcome="refused")
    assert sorted(str(one.subject_id) for one in refused) == sorted([str(are.id), str(are.id), "None"])
    assert kari.get(f"{PATIENTS}/not-a-uuid").status_code == 404


def test_every_look_is_on_record(signed_in: SignedIn) -> None:
    kari = signed_in("kari")
    page = kari.get(PATIENTS).json()
    assert sorted(one["name"] for one in page["results"]) == ["Are Strandvik", "Trine Holmåsen"]
    assert set(page["results"][0]) == {"id", "user", "name", "language", "address_protected"}
    events = AuditEvent.objects.filter(type="patient.viewed", outcome="success")
    assert sorted(str(event.subject_id) for event in events) == sorted(one["id"] for one in page["results"])
    assert "Are" not in json.dumps([event.detail for event in events])
    assert [one["name"] for one in signed_in("vera").get(PATIENTS).json()["results"]] == []
    kari.get(f"{PATIENTS}/{patient('are').id}")
    assert AuditEvent.objects.filter(type="patient.viewed", subject_id=patient("are").id).count() == 2


def test_a_look_that_cannot_be_recorded_does_not_happen(signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch) -> None:
    kari = signed_in("kari")

    def broken(_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(verbs, "record", broken)
    monkeypatch.setattr(verbs, "record_many", broken)
    kari.raise_request_exception = False
    for address in (PATIENTS, f"{PATIENTS}/{patient('are').id}"):
        answer = kari.get(address)
        assert answer.status_code == 500
        assert b"Are" not in answer.content


def test_pages_and_their_statements(signed_in: SignedIn, django_assert_num_queries: Any) -> None:
    unit = Unit.objects.get(name="NAV Fjordvik oppfølging")
    made = {str(one.id) for one in bulk_patients([unit], 7, recorded_by=user("vera"))}
    vera = signed_in("vera")
    vault.forget_keys()
    with django_assert_num_queries(7):  # session; savepoint, page, keys, names of keys, event, release
        page = vera.get(PATIENTS, {"limit": 5}).json()
    assert len(page["results"]) == 5
    seen = {one["id"] for one in page["results"]}
    rest = vera.get(page["next"]).json()
    assert rest["next"] is None
    assert seen | {one["id"] for one in rest["results"]} == made
    assert len(rest["results"]) == 2


def test_the_detail_costs_six_statements(signed_in: SignedIn, django_assert_num_queries: Any) -> None:
    kari, are = signed_in("kari"), patient("are")
    vault.forget_keys()
    with django_assert_num_queries(6):  # session; savepoint, patient, event, release; key
        kari.get(f"{PATIENTS}/{are.id}")


def test_nothing_personal_lies_open_in_the_database(signed_in: SignedIn, number: str) -> None:
    signed_in("kari").post(PATIENTS, body(number, address_protected=True), format="json")
    words = ["Testesen", number, number[:6], "40000003", "Mor kan svare", "Henvist hit", "Holmåsen", "Strandvik"]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            if not table.startswith(("people_", "audit_", "vault_", "common_")):
                continue
            cursor.execute(f"SELECT * FROM {table}")
            for row in cursor.fetchall():
                stored = " ".join(
                    bytes(one).decode("latin-1") if isinstance(one, bytes | memoryview) else str(one) for one in row
                )
                for word in words:
                    assert word not in stored, table


def test_nothing_personal_is_logged_even_at_debug(
    signed_in: SignedIn, number: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="server")
    caplog.set_level(logging.DEBUG, logger="django.request")
    kari = signed_in("kari")
    kari.post(PATIENTS, body(number), format="json")
    kari.post(PATIENTS, body(number[:-1] + "1"), format="json")
    assert number not in caplog.text
    assert "Testesen" not in caplog.text


def test_a_lapsed_relation_is_closed_and_a_new_one_recorded(signed_in: SignedIn) -> None:
    kari = signed_in("kari")
    are = patient("are")
    relation = Relation.objects.get(patient=are, unit__name__startswith="Fjordvik psykisk")
    number = next(one["number"] for one in town_data()["patients"] if one["username"] == "are")
    begun = relation.valid_from
    Relation.objects.filter(id=relation.id).update(valid_from=begun.replace(year=2020), valid_to=begun)
    assert kari.get(f"{PATIENTS}/{are.id}").status_code == 404
    relation_in = {"kind": relation.kind, "reason": "Ny kontakt"}
    assert kari.post(PATIENTS, body(number, relation=relation_in), format="json").status_code == 200
    relation.refresh_from_db()
    assert relation.ended_at == relation.valid_to
    assert Relation.objects.filter(patient=are, unit=relation.unit, ended_at=None).count() == 1
    assert kari.get(f"{PATIENTS}/{are.id}").json()["name"] == "Are Strandvik"


def test_ending_a_relation_is_the_units_own_affair(signed_in: SignedIn) -> None:
    kari, sara = signed_in("kari"), signed_in("sara")
    relation = Relation.objects.get(patient=patient("are"), unit__name__startswith="Fjordvik psykisk")
    outsider = acting_in(Session.objects.in_full().get(user=user("sara")))
    with pytest.raises(NotFound):
        actions.end_relation(acting=outsider, relation_id=relation.id, reason="done")
    insider = acting_in(Session.objects.in_full().get(user=user("kari")))
    for _ in range(2):
        actions.end_relation(acting=insider, relation_id=relation.id, reason="done")
    assert AuditEvent.objects.filter(type="relation.ended").count() == 1
    assert [one.id for one in patients_of(insider)] == [patient("trine").id]
    assert kari.get(f"{PATIENTS}/{relation.patient_id}").status_code == 404
    assert sara.get(f"{PATIENTS}/{patient('trine').id}").status_code == 200


def test_an_erased_patient_has_no_name_left(signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch) -> None:
    class Custodian:
        def may_destroy(self, scope: str, owner: object) -> None:
            return None

        def record_destruction(self, *_: object) -> None:
            return None

    monkeypatch.setattr("server.vault.ports.CUSTODY._bound", Custodian())
    trine = patient("trine")
    vault.destroy_key(trine.key, reason="erasure", actor=None)
    vault.forget_keys()
    person = open_person(trine)
    assert person.name in ("(slettet)", "(erased)")
    assert (person.phone, person.safe_contact.others_may_answer) == ("", "")
    assert signed_in("sara").get(f"{PATIENTS}/{trine.id}").status_code == 200


def test_numbers_of_the_crowd_are_valid_and_unused(town: None) -> None:
    first = unused_numbers(30)
    assert len(set(first)) == 30
    bulk_patients([Unit.objects.earliest("id")], 10, recorded_by=user("kari"))
    assert set(unused_numbers(20)) == set(first[10:])


def test_without_a_session_nothing_is_answered(town: None) -> None:
    for address in (PATIENTS, f"{PATIENTS}/{new_id()}", "/api/v1/organisations", "/api/v1/directory", "/api/v1/me"):
        assert APIClient().get(address).status_code == 401
