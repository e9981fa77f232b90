"""From a token to a session, and every way in which one ends (section 5: expired sessions; L6: ended engagements)."""

import importlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from rest_framework.test import APIClient

from server.audit.entry import SYSTEM
from server.audit.models import AuditEvent
from server.common.clock import now
from server.common.errors import Forbidden, Unauthenticated
from server.people import actions, urls
from server.people.authentication import COOKIE, authenticate_token, live_sessions, refusal_code
from server.people.models import Engagement, Officer, Session, User
from tests.people.conftest import Effects, SignedIn, user

SIGN_IN = "/api/v1/demo/sign-in"
ME = "/api/v1/me"


def token_of(client: APIClient) -> str:
    return str(client._credentials["HTTP_AUTHORIZATION"]).split()[1]  # type: ignore[attr-defined]


def session_of(persona: str) -> Session:
    return Session.objects.in_full().get(user__username=persona)


def test_sign_in_gives_a_token_that_is_not_stored(signed_in: SignedIn) -> None:
    token = token_of(signed_in("kari"))
    session = session_of("kari")
    assert token not in (session.digest, str(session.sid))
    assert session.engagement is not None
    assert session.engagement.unit.name == "Fjordvik psykisk helse og rus"


def test_a_token_is_found_with_one_statement(signed_in: SignedIn, django_assert_num_queries: Any) -> None:
    token = token_of(signed_in("sara"))
    with django_assert_num_queries(1):
        session = authenticate_token(token)
        assert session.engagement is not None
        assert session.engagement.unit.controller.name == "Helse Fjord"
        assert not hasattr(session.user, "patient")


@pytest.mark.parametrize("persona", ["officer", "", "kari2", "KARI", "kari ", "crowd-1"])
def test_unknown_personas_meet_the_same_404(signed_in: SignedIn, persona: str) -> None:
    User.objects.create(username="crowd-1", name="Not a persona")
    client = APIClient()
    known = client.post(SIGN_IN, {"persona": "nobody-at-all"}, format="json")
    answer = client.post(SIGN_IN, {"persona": persona}, format="json")
    if persona in ("", "kari "):  # empty is malformed; blanks at the ends are trimmed
        assert answer.status_code == (400 if persona == "" else 200)
    else:
        assert (answer.status_code, answer.content) == (404, known.content)


@pytest.mark.parametrize(
    "body", [{}, {"persona": None}, {"persona": ["kari"]}, {"persona": {"a": 1}}, ["kari"], "kari"]
)
def test_malformed_sign_in_is_400(town: None, body: Any) -> None:
    assert APIClient().post(SIGN_IN, body, format="json").status_code == 400


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer x", "Bearer " + "g" * 64, "Bearer " + "a" * 65])
def test_what_is_not_shaped_like_a_token_costs_no_statement(
    town: None, django_assert_num_queries: Any, header: str
) -> None:
    with django_assert_num_queries(0):
        answer = APIClient().get(ME, HTTP_AUTHORIZATION=header)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert answer["Content-Type"] == "application/problem+json"


def test_an_unknown_token_is_401(town: None) -> None:
    assert APIClient().get(ME, HTTP_AUTHORIZATION="Bearer " + "a" * 64).json()["code"] == "unauthenticated"


def test_another_scheme_is_left_to_others_and_the_cookie_is_not_looked_at(signed_in: SignedIn) -> None:
    client = APIClient()
    client.cookies[COOKIE] = token_of(signed_in("kari"))
    assert client.get(ME).status_code == 200
    assert client.get(ME, HTTP_AUTHORIZATION="Alert-Key abc").status_code == 401


def expire(session: Session) -> None:
    past = now() - timedelta(hours=1)
    Session.objects.filter(sid=session.sid).update(created=past - timedelta(hours=12), expiry=past)


def end(session: Session) -> None:
    actions.end_session(session=session, reason="signed_out", actor=SYSTEM)


def deactivate(session: Session) -> None:
    actions.deactivate_user(user_id=session.user_id, actor=SYSTEM, reason="left")


def only_deactivate(session: Session) -> None:
    User.objects.filter(id=session.user_id).update(is_active=False)


def end_engagement(session: Session) -> None:
    assert session.engagement_id is not None
    actions.end_engagement(engagement_id=session.engagement_id, actor=SYSTEM, reason="left")


def let_engagement_run_out(session: Session) -> None:
    Engagement.objects.filter(sessions=session.digest).update(valid_to=now())


def let_engagement_end_unseen(session: Session) -> None:
    Engagement.objects.filter(sessions=session.digest).update(ended_at=now())


def let_engagement_begin_later(session: Session) -> None:
    Engagement.objects.filter(sessions=session.digest).update(valid_from=now() + timedelta(days=1))


WAYS = [
    (expire, "session_expired"),
    (end, "session_ended"),
    (deactivate, "session_ended"),
    (only_deactivate, "account_deactivated"),
    (end_engagement, "session_ended"),
    (let_engagement_run_out, "engagement_ended"),
    (let_engagement_end_unseen, "engagement_ended"),
    (let_engagement_begin_later, "engagement_ended"),
]


