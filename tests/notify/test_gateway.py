"""Texts and calls through a gateway on this machine, and what it says back."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.test import SimpleTestCase
from hypothesis import given
from hypothesis import strategies as st

from server.common.clock import now
from server.notify.callbacks import Callback, parsed
from server.notify.models import Address, CallbackSeen, Delivery
from server.notify.signing import FRESH_S, is_signed, sign
from tests.base import Client
from tests.notify.base import NotifyTestCase
from tests.support.deliveries import SECRET, deliver, means
from tests.support.gateway_sink import Call, GatewaySink
from tests.support.limits import limited
from tests.support.served import sqlite_only

pytestmark = sqlite_only

PHONE = "+4722225555"


class GatewayTestCase(NotifyTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.gateway = self.enterContext(GatewaySink(SECRET))
        self.enterContext(means(gateway_url=self.gateway.url, caller_id="+4721000000"))
        self.client = Client()

    def phone(self, username: str = "nils") -> Address:
        said = self.person(username).ok("put", "me/reach", {"phone": "22 22 55 55"})
        return Address.objects.get(id=said["phone_id"])

    def ring(self, channel: str = "voice", **more: Any) -> tuple[Delivery, Call]:
        page = self.order(self.phone(), channel=channel, **more)
        deliver()
        page.refresh_from_db()
        return page, self.gateway.of(channel)[-1]

    def tell(self, call: Call, what: str, **more: Any) -> Any:
        path, headers, body = self.gateway.said(call, what, **more)
        return self.client.generic("POST", path, body, "application/json", headers=headers)


class WhatItIsAsked(GatewayTestCase):
    def test_a_call(self) -> None:
        page, call = self.ring(language="nb", ttl_s=90)
        assert call == {
            "id": str(page.id),
            "kind": "voice",
            "to": PHONE,
            "from": "+4721000000",
            "text": "Dette er vakttelefonen. Noen trenger svar nå. Trykk 1 for å ta det, trykk 2 hvis du ikke kan.",
            "language": "nb",
            "callback": "http://127.0.0.1:1/api/v1/notify/callback",
            "expires_s": 90,
            "keys": {"1": "accept", "2": "decline"},
        }
        assert (page.state, self.keeper.told) == ("accepted", [("sent",)])

    def test_a_reminder_asks_for_no_key(self) -> None:
        """Whoever has taken a call is rung again: not as for a new one, and there is nothing to take."""
        for language, said in (
            ("nb", "Dette er vakttelefonen. Noe venter på deg i appen. Åpne appen for å se det."),
            ("nn", "Dette er vakttelefonen. Noko ventar på deg i appen. Opne appen for å sjå det."),
            ("en", "This is the on-call service. Something waits for you in the app. Open the app to see it."),
        ):
            _page, call = self.ring(kind="notice", language=language)
            assert (call["text"], "keys" in call) == (said, False)
        assert self.tell(call, "key", key="1").status_code == 404

    def test_a_rehearsal_is_a_page(self) -> None:
        _page, call = self.ring(kind="synthetic", language="nb")
        assert call["text"].startswith("Dette er vakttelefonen. Noen trenger svar nå.")
        assert call["keys"] == {"1": "accept", "2": "decline"}

    def test_a_text(self) -> None:
        _page, text = self.ring("sms")
        assert (text["text"], text["to"], "keys" in text) == ("Vakt: svar nå", PHONE, False)

    def test_a_duty_number_that_is_nobodys(self) -> None:
        page = self.order(channel="voice", to="+4755555555")
        assert page.to_sealed is not None
        assert b"555" not in bytes(page.to_sealed)
        deliver()
        assert self.gateway.calls[0]["to"] == "+4755555555"

    def test_sent_again_it_is_rung_once(self) -> None:
        _page, _ = self.ring()
        Delivery.objects.update(state="waiting", due_at=now())
        deliver()
        assert (len(self.gateway.orders), len(self.gateway.calls)) == (2, 1)

    def test_it_fails(self) -> None:
        for status, state, code in (
            (500, "waiting", "provider_error"),
            (404, "failed", "refused"),
            (401, "failed", "keys_refused"),
        ):
            self.gateway.script([status])
            page = self.order(self.phone(), channel="voice")
            deliver()
            page.refresh_from_db()
            assert (page.state, page.code) == (state, code)
        assert Address.objects.live().filter(kind="phone").exists(), "a gateway that is not there is no wrong number"

    def test_another_secret(self) -> None:
        with means(gateway_url=self.gateway.url, gateway_secret="x" * 32):
            page = self.order(self.phone(), channel="voice")
            deliver()
        page.refresh_from_db()
        assert (page.code, self.gateway.faults) == ("keys_refused", ["signature"])


class WhatItSays(GatewayTestCase):
    def test_a_key_accepts(self) -> None:
        page, call = self.ring()
        for what in ("ringing", "answered"):
            assert self.tell(call, what).json() == {"state": "noted"}
        assert self.keeper.told == [("sent",)], "that somebody picked up proves nothing"
        assert self.tell(call, "key", key="1").json() == {"state": "accepted"}
        assert self.tell(call, "ended").json() == {"state": "noted"}
        assert self.keeper.told == [("sent",), ("answered", True, "key")]
        page.refresh_from_db()
        assert (page.answered, page.state) == ("accept", "accepted")
        assert Address.objects.get(id=page.address_id).received_at is not None

    def test_the_first_key_counts(self) -> None:
        _page, call = self.ring()
        assert self.tell(call, "key", key="2").json() == {"state": "declined"}
        assert self.tell(call, "key", key="1").json() == {"state": "declined"}
        assert self.keeper.told[1:] == [("answered", False, "key")]

    def test_somebody_else_has_it(self) -> None:
        page, call = self.ring()
        self.keeper.taken = True
        assert self.tell(call, "key", key="1").json() == {"state": "already_accepted"}
        page.refresh_from_db()
        assert page.answered == ""

    def test_nobody_answers(self) -> None:
        page, call = self.ring()
        self.tell(call, "ended")
        page.refresh_from_db()
        assert (page.state, page.code) == ("failed", "no_answer")
        assert self.keeper.told == [("sent",), ("failed", "no_answer", True)]

    def test_a_text_arrives(self) -> None:
        page, text = self.ring("sms")
        assert self.tell(text, "delivered").json() == {"state": "received"}
        self.tell(text, "delivered")
        page.refresh_from_db()
        assert page.received_at is not None
        assert self.keeper.told == [("sent",), ("received",)]

    def test_a_text_does_not(self) -> None:
        page, text = self.ring("sms")
        self.tell(text, "failed", code="Ukjent abonnent 22225555")
        page.refresh_from_db()
        assert (page.state, page.code) == ("failed", "gateway_failed")

    def test_said_again_it_does_nothing(self) -> None:
        _page, call = self.ring()
        event = uuid4()
        assert self.tell(call, "key", key="1", event=event).json() == {"state": "accepted"}
        told = list(self.keeper.told)
        assert self.tell(call, "key", key="1", event=event).json() == {"state": "seen"}
        assert self.tell(call, "failed", event=event).json() == {"state": "seen"}
        assert self.keeper.told == told
        assert CallbackSeen.objects.count() == 1

    def test_before_we_know_that_it_was_taken(self) -> None:
        """It fails while the order's own answer is still on its way: the gateway says it again."""
        _page, call = self.ring()
        Delivery.objects.update(state="leased", lease=uuid4(), due_at=now() + timedelta(seconds=15))
        event = uuid4()
        assert self.tell(call, "ended", event=event).status_code == 503
        assert not CallbackSeen.objects.exists()
        assert self.tell(call, "key", key="1").json() == {"state": "accepted"}, "an answer does not wait"

    def test_a_test_call_is_confirmed_by_the_key(self) -> None:
        address = self.phone()
        self.person("nils").ok("post", f"devices/{address.id}/test")
        deliver()
        (call,) = self.gateway.of("voice")
        assert "prøve" in call["text"]
        assert call["keys"] == {"1": "accept"}, "to be heard is all there is to say"
        self.tell(call, "answered")
        address.refresh_from_db()
        assert address.received_at is None
        assert self.tell(call, "key", key="1").json() == {"state": "received"}
        address.refresh_from_db()
        assert address.received_at is not None


