"""`manage.py demo`: the crowd is what the verbs would have made, and demo mode is a condition."""

import hashlib
import json
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from server.audit.models import AuditEvent
from server.common.clock import now
from server.consent import actions as consents
from server.consent.document import Document
from server.consent.models import Consent, Version
from server.consent.records import parsed
from server.consent.verify import faults
from server.operate.crowd import PURPOSE, SIGN_IN, CrowdRoom, build_crowd, crowd_units
from server.people.actors import Acting, acting_for, acting_in
from server.people.authentication import authenticate_token
from server.people.crowd import bulk_patients, bulk_sessions, bulk_staff
from server.people.models import Controller, Session, User
from server.rooms import actions, permits, writing
from server.rooms.models import Member, Participation, Room, RoomEvent, Span
from server.rooms.posting import Message
from server.vault import actions as vault

pytestmark = pytest.mark.django_db


def acting_with(token: str) -> Acting:
    return acting_in(authenticate_token(token))


def by_the_verbs(staff_count: int) -> Room:
    """A room like the crowd's, one verb at a time."""
    team = bulk_staff(crowd_units(), staff_count)
    patient = bulk_patients(crowd_units(), 1, recorded_by=team[0].user)[0]
    assert patient.user is not None
    opener = acting_for(team[0], sign_in=SIGN_IN, at=now())
    room = actions.open_new_room(
        acting=opener, patient_id=patient.id, purpose=PURPOSE, people=[one.user_id for one in team[1:]]
    )
    _, token = bulk_sessions([(patient.user, None)])[0]
    subject = acting_with(token)
    consents.give(acting=subject, consent=patient.consents.get(room_id=room.id))
    member = Member.objects.get(room=room, user=patient.user)
    actions.participate(acting=subject, room_id=room.id, member_id=member.id, participation=Participation.ACTIVE)
    return Room.objects.get(id=room.id)


def _documents(room_id: Any) -> list[Document]:
    """What the versions say, without the digest of a text that has other names in it."""
    rows = Version.objects.filter(consent__room_id=room_id).order_by("number")
    said = [parsed(row.document) for row in rows]
    return [one.model_copy(update={"text": one.text.model_copy(update={"sha256": ""})}) for one in said]


def shape(room_id: Any) -> dict[str, Any]:
    """Everything about a room that does not depend on who and when."""
    room = Room.objects.get(id=room_id)
    people = {member.user_id: which for which, member in enumerate(Member.objects.filter(room=room).order_by("id"))}

    def told(row: RoomEvent | AuditEvent, of: dict[str, Any]) -> list[Any]:
        return [row.type, sorted(of)]

    events = RoomEvent.objects.filter(room=room).order_by("seq")
    log = AuditEvent.objects.filter(room_id=room.id).order_by("id")
    return {
        "room": (room.purpose, room.head, room.access_epoch, room.opened_by_id in people),
        "members": Counter(
            (member.state, member.participation, member.engagement_id is None, people[member.proposed_by_id])
            for member in Member.objects.filter(room=room)
        ),
        "spans": sorted(Span.objects.filter(member__room=room).values_list("first", "until")),
        "events": [(row.seq, told(row, row.facts), people.get(row.sender_id), row.sealed) for row in events],
        "log": [
            (told(row, row.detail), row.role, row.basis, row.outcome, row.purpose, row.sign_in, len(row.record_ids))
            for row in log
        ],
        "versions": [
            (
                (one.number, one.act, one.state, one.method, one.text, one.terms.categories, one.grantor is not None),
                (len(one.terms.grants), len(one.terms.asked), one.terms.valid_to is None, len(one.basis.gdpr)),
            )
            for one in _documents(room.id)
        ],
        "sound": [faults(one) for one in Consent.objects.filter(room_id=room.id)],
    }


def test_a_crowd_room_has_the_rows_that_the_verbs_would_have_made() -> None:
    made = next(iter(build_crowd(rooms=1, members=4)))
    assert shape(made.id) == shape(by_the_verbs(3).id)


