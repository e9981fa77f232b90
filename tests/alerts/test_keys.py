"""The alert key on Trine's phone: it outlives every session, opens nothing else, and is missed when it is lost (L5)."""

import hashlib

from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from server.alerts.authentication import AlertKeyAuthentication, actor_of_key, find_key
from server.alerts.models import AlertKey
from server.common.errors import Unauthenticated
from server.common.idempotency import _box
from server.common.models import IdempotencyRecord
from server.duties.models import Duty, Kind
from server.people.models import Session, User
from tests.alerts.base import NOWHERE, NightTestCase
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class Keys(NightTestCase):
    def told(self, who: str) -> list[Duty]:
        return list(Duty.objects.filter(user_id=self.user_id(who), kind=Kind.ALERT_KEY_LOST).order_by("id"))

    def test_a_key_is_told_once_and_stored_hashed(self) -> None:
        answer = self.person("trine").post("alert-keys", {"label": "Mobilen min"})
        assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
        key = answer.json()["key"]
        row = AlertKey.objects.get(id=answer.json()["id"])
        assert (len(key), row.digest) == (43, hashlib.sha256(key.encode()).hexdigest())
        (listed,) = self.person("trine").ok("get", "alert-keys")["results"]
        assert (listed["label"], listed["revoked_at"], "key" in listed) == ("Mobilen min", None, False)
        assert not any(key in str(vars(one)) for one in self.audit())
        (event,) = self.audit(type="alert_key.made")
        assert (event.subject_id, event.basis, event.object_id) == (self.patient_id("trine"), "self", row.id)

    def test_each_is_a_further_one_up_to_ten(self) -> None:
        keys = {self.trine_key(f"{n}") for n in range(10)}
        assert len(keys) == 10
        refused = self.person("trine").post("alert-keys", {})
        assert (refused.status_code, refused.json()["code"]) == (409, "too_many_alert_keys")
        assert all(find_key(key) for key in keys), "none is ended for a further one"
        first = AlertKey.objects.order_by("id").first()
        assert first is not None
        self.person("trine").ok("delete", f"alert-keys/{first.id}")
        assert find_key(self.trine_key()) is not None

    def test_a_retry_makes_no_second_key(self) -> None:
        head = {"Idempotency-Key": "phone"}
        first = self.person("trine").post("alert-keys", {}, headers=head).json()
        again = self.person("trine").post("alert-keys", {}, headers=head).json()
        assert AlertKey.objects.count() == 1
        assert again == {"id": first["id"], "key": None}, "that it was made, and not the key"
        kept = IdempotencyRecord.objects.get(key="phone")
        assert first["key"] not in _box().decrypt(bytes(kept.answer)).decode(), "it lies nowhere, not even encrypted"

    def test_only_patients_have_one(self) -> None:
        for who in ("nils", "mona", "ola", "admin"):
            for refused in (
                self.person(who).post("alert-keys", {}),
                self.person(who).get("alert-keys"),
                self.person(who).delete(f"alert-keys/{NOWHERE}"),
            ):
                assert (refused.status_code, refused.json()["code"]) == (403, "patient_only"), who

    # --- what it opens ---
    def test_it_opens_no_other_door(self) -> None:
        """Red when an alert key passes for a session anywhere."""
        phone = self.phone(self.trine_key())
        trine = self.patient_id("trine")
        paths = ("me", "me/plan", "alert-keys", "rooms", "consents", "duties", "me/access-log", "exclusions", "devices")
        for path in (*paths, f"patients/{trine}/plan", "programmes", "directory", "organisations"):
            assert phone.get(path).status_code in (401, 404), path
        assert phone.post("alert-keys", {}).status_code == 401

    def test_it_is_found_in_one_statement(self) -> None:
        key = self.trine_key()
        with CaptureQueriesContext(connection) as asked:
            found = find_key(key)
            assert found is not None
            actor = actor_of_key(found)
        assert (len(asked), actor.user_id) == (1, self.user_id("trine"))
        for other in ("", "x", key + "x", key[:-1], "æ" * 43, f" {key}", "\0" * 43):
            with CaptureQueriesContext(connection) as asked:
                assert find_key(other) is None
            assert len(asked) == 0, other

    def test_it_outlives_sessions_and_the_account(self) -> None:
        """Red when an ended session, or a closed account, takes the button away (L5)."""
        key = self.trine_key()
        Session.objects.filter(user__username="trine").update(ended_at="2026-01-01T00:00:00Z", end_reason="expired")
        User.objects.filter(username="trine").update(is_active=False)
        user, found = self.authenticated(key)
        assert (user.username, found.patient_id) == ("trine", self.patient_id("trine"))

    def authenticated(self, key: str) -> tuple[User, AlertKey]:
        request = Request(APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Alert-Key {key}"))
        found = AlertKeyAuthentication().authenticate(request)
        assert found is not None
        return found

    def test_unknown_and_revoked_are_answered_alike(self) -> None:
        key = self.trine_key()
        (row,) = AlertKey.objects.all()
        self.person("trine").ok("post", f"alert-keys/{row.id}/lost")
        said = []
        for one in (key, "A" * 43, "x", ""):
            with self.assertRaises(Unauthenticated) as caught:  # noqa: PT027 - the case reads well so
                self.authenticated(one)
            said.append((caught.exception.code, str(caught.exception.detail)))
        assert set(said) == {("unauthenticated", "")}

    # --- losing it ---
    def test_losing_it_is_told_to_who_leads(self) -> None:
        first, second = self.trine_key(), self.trine_key()
        rows = list(AlertKey.objects.order_by("id"))
        lost = self.person("trine").ok("post", f"alert-keys/{rows[0].id}/lost")
        assert lost["revoked_because"] == "lost"
        assert (find_key(first), find_key(second) is None) == (None, False)
        self.person("trine").ok("post", f"alert-keys/{rows[0].id}/lost")
        (duty,) = self.told("mona")
        assert (duty.code, duty.object_id, duty.patient_id) == ("lost", rows[0].id, self.patient_id("trine"))
        assert self.told("nils") == []
        removed = self.person("trine").ok("delete", f"alert-keys/{rows[1].id}")
        assert removed["revoked_because"] == "removed"
        assert self.told("mona")[-1].code == "last", "she has no other phone"
        shown = self.person("mona").ok("get", "duties")["results"]
        assert any("har en annen" in one["words"] for one in shown), shown

    def test_whom_she_has_excluded_is_not_told(self) -> None:
        """Red when an excluded leader is told; somebody else is, always."""
        self.trine_key()
        self.exclude("mona")
        (row,) = AlertKey.objects.all()
        self.person("trine").ok("post", f"alert-keys/{row.id}/lost")
        assert self.told("mona") == []
        assert all(self.told(who) for who in ("nils", "ida", "sara"))

    def test_the_team_sees_and_ends_them(self) -> None:
        key = self.trine_key("Mobilen")
        path = f"patients/{self.patient_id('trine')}/alert-keys"
        (shown,) = self.person("ida").ok("get", path)["results"]
        assert (shown["label"], "key" in shown) == ("Mobilen", False)
        ended = self.person("ida").ok("delete", f"{path}/{shown['id']}")
        assert (ended["revoked_because"], find_key(key)) == ("by_team", None)
        assert [one.code for one in self.told("mona")] == ["last"]
        (event,) = self.audit(type="alert_key.revoked")
        assert (event.actor_id, event.reason) == (self.user_id("ida"), "by_team")
        assert self.person("ida").delete(f"{path}/{NOWHERE}").status_code == 404

    def test_another_patients_key_is_not_hers(self) -> None:
        self.trine_key()
        (row,) = AlertKey.objects.all()
        for refused in (
            self.person("are").delete(f"alert-keys/{row.id}"),
            self.person("are").post(f"alert-keys/{row.id}/lost"),
        ):
            assert refused.status_code == 404
        assert AlertKey.objects.filter(revoked_at=None).count() == 1