class WhomWeBelieve(GatewayTestCase):
    def refused(self, call: Call, what: str = "key", *, change: Any = None, **more: Any) -> None:
        path, headers, body = self.gateway.said(call, what, key="1", **more)
        if change is not None:
            headers, body = change(headers, body)
        answer = self.client.generic("POST", path, body, "application/json", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "bad_signature")
        assert not any(one[0] == "answered" for one in self.keeper.told)

    def test_only_who_has_the_secret(self) -> None:
        _, call = self.ring()
        self.refused(call, change=lambda headers, body: ({}, body))
        self.refused(call, change=lambda headers, body: (headers, body.replace(b'"1"', b'"2"')))
        self.refused(call, change=lambda headers, body: (headers, body + b" "))
        self.refused(call, change=lambda headers, body: ({**headers, "X-Samsnakk-Timestamp": "1"}, body))
        self.refused(call, change=lambda headers, body: ({**headers, "X-Samsnakk-Signature": "v1="}, body))
        other = GatewaySink("another secret of 32 characters or more")
        _path, headers, body = other.said(call, "key", key="1")
        self.refused(call, change=lambda *_: (headers, body))

    def test_only_what_is_fresh(self) -> None:
        _, call = self.ring()
        at = int(now().timestamp())
        self.refused(call, timestamp=at - FRESH_S - 5)
        self.refused(call, timestamp=at + FRESH_S + 5)

    def test_nobody_where_there_is_no_secret(self) -> None:
        _, call = self.ring()
        with means(gateway_secret=""):
            self.refused(call)

    def test_only_what_went_through_the_gateway(self) -> None:
        _browser, address = self.device()
        page = self.order(address)
        for unknown in (str(page.id), str(uuid4())):
            assert self.tell({"id": unknown, "callback": "x/api/v1/notify/callback"}, "key", key="1").status_code == 404

    def test_forgers_are_slowed_down_and_the_gateway_never(self) -> None:
        _, call = self.ring()
        with means(gateway_url=self.gateway.url), limited("callback=20/60"):
            answers = [self.client.generic("POST", "notify/callback", b"{}", "application/json") for _ in range(25)]
            assert [one.status_code for one in answers] == [401] * 20 + [429] * 5
            for _ in range(3):
                assert self.tell(call, "ringing").status_code == 200

    def test_signed_nonsense(self) -> None:
        at = str(int(now().timestamp()))
        for body in (b"", b"[]", b"{}", b"\xff", b'{"event": 1}', b"[" * 5000, b"x" * 20_000, b'{"id": null}', b"\x00"):
            headers = {"X-Samsnakk-Timestamp": at, "X-Samsnakk-Signature": sign(SECRET, at, body)}
            answer = self.client.generic("POST", "notify/callback", body, "application/json", headers=headers)
            assert answer.status_code in (400, 401), body[:20]