@pytest.mark.parametrize(("way", "code"), WAYS, ids=[way.__name__ for way, _ in WAYS])
def test_every_way_a_session_stops_opening_doors(
    signed_in: SignedIn, way: Callable[[Session], None], code: str
) -> None:
    client = signed_in("kari")
    other = signed_in("sara")
    session = session_of("kari")
    assert client.get(ME).status_code == 200
    assert session.sid in live_sessions([session.sid])
    way(session)
    answer = client.get(ME)
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    # The set-wise rule (sockets, at each heartbeat) says the same as the one for a single token.
    assert live_sessions([session.sid]) == {}
    again = session_of("kari")
    assert refusal_code(again, again.read_at) == code
    assert other.get(ME).status_code == 200


@pytest.mark.parametrize("seen", [True, False], ids=["ended", "ended unseen"])
def test_an_officers_session_ends_with_the_appointment(signed_in: SignedIn, seen: bool) -> None:
    ola, second = signed_in("ola"), signed_in("officer2")
    officer, session = Officer.objects.get(user__username="ola"), session_of("ola")
    if seen:
        actions.end_appointment(officer_id=officer.id, actor=SYSTEM, reason="left")
    else:
        Officer.objects.filter(id=officer.id).update(valid_to=now())
    assert ola.get(ME).json()["code"] == ("session_ended" if seen else "engagement_ended")
    assert set(live_sessions([session.sid, session_of("officer2").sid])) == {session_of("officer2").sid}
    assert second.get(ME).status_code == 200


def test_sign_out_ends_only_this_session_and_tells_it(
    signed_in: SignedIn, sent: list[tuple[str, str]], django_capture_on_commit_callbacks: Any
) -> None:
    phone, desktop = signed_in("kari"), signed_in("kari")
    session = authenticate_token(token_of(phone))
    with django_capture_on_commit_callbacks(execute=True):
        assert phone.post("/api/v1/me/sign-out").status_code == 204
    assert phone.get(ME).status_code == 401
    assert desktop.get(ME).status_code == 200
    assert ("session", str(session.sid)) in sent
    assert AuditEvent.objects.filter(type="session.ended", object_id=session.sid, reason="signed_out").count() == 1


def test_a_session_ends_once(signed_in: SignedIn) -> None:
    signed_in("kari")
    session = session_of("kari")
    assert actions.end_session(session=session, reason="signed_out", actor=SYSTEM) is True
    assert actions.end_session(session=session, reason="signed_out", actor=SYSTEM) is False
    assert AuditEvent.objects.filter(type="session.ended").count() == 1


def test_somebody_without_any_place_cannot_sign_in(town: None) -> None:
    with pytest.raises(Forbidden) as refused:
        actions.sign_in(user=User.objects.create(username="nobody"), method="demo")
    assert refused.value.code == "no_engagement"
    User.objects.filter(username="kari").update(is_active=False)
    with pytest.raises(Unauthenticated):
        actions.sign_in(user=user("kari"), method="demo")


def test_the_cookie_is_for_browsers_with_csrf(town: None) -> None:
    client = APIClient(enforce_csrf_checks=True)
    answer = client.post(SIGN_IN, {"persona": "kari", "cookie": True}, format="json")
    assert answer.json()["token"] is None
    cookie = answer.cookies[COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert client.get(ME).status_code == 200
    refused = client.patch(ME, {"language": "nn"}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (403, "csrf_failed")
    assert user("kari").language == "nb"
    secret = answer.cookies["csrftoken"].value
    assert client.patch(ME, {"language": "nn"}, format="json", HTTP_X_CSRFTOKEN=secret).status_code == 200
    assert user("kari").language == "nn"
    assert client.patch(ME, {"language": "nb"}, format="json", HTTP_X_CSRFTOKEN="x" * 32).status_code == 403


def test_use_is_noted_at_most_every_ten_minutes(signed_in: SignedIn, django_assert_num_queries: Any) -> None:
    client = signed_in("kari")
    Session.objects.update(last_seen_at=now() - timedelta(minutes=11))
    client.get(ME)
    session = session_of("kari")
    assert session.read_at - session.last_seen_at < timedelta(minutes=1)
    with django_assert_num_queries(3):  # session, name, engagements: nothing is noted again
        client.get(ME)


def test_ending_an_engagement_ends_its_sessions_and_tells_the_rooms(
    signed_in: SignedIn, effects: Effects, sent: list[tuple[str, str]], django_capture_on_commit_callbacks: Any
) -> None:
    kari = signed_in("kari")
    session = session_of("kari")
    assert session.engagement_id is not None
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(2):
            actions.end_engagement(engagement_id=session.engagement_id, actor=SYSTEM, reason="left")
    assert effects.engagements == [session.engagement_id]
    assert AuditEvent.objects.filter(type="engagement.ended").count() == 1
    assert ("session", str(session.sid)) in sent
    assert ("user", str(session.user_id)) in sent
    assert kari.get(ME).status_code == 401


def test_the_demo_sign_in_is_routed_in_demo_mode_only() -> None:
    try:
        with override_settings(DEMO=False):
            importlib.reload(urls)
            assert not any("demo" in str(route.pattern) for route in urls.urlpatterns)
    finally:
        importlib.reload(urls)
    assert any("demo" in str(route.pattern) for route in urls.urlpatterns)
