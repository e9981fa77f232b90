"""Passkeys: a proof is for one site, one challenge, one session and a person who was verified; nothing else passes."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import F
from hypothesis import given, settings
from hypothesis import strategies as st

from server.people.actions.proofs import forget_challenges
from server.people.models import Challenge, Passkey, Session
from tests.base import Client, TownPropertyTestCase, TownTestCase
from tests.credentials.base import JSON, Proving
from tests.support.authenticator import Authenticator, Faults, decode, encode
from tests.support.limits import limited
from tests.support.served import sqlite_only

pytestmark = sqlite_only

FAULTS = {
    "another site's page": Faults(origin="https://samsnakk.example.org"),
    "the same name without TLS": Faults(origin="http://localhost.example"),
    "inside another site's page": Faults(cross_origin=True),
    "another site's key": Faults(rp_id="example.org"),
    "nobody was verified": Faults(unverified=True),
    "nobody was there": Faults(absent=True),
    "a challenge of its own": Faults(challenge=bytes(32)),
}


class Registering(Proving, TownTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.kari = self.person("kari")

    def options(self) -> JSON:
        found: JSON = self.kari.ok("post", "me/passkeys/options")["options"]
        return found

    def test_it_is_kept_listed_and_taken_away(self) -> None:
        self.register(self.kari)
        (shown,) = self.kari.ok("get", "me/passkeys")["results"]
        assert set(shown) == {"id", "device", "backed_up", "made_at", "used_at"}, "no key, no id of the credential"
        assert self.kari.ok("get", "me/step-up")["ways"] == ["passkey"]
        self.kari.ok("delete", f"me/passkeys/{shown['id']}")
        assert self.kari.ok("get", "me/passkeys")["results"] == []
        self.refused(self.kari.post("me/step-up/options"), 409, "no_passkey")
        assert self.told(self.user_id("kari"), "way_in_changed") == ["passkey_added", "passkey_removed"]
        types = {one.type for one in self.audit(actor_id=self.user_id("kari"), outcome="success")}
        assert {"passkey.registered", "passkey.removed"} <= types

    def test_what_is_asked_of_it(self) -> None:
        """Red when user verification is no longer required, or an attestation is asked for."""
        options = self.options()
        assert options["rp"]["id"] == "localhost"
        assert options["authenticatorSelection"]["userVerification"] == "required"
        assert options["attestation"] == "none"
        assert options["user"]["id"] == encode(self.kari.user_id.bytes)
        are = self.person("are").ok("post", "me/passkeys/options")["options"]
        assert are["user"]["name"] == are["rp"]["name"] == "Samsnakk", "no patient's name in any telephone's list"

    def test_whoever_only_found_the_phone_makes_none(self) -> None:
        """Red when `require_fresh` is left out of any of these."""
        made = self.register(self.kari)
        (known,) = Passkey.objects.all()
        options = self.options()
        self.grow_stale(self.kari)
        self.refused(self.kari.post("me/passkeys/options"), 403, "step_up_needed")
        answer = {"credential": Authenticator().create(options)}
        self.refused(self.kari.post("me/passkeys", answer), 403, "step_up_needed")
        self.refused(self.kari.delete(f"me/passkeys/{known.id}"), 403, "step_up_needed")
        for path in ("me/totp", "me/recovery-codes"):
            self.refused(self.kari.post(path), 403, "step_up_needed")
        self.refused(self.kari.delete("me/totp"), 403, "step_up_needed")
        assert self.audit(type="passkey.registered", outcome="refused", reason="step_up_needed")
        assert self.step_up(self.kari, made).status_code == 200
        self.register(self.kari)

    def test_faults_make_none(self) -> None:
        for why, faults in {**FAULTS, "an answer to something else": Faults(kind="webauthn.get")}.items():
            answer = self.kari.post("me/passkeys", {"credential": Authenticator().create(self.options(), faults)})
            assert (answer.status_code, answer.json()["code"]) == (400, "passkey_unusable"), why
        assert not Passkey.objects.exists()

    def test_a_challenge_is_good_once_and_where_it_was_asked(self) -> None:
        """Red when a challenge of another session, of another purpose, or one that was answered passes."""
        options = self.options()
        answer = {"credential": Authenticator().create(options)}
        elsewhere = self.sign_in("kari")
        self.refused(elsewhere.post("me/passkeys", answer), 400, "passkey_unusable")
        assert self.kari.post("me/passkeys", answer).status_code == 201
        again = {"credential": Authenticator().create(options)}
        self.refused(self.kari.post("me/passkeys", again), 400, "passkey_unusable")
        options = self.options()
        Challenge.objects.update(expires_at=F("made_at") - timedelta(seconds=1))
        late = {"credential": Authenticator().create(options)}
        self.refused(self.kari.post("me/passkeys", late), 400, "passkey_unusable")

    def test_a_refusal_gives_no_challenge_back(self) -> None:
        """Red when it is spent in the transaction that a refusal rolls back; a retry is answered all the same."""
        options = self.options()
        wrong = {"credential": Authenticator().create(options, FAULTS["nobody was verified"])}
        right = {"credential": Authenticator().create(options)}
        for n, said in enumerate((wrong, right)):
            answer = self.kari.post("me/passkeys", said, headers={"Idempotency-Key": f"try {n}"})
            self.refused(answer, 400, "passkey_unusable")
        right = {"credential": Authenticator().create(self.options())}
        first, again = (self.kari.post("me/passkeys", right, headers={"Idempotency-Key": "three"}) for _ in range(2))
        assert (first.status_code, again.status_code, first.json()) == (201, 201, again.json())

    def test_a_key_is_known_once(self) -> None:
        """Somebody else's, too: nobody proves who they are with a key that another says is theirs."""
        made = self.register(self.kari)
        vera = self.person("vera")
        stolen = made.copy().create(vera.ok("post", "me/passkeys/options")["options"])
        self.refused(vera.post("me/passkeys", {"credential": stolen}), 409, "passkey_known")

    def test_ten_and_no_more(self) -> None:
        rows = [
            Passkey(user_id=self.kari.user_id, credential_id=bytes([n]), public_key=b"-", device="other")
            for n in range(10)
        ]
        Passkey.objects.bulk_create(rows)
        self.refused(self.kari.post("me/passkeys/options"), 409, "too_many_passkeys")

    def test_anothers_is_not_there(self) -> None:
        self.register(self.person("vera"))
        (hers,) = Passkey.objects.all()
        answers = [self.kari.delete(f"me/passkeys/{one}") for one in (hers.id, UUID(int=7))]
        assert [one.status_code for one in answers] == [404, 404]
        assert {**answers[0].json(), "request_id": 0} == {**answers[1].json(), "request_id": 0}