class WhateverComes(SimpleTestCase):
    @given(st.binary(max_size=200))
    def test_octets(self, body: bytes) -> None:
        assert parsed(body) is None or isinstance(parsed(body), Callback)

    @given(
        st.dictionaries(
            st.sampled_from(["event", "id", "what", "key", "code", "more"]),
            st.none()
            | st.integers()
            | st.text(max_size=40)
            | st.uuids().map(str)
            | st.sampled_from(["key", "1", "failed"]),
        )
    )
    def test_objects(self, said: dict[str, Any]) -> None:
        found = parsed(json.dumps(said).encode())
        assert found is None or (isinstance(found.event, UUID) and isinstance(found.key, str))

    @given(st.binary(max_size=50), st.text(max_size=15), st.text(max_size=80), st.floats(0, 1e12))
    def test_signatures(self, body: bytes, timestamp: str, signature: str, at: float) -> None:
        assert not is_signed("s" * 32, timestamp, signature, body, at)

    @given(st.binary(max_size=50), st.integers(0, 10**11), st.integers(-FRESH_S, FRESH_S))
    def test_what_is_signed(self, body: bytes, at: int, off: int) -> None:
        said = str(at)
        assert is_signed("s" * 32, said, sign("s" * 32, said, body), body, at + off)
        assert not is_signed("t" * 32, said, sign("s" * 32, said, body), body, at + off)
        assert not is_signed("s" * 32, said, sign("s" * 32, said, body), body + b"x", at + off)
        assert not is_signed("s" * 32, said, sign("s" * 32, said, body), body, at + FRESH_S + 1)
