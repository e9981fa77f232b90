"""What is forged, altered, old, meant for others or weaker than it looks signs nobody in. The real provider answers;
the front before it alters what it says, now and then with the provider's own key."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from server.people.models import HandOver, OidcAttempt, Session
from server.people.oidc import metadata
from tests.sign_in.base import SignInTestCase
from tests.sign_in.front import JWKS, TOKEN, WELL_KNOWN, Reply
from tests.sign_in.stage import CITIZENS, STAFF, App, jwk, public
from tests.support.served import sqlite_only

pytestmark = sqlite_only

Claims = dict[str, Any]


def opened(token: str) -> Claims:
    claims: Claims = jwt.decode(token, options={"verify_signature": False})
    return claims


def part(said: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()


class Forged(SignInTestCase):
    def refused(
        self, reason: str, *, provider: str = CITIZENS, who: str = "are", code: str = "sign_in_refused"
    ) -> None:
        """Nobody is signed in; the page says little, and the log says why."""
        before = HandOver.objects.count()
        found = App().refusal(who, provider)
        refused = self.audit(type="sign_in.refused")
        assert (found, refused[-1].reason, refused[-1].outcome) == (code, reason, "refused")
        assert HandOver.objects.count() == before

    def token(self, change: Callable[[str], Any]) -> None:
        """From now on the identity token is what `change` makes of it."""

        def alter(reply: Reply) -> None:
            if reply.status == 200:
                reply.say({**reply.said, "id_token": change(reply.said["id_token"])})

        self.front.alter[TOKEN] = alter

    def claims(self, **changes: Any) -> None:
        """Signed by the provider itself, with other claims; None takes one away."""

        def change(token: str) -> str:
            claims = {**opened(token), **changes}
            return self.stage.sign({name: value for name, value in claims.items() if value is not None})

        self.token(change)

    def test_signed_anew_with_the_same_claims_it_is_taken(self) -> None:
        """Else the others here would show nothing."""
        self.claims()
        self.app.sign_in("are")

    def test_claims_that_are_not_for_us(self) -> None:
        for changes, reason in (
            ({"iss": "https://elsewhere.example"}, "issuer"),
            ({"iss": None}, "issuer"),
            ({"aud": "another"}, "audience"),
            ({"aud": ["citizens", "another"]}, "audience"),
            ({"aud": []}, "audience"),
            ({"aud": None}, "audience"),
            ({"azp": "another"}, "audience"),
            ({"nonce": "another"}, "nonce"),
            ({"nonce": None}, "nonce"),
            ({"sub": None}, "subject"),
            ({"pid": None}, "number"),
            ({"pid": 14438810197}, "number"),
            ({"pid": "14438810198"}, "number"),
        ):
            with self.subTest(changes=changes):
                self.claims(**changes)
                self.refused(reason)

    def test_times(self) -> None:
        def shifted(by: float) -> Callable[[str], str]:
            def change(token: str) -> str:
                claims = opened(token)
                return self.stage.sign(
                    {**claims, **{name: claims[name] + by for name in ("iat", "exp", "auth_time") if name in claims}}
                )

            return change

        for by in (-40, 40):
            self.token(shifted(by))
            App().sign_in("are")
        for by, reason in ((-90, "not_fresh"), (-1300, "time"), (90, "time"), (1e6, "time")):
            with self.subTest(by=by):
                self.token(shifted(by))
                self.refused(reason)
        for name, odd in (("exp", "soon"), ("iat", None)):
            with self.subTest(odd=odd, name=name):
                self.claims(**{name: odd})
                self.refused("time")
        self.claims(nbf=4_000_000_000)
        self.refused("time")

    def test_proof_from_before(self) -> None:
        for auth_time in (1, None, "now", 4_000_000_000):
            with self.subTest(auth_time=auth_time):
                self.claims(auth_time=auth_time)
                self.refused("time" if auth_time == "now" else "not_fresh")

    def test_a_lower_level(self) -> None:
        for acr in ("idporten-loa-substantial", "Level4", None, ["idporten-loa-high"]):
            with self.subTest(acr=acr):
                self.claims(acr=acr)
                self.refused("level", code="sign_in_level")

    def test_no_signature(self) -> None:
        for alg in ("none", "None", "NONE", ""):
            for signature in ("",) if alg else ("AAAA",):
                with self.subTest(alg=alg, signature=signature):
                    self.token(
                        lambda token, alg=alg, signature=signature: (
                            f"{part({'alg': alg})}.{part(opened(token))}.{signature}"
                        )
                    )
                    self.refused("alg")

    def test_the_public_key_as_a_secret(self) -> None:
        """HS256 with what everybody may know (RFC 8725, section 2.1)."""
        secret = json.dumps(public(jwk(self.stage.rsa, "theirs-rsa", "RS256"))).encode()
        for alg, hashed in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512)):

            def change(token: str, alg: str = alg, hashed: Any = hashed) -> str:
                signed = f"{part({'alg': alg, 'kid': 'theirs-rsa'})}.{part(opened(token))}"
                mac = hmac.new(secret, signed.encode(), hashed).digest()
                return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"

            self.token(change)
            self.refused("alg")

    def test_other_keys(self) -> None:
        mine, curve = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
        for key, kid, alg, reason in (
            (mine, "theirs-rsa", "RS256", "signature"),
            (mine, "theirs-rsa", "PS256", "key"),  # the key says RS256
            (mine, "unknown", "RS256", "key"),
            (curve, "theirs-ec", "ES256", "signature"),
            (curve, "theirs-rsa", "ES256", "key"),
        ):
            with self.subTest(kid=kid, alg=alg):
                self.token(lambda token, k=key, i=kid, a=alg: self.stage.sign(opened(token), key=k, kid=i, alg=a))
                self.refused(reason)
        hidden = {"alg": "RS256", "kid": "theirs-rsa", "jwk": public(jwk(mine, "theirs-rsa", "RS256"))}
        self.token(lambda token: jwt.encode(opened(token), mine, algorithm="RS256", headers=hidden))
        self.refused("form")

    def test_altered_after_it_was_signed(self) -> None:
        def change(token: str) -> str:
            header, _, signature = token.split(".")
            return f"{header}.{part({**opened(token), 'pid': '02497910180'})}.{signature}"

        self.token(change)
        self.refused("signature")

    def test_no_token_at_all(self) -> None:
        for odd in (None, {}, "é.é.é", "x" * 20_000, "e30.e30.e30"):
            with self.subTest(odd=str(odd)[:10]):
                self.token(lambda token, odd=odd: odd)
                self.refused("alg" if odd == "e30.e30.e30" else "form")

    def test_somebody_elses_token_again(self) -> None:
        """One from another sign-in has another nonce."""
        kept: list[str] = []
        self.token(lambda token: kept.append(token) or token)
        App().sign_in("trine")
        self.token(lambda token: kept[0])
        self.refused("nonce")

    def test_a_staff_provider_is_no_way_in_for_a_patient(self) -> None:
        self.refused("no_account_here", provider=STAFF, who="stranger", code="no_account_here")

    def test_new_keys_are_asked_for_and_not_too_often(self) -> None:
        self.app.sign_in("are")
        fresh = rsa.generate_private_key(65537, 2048)
        self.token(lambda token: self.stage.sign(opened(token), key=fresh, kid="new"))
        self.front.alter[JWKS] = lambda reply: reply.say({"keys": [public(jwk(fresh, "new", "RS256"))]})
        before = len(self.front.asks(JWKS))
        App().sign_in("are")
        assert len(self.front.asks(JWKS)) == before + 1, "asked for once"
        self.token(lambda token: self.stage.sign(opened(token), key=fresh, kid="newer"))
        self.refused("key")
        assert len(self.front.asks(JWKS)) == before + 1, "and not again in the same half minute"

    def test_ps256_is_taken(self) -> None:
        """RSASSA-PSS, under a key that says so or says nothing of how it signs."""
        said = public(jwk(self.stage.rsa, "theirs-ps", "PS256"))
        self.token(lambda token: self.stage.sign(opened(token), kid="theirs-ps", alg="PS256"))
        for key in (said, {name: value for name, value in said.items() if name != "alg"}):
            with self.subTest(says=key.get("alg")):
                metadata.forget()
                self.front.alter[JWKS] = lambda reply, key=key: reply.say({"keys": [key]})
                App().sign_in("are")

    def test_keys_that_are_none(self) -> None:
        weak = jwk(rsa.generate_private_key(65537, 1024), "theirs-rsa", "RS256")
        for keys, code, reason in (
            ([], "sign_in_unavailable", None),
            ("x", "sign_in_unavailable", None),
            ([{"kty": "oct", "k": "AAAA", "kid": "theirs-rsa"}], "sign_in_unavailable", None),
            ([{"kty": "RSA", "kid": "theirs-rsa"}], "sign_in_refused", "key"),
            ([{"kty": "RSA", "kid": "theirs-rsa", "n": "!", "e": 7}], "sign_in_refused", "key"),
            ([public(weak)], "sign_in_refused", "key"),
            ([public(jwk(self.stage.rsa, "theirs-rsa", "RS256"))] * 2, "sign_in_refused", "key"),
        ):
            with self.subTest(keys=str(keys)[:40]):
                metadata.forget()
                self.front.alter[JWKS] = lambda reply, keys=keys: reply.say({"keys": keys})
                assert App().refusal("are") == code
                if reason:
                    assert self.audit(type="sign_in.refused")[-1].reason == reason


class Answers(SignInTestCase):
    """The way back, altered by whoever sees it."""

    def visited(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.app.visit(self.app.begin(), "are")).query)

    def told(self, query: dict[str, Any], provider: str = CITIZENS) -> str:
        url = f"http://127.0.0.1:9/api/v1/sign-in/callback/{provider}?{urlencode(query, doseq=True)}"
        return App().told(self.app.come_back(url))

    def test_another_issuer(self) -> None:
        """Mix-up (RFC 9207): an answer of one provider is shown at another's address, or names another."""
        assert self.told({**self.visited(), "iss": "https://elsewhere.example"}) == "sign_in_refused"
        missing = self.visited()
        del missing["iss"]
        assert self.told(missing) == "sign_in_refused"
        assert [one.reason for one in self.audit(type="sign_in.refused")] == ["issuer", "issuer"]
        assert self.told(self.visited(), STAFF) == "sign_in_expired"
        assert not self.front.asks(TOKEN), "no code was shown to anybody"

    def test_states(self) -> None:
        query = self.visited()
        for state in (["x" * 43], ["å" * 43], [""], [], ["x" * 5000], [query["state"][0], query["state"][0]]):
            with self.subTest(state=state[:1]):
                assert self.told({**query, "state": state}) == "sign_in_expired"
        assert (
            self.app.come_back(f"/api/v1/sign-in/callback/{CITIZENS}?{urlencode(query, doseq=True)}").status_code == 303
        )

    def test_an_answer_is_good_once(self) -> None:
        query = self.visited()
        assert self.told({**query, "code": "x"}) == "sign_in_refused"
        assert self.told(query) == "sign_in_expired"

    def test_an_old_attempt(self) -> None:
        query = self.visited()
        OidcAttempt.objects.update(expires_at="2020-01-01T00:00:00Z")
        assert self.told(query) == "sign_in_expired"

    def test_odd_answers(self) -> None:
        for change, code in (
            ({"code": []}, "sign_in_refused"),
            ({"code": ["a", "b"]}, "sign_in_refused"),
            ({"code": ["x" * 3000]}, "sign_in_refused"),
            ({"code": ["\x00"]}, "sign_in_refused"),
            ({"error": "access_denied"}, "sign_in_cancelled"),
            ({"error": "server_error"}, "sign_in_refused"),
        ):
            with self.subTest(change=str(change)[:30]):
                assert self.told({**self.visited(), **change}) == code

    def test_a_code_of_somebody_else(self) -> None:
        """Injected into another's way back: the provider binds it to the verifier."""
        mine, theirs = self.visited(), self.visited()
        assert self.told({**theirs, "code": mine["code"]}) == "sign_in_refused"
        assert self.audit(type="sign_in.refused")[-1].reason == "code"