class ProvingIt(Proving, TownTestCase):
    kari: Client
    key: Authenticator

    def given(self) -> None:
        self.kari = self.person("kari")
        self.key = self.register(self.kari)
        self.grow_stale(self.kari)

    def options(self, client: Client | None = None) -> JSON:
        found: JSON = (client or self.kari).ok("post", "me/step-up/options")["options"]
        return found

    def prove(self, credential: Any, client: Client | None = None) -> Any:
        return (client or self.kari).post("me/step-up/passkey", {"credential": credential})

    def test_it_makes_the_session_fresh_and_no_other(self) -> None:
        other = self.sign_in("kari")
        self.grow_stale(other)
        assert self.prove(self.key.get(self.options())).status_code == 200
        assert self.is_fresh(self.kari)
        assert not self.is_fresh(other)
        said = self.kari.ok("get", "me/step-up")
        assert said["proved_by"] == "passkey"
        assert self.session_of(self.kari).strong_by == "passkey"
        assert [one.reason for one in self.audit(type="session.proved")] == ["passkey"]
        assert Passkey.objects.get().used_at is not None

    def test_faults_prove_nothing(self) -> None:
        faults = {
            **FAULTS,
            "an answer to something else": Faults(kind="webauthn.create"),
            "another key": Faults(other_key=True),
        }
        for why, wrong in faults.items():
            answer = self.prove(self.key.get(self.options(), wrong))
            assert (answer.status_code, answer.json()["code"]) == (403, "proof_wrong"), why
        assert not self.is_fresh(self.kari)
        assert len(self.audit(type="session.proved", outcome="refused")) == len(faults)

    def test_a_challenge_is_good_once_even_for_a_wrong_answer(self) -> None:
        """Red when `take` comes after the check, or is undone by the refusal."""
        options = self.options()
        self.refused(self.prove(self.key.get(options, Faults(other_key=True))), 403, "proof_wrong")
        self.refused(self.prove(self.key.get(options)), 403, "proof_wrong")

    def test_an_answer_is_good_once(self) -> None:
        said = self.key.get(self.options())
        assert self.prove(said).status_code == 200
        self.refused(self.prove(said), 403, "proof_wrong")

    def test_not_in_another_session_nor_for_another_purpose(self) -> None:
        other = self.sign_in("kari")
        self.refused(self.prove(self.key.get(self.options()), other), 403, "proof_wrong")
        asked = other.ok("post", "me/passkeys/options")["options"]["challenge"]
        answer = self.key.get({**self.options(other), "challenge": asked})
        self.refused(self.prove(answer, other), 403, "proof_wrong")

    def test_anothers_key_proves_nothing(self) -> None:
        vera = self.person("vera")
        self.register(vera)
        options = self.options(vera)
        allowed = [{"id": encode(self.key.id), "type": "public-key"}]
        self.refused(self.prove(self.key.get({**options, "allowCredentials": allowed}), vera), 403, "proof_wrong")

    def test_one_that_was_taken_away_proves_nothing(self) -> None:
        said = self.key.get(self.options())
        fresh = self.sign_in("kari")
        fresh.ok("delete", f"me/passkeys/{Passkey.objects.get().id}")
        self.refused(self.prove(said), 403, "proof_wrong")

    def test_a_copied_key_is_refused_and_its_owner_is_told(self) -> None:
        """Red when the counter is not compared, or the telling is rolled back with the refusal."""
        copy = self.key.copy()
        assert self.prove(self.key.get(self.options())).status_code == 200
        self.grow_stale(self.kari)
        self.refused(self.prove(copy.get(self.options())), 403, "passkey_copied")
        assert not self.is_fresh(self.kari)
        assert self.told(self.kari.user_id, "way_in_changed")[-1] == "passkey_copied"
        assert self.audit(type="passkey.looks_copied")
        assert self.prove(self.key.get(self.options())).status_code == 200, "the one that counts on is the owner's"

    def test_keys_that_do_not_count(self) -> None:
        """Synchronised ones say 0 for ever; one that counted does not begin to say 0."""
        fresh = self.sign_in("kari")
        synced = self.register(fresh, Authenticator(counts=False, backed_up=True))
        assert Passkey.objects.filter(backed_up=True).count() == 1
        for _ in range(2):
            assert self.step_up(fresh, synced).status_code == 200
        copy = self.key.copy()
        copy.counts = False
        self.refused(self.prove(copy.get(self.options(fresh)), fresh), 403, "passkey_copied")

    def test_an_ended_session_is_proved_by_nothing(self) -> None:
        said = self.key.get(self.options())
        self.kari.ok("post", "me/sign-out")
        self.refused(self.prove(said), 401, "session_ended")
        assert Session.objects.get(sid=self.audit(type="session.ended")[-1].object_id).strong_by == "demo"

    def test_guesses_are_limited(self) -> None:
        with limited("passkey=10/600"):
            codes = [self.prove({"response": {}}).status_code for _ in range(11)]
        assert codes[-1] == 429, codes

    def test_what_was_asked_yesterday_is_forgotten(self) -> None:
        self.options()
        Challenge.objects.update(expires_at=F("expires_at") - timedelta(days=2))
        kept = self.options()["challenge"]
        assert forget_challenges() >= 1
        assert Challenge.objects.count() == 1, kept


