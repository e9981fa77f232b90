"""What providers may send is outside bytes: what stands there is believed or found unsound, and nothing else."""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from server.people.oidc import checks, metadata, wire
from server.people.oidc.checks import Expected, Said, TooLow, Unsound
from server.people.oidc.keys import ProofKey, fits, public_jwk, thumbprint
from tests.sign_in.stage import ARE, jwk, public
from tests.support.served import sqlite_only

pytestmark = sqlite_only

AT = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
KEY = rsa.generate_private_key(65537, 2048)
KEYS = [public(jwk(KEY, "one", "RS256"))]
US = Expected(issuer="https://provider.example", client_id="us", nonce="n", algs=("RS256",), at=AT)
CLAIMS: dict[str, Any] = {
    "iss": US.issuer,
    "aud": "us",
    "sub": "s",
    "nonce": "n",
    "iat": AT.timestamp() - 1,
    "exp": AT.timestamp() + 60,
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["iss", "aud", "azp", "sub", "nonce", "iat", "exp", "nbf", "auth_time"])


def signed(claims: Any, **headers: Any) -> str:
    return jwt.encode(claims, KEY, algorithm="RS256", headers={"kid": "one", **headers})


def test_what_is_sound_is_taken() -> None:
    assert checks.read_id_token(signed(CLAIMS), KEYS, US) == CLAIMS
    several = [*KEYS, public(jwk(rsa.generate_private_key(65537, 2048), "two", "RS256"))]
    assert checks.read_id_token(signed({**CLAIMS, "aud": ["us"], "azp": "us"}), several, US)["aud"] == ["us"]


@given(st.dictionaries(NAMES, ANYTHING, min_size=1, max_size=4))
def test_any_claims(changes: dict[str, Any]) -> None:
    claims = {**CLAIMS, **changes}
    try:
        found = checks.read_id_token(signed(claims), KEYS, US)
    except (Unsound, TypeError):  # TypeError: PyJWT will not sign some of them for us
        return
    assert {name: found[name] for name in ("iss", "nonce")} == {"iss": US.issuer, "nonce": "n"}
    assert found["aud"] in ("us", ["us"])
    assert found["exp"] > AT.timestamp() - checks.SKEW_S
    assert not isinstance(found["exp"], bool)


@given(ANYTHING | st.text(alphabet="ey.JA0=-_é", max_size=60))
def test_anything_instead_of_a_token(token: Any) -> None:
    with pytest.raises(Unsound):
        checks.read_id_token(token, KEYS, US)


@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "b64"]), ANYTHING, min_size=1))
def test_any_header(header: dict[str, Any]) -> None:
    head, body, signature = signed(CLAIMS).split(".")
    said = checks.letters(json.dumps({"alg": "RS256", "kid": "one", **header}).encode())
    if said == head:
        return
    with pytest.raises(Unsound):
        checks.read_id_token(f"{said}.{body}.{signature}", KEYS, US)


@given(st.dictionaries(st.sampled_from(["kty", "kid", "n", "e", "use", "alg", "x", "y", "crv", "k"]), ANYTHING))
def test_any_keys(key: dict[str, Any]) -> None:
    try:
        found = metadata.read_keys({"keys": [key, {**KEYS[0], **key}, key]})
    except wire.Away:
        return
    try:
        assert checks.read_id_token(signed(CLAIMS), found, US) == CLAIMS
    except Unsound:
        return


@given(st.dictionaries(st.sampled_from(["issuer", "token_endpoint", "jwks_uri", "keys", "x"]), ANYTHING))
def test_any_metadata(said: dict[str, Any]) -> None:
    with pytest.raises(wire.Away):
        metadata.read_metadata(said, issuer="https://provider.example", pushed=False)


@given(ANYTHING, ANYTHING, ANYTHING)
def test_any_person(number: Any, level: Any, organisation: Any) -> None:
    claims = {"pid": number, "acr": level, "org": organisation}
    try:
        said = checks.read_person(
            claims, number_claim="pid", level_claim="acr", levels={"4": 4}, organisation_claims=["org"]
        )
    except Unsound:
        return
    assert said.level == 4


@given(
    st.dictionaries(st.text(max_size=5) | st.sampled_from(["code", "iss", "error"]), st.lists(st.text(), max_size=2))
)
def test_any_way_back(query: dict[str, list[str]]) -> None:
    try:
        code = checks.read_answer(query, issuer="https://provider.example", says_issuer=False)
    except Unsound:
        return
    assert query["code"] == [code]


