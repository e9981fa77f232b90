"""What time ends, ends once, whoever notices first."""

from datetime import timedelta
from typing import Any

import pytest

from server.audit.entry import SYSTEM
from server.audit.models import AuditEvent
from server.common.clock import now
from server.people import actions
from server.people.models import Agreement, Engagement, Officer, Session
from server.people.worker import tick
from tests.people.conftest import Effects, SignedIn, user


def test_nothing_is_due_in_a_fresh_town(town: None, effects: Effects) -> None:
    assert tick() == 0
    assert effects.engagements == effects.agreements == []


def test_an_engagement_whose_period_ran_out(
    signed_in: SignedIn, effects: Effects, sent: list[tuple[str, str]], django_capture_on_commit_callbacks: Any
) -> None:
    signed_in("kari")
    engagement = Engagement.objects.get(user=user("kari"))
    Engagement.objects.filter(id=engagement.id).update(valid_to=now())
    with django_capture_on_commit_callbacks(execute=True):
        assert [tick(), tick()] == [1, 0]
    assert effects.engagements == [engagement.id]
    event = AuditEvent.objects.get(type="engagement.ended")
    assert (event.actor_id, event.role, event.reason, event.object_id) == (None, "system", "period", engagement.id)
    session = Session.objects.get(user=user("kari"))
    assert session.end_reason == "engagement_ended"
    assert ("session", str(session.sid)) in sent
    # A person who ends it afterwards changes nothing.
    actions.end_engagement(engagement_id=engagement.id, actor=SYSTEM, reason="left")
    assert effects.engagements == [engagement.id]


def test_an_agreement_whose_period_ran_out(town: None, effects: Effects) -> None:
    agreement = Agreement.objects.get()
    Agreement.objects.update(valid_to=now())
    assert [tick(), tick()] == [1, 0]
    assert effects.agreements == [agreement.id]


def test_one_that_fails_stays_due_and_the_others_go_on(
    town: None, effects: Effects, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ended = now()
    first, second = Engagement.objects.filter(user__username__in=["kari", "sara"]).order_by("id")
    Engagement.objects.filter(id__in=[first.id, second.id]).update(valid_to=ended)
    told = effects.engagement_ended

    def stumble(engagement_id: object) -> None:
        if engagement_id == first.id:
            raise RuntimeError
        told(second.id)

    monkeypatch.setattr(effects, "engagement_ended", stumble)
    assert tick() == 1
    first.refresh_from_db()
    assert first.effect_done_at is None
    assert AuditEvent.objects.filter(type="engagement.ended", object_id=first.id).count() == 0
    monkeypatch.setattr(effects, "engagement_ended", told)
    assert tick() == 1
    assert effects.engagements == [second.id, first.id]


def test_expired_sessions_are_ended_with_a_hint(
    signed_in: SignedIn, sent: list[tuple[str, str]], django_capture_on_commit_callbacks: Any
) -> None:
    signed_in("kari"), signed_in("are")
    past = now() - timedelta(hours=1)
    Session.objects.filter(user=user("kari")).update(created=past - timedelta(hours=12), expiry=past)
    with django_capture_on_commit_callbacks(execute=True):
        assert [tick(), tick()] == [1, 0]
    session = Session.objects.get(user=user("kari"))
    assert session.end_reason == "expired"
    assert sent == [("session", str(session.sid))]
    assert AuditEvent.objects.filter(type="session.ended", reason="expired").count() == 1
    assert Session.objects.get(user=user("are")).ended_at is None


def test_a_lapsed_appointment_ends_its_sessions(signed_in: SignedIn) -> None:
    signed_in("ola"), signed_in("officer2")
    Officer.objects.filter(user=user("ola")).update(valid_to=now())
    assert [tick(), tick()] == [1, 0]
    assert Session.objects.get(user=user("ola")).end_reason == "engagement_ended"


def test_an_effect_that_fails_rolls_the_ending_back(town: None, effects: Effects) -> None:
    engagement = Engagement.objects.get(user=user("kari"))
    effects.fails = True
    with pytest.raises(RuntimeError):
        actions.end_engagement(engagement_id=engagement.id, actor=SYSTEM, reason="left")
    engagement.refresh_from_db()
    assert engagement.ended_at is None
    assert not AuditEvent.objects.filter(type="engagement.ended").exists()
