"""What a phone that staff let in may do, by what the installation says; and what nobody can take from it."""

from typing import Any

from django.urls import URLPattern

from server.common.ids import new_id
from server.people.models import Session
from server.urls import api
from tests.base import Client, TownTestCase
from tests.gateway.driver import GatewayTestCase
from tests.gateway.test_talk import post
from tests.sessions.base import Device, Devices, env
from tests.support.served import sqlite_only

ALWAYS = {
    # help
    *("alerts", "alerts/<uuid:alert_id>", "alerts/<uuid:alert_id>/accept", "alerts/<uuid:alert_id>/calling"),
    *("alerts/<uuid:alert_id>/cancel", "alerts/<uuid:alert_id>/close", "alerts/<uuid:alert_id>/first-screen"),
    *("alerts/<uuid:alert_id>/hand-over", "alerts/<uuid:alert_id>/in-contact", "alerts/<uuid:alert_id>/not-reached"),
    *("alerts/<uuid:alert_id>/notes", "alerts/<uuid:alert_id>/tasks/<slug:kind>/done"),
    *("alerts/<uuid:alert_id>/timeline", "me/plan", "organisations"),
    *("alert-keys", "push/key", "devices", "devices/<uuid:device_id>/test"),
    # consent: what widens is guarded by its action
    *("consent-forms", "consents", "consents/<uuid:consent_id>", "consents/<uuid:consent_id>/history"),
    *("consents/<uuid:consent_id>/receipt", "consents/<uuid:consent_id>/text", "consents/<uuid:consent_id>/renewal"),
    *("consents/<uuid:consent_id>/give", "consents/<uuid:consent_id>/decline", "consents/<uuid:consent_id>/withdraw"),
    *("consents/<uuid:consent_id>/change", "consents/<uuid:consent_id>/renew", "consents/<uuid:consent_id>/record"),
    *("consents/<uuid:consent_id>/correct", "consents/<uuid:consent_id>/assessment"),
    *("exclusions", "exclusions/<uuid:user_id>"),
    # leaving
    "rooms/<uuid:room_id>/members/<uuid:member_id>",
    # oneself
    *("me", "me/sign-out"),
    *("me/passkeys", "me/passkeys/options", "me/passkeys/<uuid:passkey_id>", "me/totp", "me/totp/confirm"),
    *("me/recovery-codes", "me/step-up", "me/step-up/passkey", "me/step-up/totp"),
    *("me/step-up/options", "me/step-up/recovery", "me/step-up/provider", "me/step-up/provider/<slug:provider>"),
}
"""Addresses that every session is let through to, whatever the installation says. Written by hand."""