def test_every_member_of_the_crowd_may_read_and_write_at_once() -> None:
    rooms = list(build_crowd(rooms=2, members=3))
    assert len({room.id for room in rooms}) == 2
    for room in rooms:
        assert len(room.staff) == 2
        for which, person in enumerate((room.patient, *room.staff)):
            who = acting_with(person.token)
            assert who.user.id == person.user
            posted, permit = writing.post(acting=who, room_id=room.id, message=Message(f"t{which}", "Hei"))
            assert posted.created
            assert permit.valid_until is None or permit.valid_until > now()
        heads = Room.objects.get(id=room.id).head
        assert RoomEvent.objects.filter(room_id=room.id).count() == heads
    found = permits.load([room.id for room in rooms])
    assert len(found) == 6


def test_the_consent_text_opens_and_has_its_hash() -> None:
    made = next(iter(build_crowd(rooms=1, members=3)))
    for version in Version.objects.filter(consent_id=made.consent):
        text = vault.unseal(version.text_sealed, place="consent_version.text", row=version.id)
        assert hashlib.sha256(text.encode()).hexdigest() == parsed(version.document).text.sha256
        assert "Ansatt 0" in text


def test_more_than_one_batch_and_a_second_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.operate.crowd.ROOMS_AT_A_TIME", 2)
    first: list[CrowdRoom] = list(build_crowd(rooms=3, members=2))
    again = list(build_crowd(rooms=1, members=2))
    assert len({room.id for room in first + again}) == 4
    assert Controller.objects.count() == 2, "the organisations are made once"


def test_the_command_writes_the_contract_shape(tmp_path: Path) -> None:
    out = tmp_path / "crowd.json"
    out.write_text("x" * 100_000)
    call_command("demo", "crowd", rooms=2, members=3, out=out, stdout=(tmp_path / "said").open("w"))
    rooms = json.loads(out.read_text())["rooms"]
    assert [sorted(room) for room in rooms] == [["consent", "id", "patient", "staff"]] * 2
    assert [len(room["staff"]) for room in rooms] == [2, 2]
    people = [person for room in rooms for person in (room["patient"], *room["staff"])]
    assert all(sorted(person) == ["token", "user"] for person in people)
    assert {str(one) for one in Session.objects.values_list("user_id", flat=True)} == {one["user"] for one in people}


def test_the_file_of_tokens_is_for_its_owner_alone(tmp_path: Path) -> None:
    out = tmp_path / "crowd.json"
    call_command("demo", "crowd", rooms=1, members=2, out=out, stdout=(tmp_path / "said").open("w"))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_the_town_is_built_once(tmp_path: Path) -> None:
    for _ in range(2):
        call_command("demo", "town", stdout=(tmp_path / "said").open("w"))
    assert User.objects.filter(username="are").count() == 1
    assert "kari" in (tmp_path / "said").read_text()


@pytest.mark.parametrize("words", [["town"], ["crowd", "--rooms", "1", "--members", "2", "--out", "never.json"]])
def test_refused_outside_demo_mode(settings: Settings, words: list[str]) -> None:
    settings.DEMO = False
    with pytest.raises(CommandError, match=r"^invented people belong in demo mode.*$"):
        call_command("demo", *words)
    assert not User.objects.exists()
    assert not Path("never.json").exists()


@pytest.mark.parametrize(("rooms", "members"), [(0, 2), (1, 1), (1, 51), (20_001, 2)])
def test_numbers_that_make_no_sense(rooms: int, members: int) -> None:
    with pytest.raises(ValueError, match="from"):
        build_crowd(rooms=rooms, members=members)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"^cannot write .*: No such file or directory$"):
        call_command("demo", "crowd", rooms=1, members=2, out=tmp_path / "none" / "crowd.json")
    assert not User.objects.exists()