def test_the_bounds_of_time() -> None:
    """Up to a minute of skew on either side, and not a second more."""

    def sound(**changes: float) -> bool:
        moved = {name: AT.timestamp() + by for name, by in changes.items()}
        try:
            checks.read_id_token(signed({**CLAIMS, **moved}), KEYS, US)
        except Unsound as unsound:
            return unsound.reason != "time"
        return True

    assert (sound(exp=-59, iat=-90), sound(exp=-60, iat=-90)) == (True, False)
    assert (sound(iat=60, exp=99), sound(iat=61, exp=99)) == (True, False)
    assert (sound(iat=-660), sound(iat=-661)) == (True, False)
    assert (sound(nbf=60), sound(nbf=61)) == (True, False)
    assert not sound(iat=10, exp=10)


def test_odd_times() -> None:
    for odd in ("soon", True, None, [1], 1e300, 1e12):
        for name in ("exp", "iat"):
            with pytest.raises(Unsound) as unsound:
                checks.read_id_token(signed({**CLAIMS, name: odd}), KEYS, US)
            assert unsound.value.reason == "time"


def test_proof_must_be_new() -> None:
    begun = AT - timedelta(seconds=30)
    wanted = Expected(**{**{name: getattr(US, name) for name in US.__slots__}, "proved_since": begun})
    for since, good in ((-61, False), (-60, True), (0, True), (90, True), (91, False), (math.inf, False)):
        token = signed({**CLAIMS, "auth_time": begun.timestamp() + since})
        if good:
            assert checks.read_id_token(token, KEYS, wanted)
        else:
            with pytest.raises(Unsound):
                checks.read_id_token(token, KEYS, wanted)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("313000303", ("313000303",)),
        ("0192:313000303", ("313000303",)),
        ("NO:ORGNR:313000303:", ("313000303",)),
        (["313000303", "313000206", "313000303", 7], ("313000303", "313000206")),
        ("3130003031", ()),
        ("313000303\n", ()),
        (313000303, ()),
        (None, ()),
    ],
)
def test_organisations(value: Any, found: tuple[str, ...]) -> None:
    claims = {"pid": ARE, "acr": "x", "org": value}
    said = checks.read_person(
        claims, number_claim="pid", level_claim="acr", levels={"x": 4}, organisation_claims=["nothing", "org"]
    )
    assert said.organisations == found


def test_nobody_is_shown_the_number() -> None:
    assert ARE not in repr(Said(ARE, 4, ()))
    assert ARE not in str([Said(ARE, 4, ())])


def test_a_level_that_is_none() -> None:
    for level in (True, None, 4.0, [], "Level4"):
        with pytest.raises(TooLow):
            checks.read_person(
                {"pid": ARE, "acr": level}, number_claim="pid", level_claim="acr", levels={"4": 4, "1": 4}
            )


def test_the_key_of_an_attempt_is_the_same_in_every_process() -> None:
    one, again, other = (ProofKey.derived(secret * 32) for secret in (b"a", b"a", b"b"))
    assert public_jwk(one.private) == public_jwk(again.private) != public_jwk(other.private)
    proof = one.proof(method="POST", address="https://provider.example/token", at=AT, nonce="n")
    header = jwt.get_unverified_header(proof)
    assert (header["typ"], header["alg"], sorted(header["jwk"])) == ("dpop+jwt", "ES256", ["crv", "kty", "x", "y"])
    claims = jwt.decode(proof, options={"verify_signature": False})
    assert (claims["htm"], claims["htu"], claims["nonce"]) == ("POST", "https://provider.example/token", "n")


def test_a_thumbprint() -> None:
    """RFC 7638, section 3.1."""
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhM"
        "stn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5"
        "hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    assert thumbprint({"kty": "RSA", "n": n, "e": "AQAB"}) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_keys_and_what_they_may_sign() -> None:
    assert fits(KEY, "RS256")
    assert fits(KEY.public_key(), "PS256")
    assert not fits(KEY, "ES256")
    assert not fits(KEY, "RS512")
    assert not fits(rsa.generate_private_key(65537, 1024), "RS256")
    assert not fits(None, "RS256")