class AnyBytes(Proving, TownPropertyTestCase):
    """Whatever is sent in an authenticator's place is a refusal, never a fault of ours."""

    texts = st.one_of(st.text(max_size=40), st.binary(max_size=120).map(encode), st.none(), st.integers(), st.just("-"))
    parts = st.dictionaries(
        st.sampled_from(["clientDataJSON", "authenticatorData", "signature", "attestationObject", "transports"]), texts
    )

    @given(response=st.one_of(parts, texts), raw=texts, flipped=st.integers(0, 2_000), bit=st.integers(0, 7))
    @settings(max_examples=25, deadline=None)
    def test_they_are_refused(self, response: Any, raw: Any, flipped: int, bit: int) -> None:
        self._arrive()
        kari = self.person("kari")
        options = kari.ok("post", "me/passkeys/options")["options"]
        right = Authenticator().create(options)
        for credential in (
            {"id": raw, "rawId": raw, "type": "public-key", "response": response},
            {**right, "response": {**right["response"], "attestationObject": raw}},
            {**right, "response": {**right["response"], "attestationObject": _flip(right, flipped, bit)}},
            {**right, "rawId": raw},
        ):
            answer = kari.post("me/passkeys", {"credential": credential})
            assert answer.status_code in (201, 400), answer.content
            assert kari.post("me/step-up/passkey", {"credential": credential}).status_code == 403


def _flip(right: JSON, at: int, bit: int) -> str:
    raw = bytearray(decode(right["response"]["attestationObject"]))
    raw[at % len(raw)] ^= 1 << bit
    return encode(bytes(raw))
