"""What is sealed of an event: canonical bytes, the database's time, and details only as a salted commitment."""

import json
from typing import Any
from uuid import UUID

import pytest
import rfc8785
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from server.audit import detail, leaf
from server.audit.actions import record
from server.audit.entry import Actor, Entry
from server.audit.models import AuditEvent
from server.common.ids import new_id
from server.common.sql import rfc3339
from server.people.models import Patient
from server.review.custody import KeyCustody
from server.vault import actions as vault
from server.vault.errors import Destroyed, Unreadable
from tests.base import TownTestCase

ids = st.none() | st.uuids()
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.fixed_dictionaries({
    "event": st.uuids(),
    **dict.fromkeys(("actor", "controller", "unit", "engagement", "subject", "room", "target"), ids),
    **dict.fromkeys(("act", "role", "sign_in", "purpose", "basis", "outcome", "reason", "request"), words),
    **dict.fromkeys(("commitment", "sealed", "follows"), st.none() | words),
    "records": st.lists(st.uuids(), max_size=3),
}))  # fmt: skip
def test_it_is_canonical(said: dict[str, Any]) -> None:
    """RFC 8785, by the library's word. Mutation: sort no key, or escape what JSON need not."""
    text = leaf.parts(**said).at("2026-11-22T01:02:03.000004Z")
    read = json.loads(text)
    assert rfc8785.dumps(read).decode() == text
    assert read["v"] == leaf.VERSION
    assert ("follows" in read) == (said["follows"] is not None)


@pytest.mark.parametrize(
    ("act", "basis", "where", "use"),
    [
        ("events.viewed", "consent", "sr", "COC"),
        ("events.viewed", "emergency", "sr", "BTG"),
        ("emergency_access.begun", "", "sr", "BTG"),
        ("alert.accepted", "duty_phone", "s", "ETREAT"),
        ("patient.viewed", "relation", "s", "TREAT"),
        ("access_log.viewed", "self", "s", None),
        ("review.revealed", "officer", "sr", None),
        ("key.rotated", "", "", None),
    ],
)
def test_the_purpose_of_use_is_hl7s(act: str, basis: str, where: str, use: str | None) -> None:
    subject, room = (new_id() if one in where else None for one in "sr")
    assert leaf.purpose_of_use(act, basis, subject, room) == use


class Said(TownTestCase):
    def write(self, subject: UUID | None, **details: Any) -> AuditEvent:
        with transaction.atomic():
            actor = Actor(user_id=new_id(), role="psykolog", sign_in="demo")
            event = record(Entry("x.seen", actor, subject_id=subject, detail=details))
        return AuditEvent.objects.get(id=event)

    def test_leaf_and_columns_say_the_same(self) -> None:
        event = self.write(self.patient_id(), seq=5)
        said = json.loads(event.leaf)
        assert said["time"] == rfc3339(event.at), "one clock, read once"
        assert said["subject"] == str(event.subject_id)
        assert said["actor"]["role"] == event.role
        assert said["type"] == event.type
        assert said["detail"] == detail.committed(*self.disclosed(event))

    def disclosed(self, event: AuditEvent) -> tuple[bytes, bytes]:
        assert event.detail_sealed
        salt, text = detail.disclosed(event.id, event.detail_sealed)
        return salt, text.encode()

    def test_details_stand_apart_and_cannot_be_guessed(self) -> None:
        """Equal details give different commitments. Mutation: leave out the salt."""
        one, other = (self.write(self.patient_id(), name="Are Nes") for _ in range(2))
        assert "Are Nes" not in str(AuditEvent.objects.filter(id=one.id).values())
        assert one.detail == other.detail == {"name": "Are Nes"}
        assert json.loads(one.leaf)["detail"] != json.loads(other.leaf)["detail"]
        assert json.loads(self.write(None).leaf)["detail"] is None

    def test_details_cannot_be_moved_to_another_event(self) -> None:
        one, other = self.write(self.patient_id(), n=1), self.write(self.patient_id(), n=2)
        other.detail_sealed = one.detail_sealed
        with pytest.raises(Unreadable):
            assert other.detail

    def test_erasure_takes_key_and_salt_and_leaves_the_leaf(self) -> None:
        event = self.write(self.patient_id(), n=1)
        before = event.leaf
        key = Patient.objects.get(id=event.subject_id).key
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(KeyCustody, "may_destroy", lambda *_: None)
            vault.destroy_key(key, reason="erasure", actor=None)
        vault.forget_keys()
        event = AuditEvent.objects.get(id=event.id)
        with pytest.raises(Destroyed):
            assert event.detail
        assert event.leaf == before
        later = self.write(event.subject_id, n=2)
        assert later.detail_sealed is None, "the act still has its record"
        assert json.loads(later.leaf)["detail"]
