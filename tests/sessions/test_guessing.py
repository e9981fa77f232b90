"""Whoever guesses is slowed down, by person, session or address; nobody is kept from help, or from their own tokens, by
what others do."""

import pyotp

from server.alerts.demo import build_programme
from server.common.clock import now
from server.common.ids import new_id
from server.people.models import TotpSecret
from tests.base import Client, TownTestCase
from tests.credentials.base import Proving
from tests.sessions.base import Devices
from tests.support.limits import limited
from tests.support.served import sqlite_only

pytestmark = sqlite_only

HERE, THERE = "203.0.113.7", "203.0.113.8"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
BY_ADDRESS = {
    "sign-in/refresh": ("refresh-unknown", {"refresh": "0" * 64}),
    "sign-in/exchange": ("exchange", {"code": "unknown", "verifier": VERIFIER}),
    "sign-in/in-person": ("sign-in", {"code": "7QK2-M9TX-4HZD"}),
}
PROOFS = {
    "me/step-up/totp": ("totp", {"code": "000000"}),
    "me/step-up/recovery": ("recovery", {"code": "0000-0000-0000"}),
    "me/step-up/passkey": ("passkey", {"credential": {}}),
}
BY_PERSON = ("totp", "recovery")
MANY = 3


class Guessing(Proving, Devices, TownTestCase):
    def given(self) -> None:
        build_programme()
        self.key = self.person("trine").ok("post", "alert-keys", {"label": "Mobilen"})["key"]

    def statuses(self, client: Client, path: str, body: object, address: str = HERE, times: int = MANY) -> list[int]:
        return [client.post(path, body, REMOTE_ADDR=address).status_code for _ in range(times)]

    def still_called(self) -> None:
        """From the same address, with her key and with her session."""
        phone = Client()
        phone.credentials(HTTP_AUTHORIZATION=f"Alert-Key {self.key}")
        for client in (phone, self.person("trine")):
            assert client.put(f"alerts/{new_id()}", {}, REMOTE_ADDR=HERE).status_code in (200, 201)

    def test_by_address_whoever_is_not_signed_in(self) -> None:
        for path, (scope, body) in BY_ADDRESS.items():
            with limited(f"{scope}={MANY}/60"):
                assert 429 not in self.statuses(Client(), path, body), path
                answer = Client().post(path, body, REMOTE_ADDR=HERE)
                assert (answer.status_code, answer.json()["code"]) == (429, "too_many"), path
                assert int(answer["Retry-After"]) > 0
                assert self.statuses(Client(), path, body, THERE, 1) != [429], "another address is not held back"
                self.still_called()

    def test_by_session_and_person_whoever_is(self) -> None:
        for path, (scope, body) in PROOFS.items():
            with limited(f"{scope}={MANY}/600"):
                thief, owner = self.device("trine").client, self.device("trine").client
                assert 429 not in self.statuses(thief, path, body), path
                assert self.statuses(thief, path, body, THERE, 1) == [429], f"{path}: an address more helps nobody"
                assert self.statuses(owner, path, body, THERE, 1) != [429], f"{path}: the owner still can"
                self.still_called()
        for path, (scope, body) in PROOFS.items():
            if scope in BY_PERSON:
                with limited(f"{scope}-person={MANY}/600"):
                    for session in (self.device("trine").client for _ in range(MANY)):
                        assert self.statuses(session, path, body, times=1) == [403], path
                    answers = self.statuses(self.device("trine").client, path, body, THERE, 1)
                    assert answers == [429], f"{path}: sessions without end help nobody"
                    assert self.statuses(self.device("are").client, path, body, HERE, 1) != [429], path

    def test_a_stolen_session_takes_no_proof_from_its_owner(self) -> None:
        """Red when one bucket is the person's, or that of several means: a nurse without any proof at night opens no
        emergency access."""
        with limited():
            thief, owner = self.device("kari").client, self.device("kari").client
            totp = pyotp.TOTP(owner.ok("post", "me/totp")["secret"])
            owner.ok("post", "me/totp/confirm", {"code": totp.at(now())})
            TotpSecret.objects.update(last_step=0)
            ten, key = owner.ok("post", "me/recovery-codes")["codes"], self.register(owner)
            tried = [code for path, (_, body) in PROOFS.items() for code in self.statuses(thief, path, body, times=130)]
            assert set(tried) == {403, 429}
            begun = [thief.post("me/step-up/provider/x", {"challenge": "a" * 43}).status_code for _ in range(70)]
            assert set(begun) == {404, 429}
            assert owner.post("me/step-up/totp", {"code": totp.at(now())}).status_code == 200
            assert owner.post("me/step-up/recovery", {"code": ten[0]}).status_code == 200
            assert self.step_up(owner, key).status_code == 200
            assert owner.post("me/step-up/provider/x", {"challenge": "a" * 43}).status_code == 404

    def test_who_fumbles_with_one_means_has_the_others(self) -> None:
        with limited():
            owner = self.device("kari").client
            key = self.register(owner)
            for path, (_, body) in PROOFS.items():
                self.statuses(owner, path, body, times=6)
            assert self.step_up(owner, key).status_code == 200, "a finger that failed six times may try again"
            assert owner.post("me/step-up/provider/x", {"challenge": "a" * 43}).status_code == 404

    def test_ending_sessions_is_never_counted(self) -> None:
        """Whoever has one of my sessions cannot keep me from ending it by asking without end."""
        thief, owner = self.device("kari"), self.device("kari")
        with limited(f"act={MANY}/60", f"device={2 * MANY}/60"):
            self.statuses(thief.client, "me/step-up/options", {}, times=MANY)
            assert self.statuses(owner.client, "me/step-up/options", {}, times=1) == [429]
            assert owner.client.delete(f"me/sessions/{thief.session.sid}").status_code == 204
            assert owner.client.delete("me/sessions").status_code == 204
            assert owner.client.post("me/sign-out").status_code == 204

    def test_tokens_that_are_right_are_not_held_back_by_others_that_are_wrong(self) -> None:
        """A whole ward has one address. Red when the address is counted before the token is looked at, under whatever
        limit."""
        phone = self.device("are")
        counted = [f"{one}={MANY}/60" for one in ("act", "address", "refresh", "refresh-unknown")]
        for wrong in ("0" * 64, "x", ""):
            with limited(*counted):
                self.statuses(Client(), "sign-in/refresh", {"refresh": wrong}, times=MANY + 1)
                self.statuses(Client(), "me", {}, times=MANY + 1)
                answer = Client().post("sign-in/refresh", {"refresh": phone.refresh}, REMOTE_ADDR=HERE)
                assert answer.status_code == 200, wrong
                phone.refresh = answer.json()["refresh"]

    def test_a_session_that_refreshes_without_end_holds_back_itself_alone(self) -> None:
        phone, other = self.device("are"), self.device("are")
        with limited(f"refresh={MANY}/60"):
            for _ in range(MANY):
                phone.again()
            assert Client().post("sign-in/refresh", {"refresh": phone.refresh}).status_code == 429
            phone.client.ok("get", "me")
            other.again()
        phone.again()

    def test_a_hundred_wrong_ones_end_nothing(self) -> None:
        phone = self.device("are")
        self.statuses(Client(), "sign-in/refresh", {"refresh": "0" * 64}, times=30)
        assert phone.row().ended_at is None
        phone.again()