@sqlite_only
class Limits(Devices, TownTestCase):
    def given(self) -> None:
        self.room = self.open_shared_room()

    def let_in(self, **more: Any) -> Device:
        return self.device("are", method="in_person", level=2, as_patient=True, **more)

    def refused(self, client: Client, method: str, path: str, data: Any = None) -> None:
        answer = getattr(client, method)(path, data)
        assert (answer.status_code, answer.json()["code"]) == (403, "in_person_only"), (path, answer.content)

    def test_what_every_session_may_is_known(self) -> None:
        """Red when a view asks nothing of a session and nobody has said so here."""
        found = {
            str(one.pattern)
            for one in api
            if isinstance(one, URLPattern)
            and getattr(getattr(one.callback, "view_class", None), "needs", "") == "nothing"
        }
        assert found == ALWAYS

    def test_one_that_may_nothing_still_calls_for_help_and_takes_back(self) -> None:
        phone = self.let_in().client
        with env(in_person_may=[]):
            self.refused(phone, "get", "rooms")
            self.refused(phone, "get", f"{self.room.path}/events")
            self.refused(phone, "post", f"{self.room.path}/messages", {"txn_id": "1", "body": "hei"})
            self.refused(phone, "get", "me/access-log")
            phone.ok("get", "me")
            phone.ok("get", "organisations")
            phone.ok("post", "alert-keys", {"label": "Min"})
            answer = phone.put(f"alerts/{new_id()}", {"note": "Hjelp"})
            assert answer.json()["code"] != "in_person_only", "a refusal of its own: no programme"
            phone.ok("post", "exclusions", {"user": str(self.user_id("vera"))})
            phone.ok("get", "consents")
            phone.ok("post", f"{self.room.asks}/withdraw", {})
            phone.ok("get", "me/sessions")
            phone.ok("post", "me/sign-out")

    def test_it_silences_nobody_else(self) -> None:
        """Whoever lets in a phone of their own must not sign out the owner's, nor take its keys away."""
        owner = self.device("are")
        key = owner.client.ok("post", "alert-keys", {"label": "Min"})["id"]
        phone = self.let_in().client
        with env(in_person_may=["read", "write", "consent"]):
            self.refused(phone, "delete", "me/sessions")
            self.refused(phone, "delete", f"me/sessions/{owner.session.sid}")
            self.refused(phone, "delete", f"alert-keys/{key}")
            self.refused(phone, "post", f"alert-keys/{key}/lost")
            self.refused(phone, "delete", f"devices/{new_id()}")
        owner.client.ok("get", "me")
        owner.client.ok("delete", f"alert-keys/{key}")

    def test_it_leaves_a_room(self) -> None:
        member = self.members(self.room)["are"]["id"]
        phone = self.let_in().client
        with env(in_person_may=[]):
            answer = phone.patch(f"{self.room.path}/members/{member}", {"participation": "away"})
        assert answer.status_code == 200, answer.content

    def test_read_and_write_are_apart(self) -> None:
        phone = self.let_in().client
        said = {"txn_id": "1", "body": "hei"}
        with env(in_person_may=["read"]):
            phone.ok("get", f"{self.room.path}/events")
            self.refused(phone, "post", f"{self.room.path}/messages", said)
        with env(in_person_may=["write"]):
            self.refused(phone, "get", f"{self.room.path}/events")
        with env(in_person_may=["read", "write"]):
            phone.ok("post", f"{self.room.path}/messages", said)
        told = self.audit(type="session.limited", outcome="refused")
        assert [one.reason for one in told] == ["write", "read"]

    def test_what_a_client_may_offer_says_so(self) -> None:
        phone = self.let_in().client
        expected = {
            (): {"directory.read", "consents.withdraw", "access_log.read"},
            ("read",): {"directory.read", "rooms.read", "consents.withdraw", "access_log.read"},
            ("read", "write", "consent"): {
                "directory.read",
                "rooms.read",
                "rooms.write",
                "consents.decide",
                "access_log.read",
            },
        }
        for may, offered in expected.items():
            with env(in_person_may=list(may)):
                assert set(phone.ok("get", "me")["capabilities"]) == offered

    def test_whoever_proves_who_they_are_is_limited_no_more(self) -> None:
        phone = self.let_in()
        Session.objects.filter(sid=phone.session.sid).update(
            strong_at=phone.row().read_at, strong_by="citizen_oidc", level=4
        )
        with env(in_person_may=[]):
            phone.client.ok("get", "rooms")

    def test_other_sessions_are_not_limited(self) -> None:
        with env(in_person_may=[]):
            self.device("are").client.ok("get", "rooms")
            self.person("are").ok("get", "rooms")


class LimitsOfSockets(Devices, GatewayTestCase):
    async def test_a_socket_reads_and_writes_as_it_may(self) -> None:
        let_in: dict[str, Any] = {"method": "in_person", "level": 2, "as_patient": True}
        device = await self.rest(lambda: self.device("are", **let_in))
        async with self.gateway(in_person_may=["read"]) as gateway:
            phone = await self.connect(gateway)
            await phone.hello(device.token)
            post(phone, self.room, "hei")
            assert (await phone.wait("error"))["code"] == "in_person_only"
            assert phone.of("room.closed") == []
        async with self.gateway(in_person_may=[]) as gateway:
            phone = await self.connect(gateway)
            welcome = await phone.hello(device.token)
            assert welcome["rooms"] == {}, "it has calls for help, and no room"
            await phone.wait("heartbeat")
            assert phone.of("room.opened", "event") == []