class HandedOver(SignInTestCase):
    def test_a_code_is_good_once_and_for_its_own_app(self) -> None:
        code = self.app.code("are")
        other = App()
        for answer in (
            other.exchange(code),
            self.app.exchange("unknown"),
            self.app.client.post("sign-in/exchange", {"code": code, "verifier": "a" * 43}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (400, "sign_in_code")
        assert self.app.exchange(code).status_code == 200
        again = self.app.exchange(code)
        assert again.status_code == 200, "its answer may have been lost"
        self.app.client.credentials(HTTP_AUTHORIZATION=f"Bearer {again.json()['token']}")
        assert self.app.client.get("me").status_code == 200
        again = self.app.exchange(code)
        assert (again.status_code, again.json()["code"]) == (400, "sign_in_code")
        assert Session.objects.filter(sign_in="citizen_oidc").count() == 1

    def test_a_code_is_good_for_a_minute(self) -> None:
        code = self.app.code("are")
        row = HandOver.objects.get()
        assert 55 <= (row.expires_at - row.made_at).total_seconds() <= 61
        HandOver.objects.update(expires_at="2020-01-01T00:00:00Z")
        assert self.app.exchange(code).json()["code"] == "sign_in_code"

    def test_nothing_usable_is_kept(self) -> None:
        url = self.app.visit(self.app.begin(), "are")
        answer = self.app.come_back(url)
        state = parse_qs(urlsplit(url).query)["state"][0]
        code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
        rows = str([*OidcAttempt.objects.values(), *HandOver.objects.values()])
        assert state not in rows
        assert code not in rows

    def test_discovery_of_somebody_else(self) -> None:
        for change in (
            {"issuer": "https://elsewhere.example"},
            {"token_endpoint": "http://elsewhere.example/token"},
            {"jwks_uri": "file:///etc/passwd"},
            {"authorization_endpoint": "https://u:p@elsewhere.example/"},
            {"pushed_authorization_request_endpoint": None},
        ):
            with self.subTest(change=change):
                metadata.forget()
                self.front.alter[WELL_KNOWN] = lambda reply, change=change: reply.say({**reply.said, **change})
                answer = App().client.post(f"sign-in/{CITIZENS}", {"challenge": self.app.challenge})
                assert (answer.status_code, answer.json()["code"]) == (503, "sign_in_unavailable")
