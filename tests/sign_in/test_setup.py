"""How an installation is set up for it: the file, the keys, the commands; and what is forgotten, counted and logged."""

import io
import json
import stat
from collections.abc import Iterator
from contextlib import redirect_stderr
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import override_settings

from server.common.clock import now
from server.people.models import HandOver, Identity, OidcAttempt, Session
from server.people.oidc import providers
from server.people.oidc.keys import OwnKey, UnusableKey
from server.people.sealed import number_index
from server.people.worker import tick
from tests.sign_in.base import SignInTestCase
from tests.sign_in.stage import ARE, CITIZENS, KARI, STAFF, STRANGER, App
from tests.support.leaks import captured, leaks
from tests.support.limits import limited
from tests.support.served import ROOT, sqlite_only

GOOD: dict[str, Any] = {
    "id": "id-porten",
    "profile": "id-porten",
    "name": "ID-porten",
    "issuer": "https://idporten.example",
    "client_id": "us",
    "redirect_uri": "https://samsnakk.example/api/v1/sign-in/callback/id-porten",
    "key_file": "key.jwk",
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    providers.forget()
    with override_settings(ENV=settings.ENV.model_copy(update={"sign_in_file": tmp_path / "sign-in.json"})):
        yield tmp_path
    providers.forget()


def read(folder: Path, *said: dict[str, Any]) -> dict[str, providers.Provider]:
    (folder / "sign-in.json").write_text(json.dumps({"providers": said}))
    providers.forget()
    return providers.providers()


@sqlite_only
def test_a_file(folder: Path) -> None:
    found = read(folder, GOOD)["id-porten"]
    assert (found.kind, found.number_claim, found.method, found.anew) == ("citizen", "pid", "citizen_oidc", True)
    assert found.words_for(4) == ["idporten-loa-high"]
    assert found.words_for(3) == ["idporten-loa-substantial", "idporten-loa-high"]
    staff = {**GOOD, "profile": "helseid", "id": "helseid", "redirect_uri": GOOD["redirect_uri"][:-9] + "helseid"}
    found = read(folder, GOOD, staff)["helseid"]
    assert (found.kind, found.pushed, found.dpop, found.anew) == ("staff", True, True, False)


@sqlite_only
@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "http://idporten.example"},
        {"issuer": "https://idporten.example/?x=1"},
        {"issuer": "https://user:secret@idporten.example"},
        {"redirect_uri": "https://samsnakk.example/elsewhere"},
        {"redirect_uri": "https://samsnakk.example/api/v1/sign-in/callback/other"},
        {"id": "ID porten"},
        {"id": "refresh", "redirect_uri": "https://samsnakk.example/api/v1/sign-in/callback/refresh"},
        {"kind": "anybody"},
        {"kind": "employer"},
        {"organisations": ["313000303"]},
        {"kind": "employer", "organisations": ["313000304"]},
        {"levels": {}},
        {"levels": {"x": 5}},
        {"id_token_algs": ["HS256"]},
        {"id_token_algs": []},
        {"scopes": ["profile"]},
        {"client_secret": "x"},
    ],
    ids=str,
)
def test_a_file_that_says_something_wrong(folder: Path, change: dict[str, Any]) -> None:
    with pytest.raises(providers.ProviderFault) as fault:
        read(folder, {**GOOD, **change})
    assert "\n" not in str(fault.value)
    assert "secret@" not in str(fault.value)
    assert str(providers.fault()).startswith("SIGN_IN_FILE")


@sqlite_only
def test_plain_http_is_for_the_demo_on_this_machine(folder: Path) -> None:
    local = {**GOOD, "issuer": "http://127.0.0.1:5000"}
    assert read(folder, local)
    with override_settings(DEMO=False), pytest.raises(providers.ProviderFault):
        read(folder, local)


@sqlite_only
def test_what_is_missing(folder: Path) -> None:
    assert providers.fault() == "SIGN_IN_FILE cannot be read"
    assert read(folder, GOOD)
    assert providers.fault() == "a key file of SIGN_IN_FILE cannot be read"
    call_command("people", "sign-in-key", str(folder / "key.jwk"), kind="ES256", stdout=io.StringIO())
    providers.forget()
    assert (providers.fault(), providers.missing()) == (None, ["SIGN_IN_FILE names no provider for staff"])
    assert providers.key_files() == [folder / "key.jwk"]
    with override_settings(ENV=settings.ENV.model_copy(update={"sign_in_file": None})):
        assert (providers.fault(), len(providers.missing())) == (None, 2)
    with pytest.raises(providers.ProviderFault, match="same id"):
        read(folder, GOOD, GOOD)


@sqlite_only
def test_the_example_is_usable_but_for_its_keys() -> None:
    example = ROOT / "deploy" / "sign-in.example.json"
    with override_settings(ENV=settings.ENV.model_copy(update={"sign_in_file": example}), DEMO=False):
        providers.forget()
        assert {one.kind for one in providers.providers().values()} == {"citizen", "staff", "employer"}
        assert providers.missing() == []
        assert providers.fault() == "a key file of SIGN_IN_FILE cannot be read"
    providers.forget()


@sqlite_only
def test_a_key_of_ours(tmp_path: Path) -> None:
    out, path, kind, kty = io.StringIO(), tmp_path / "key.jwk", "ES256", "EC"
    call_command("people", "sign-in-key", str(path), kind=kind, stdout=out)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    public = json.loads(out.getvalue().splitlines()[-1])
    assert (public["kty"], public["alg"], public["use"]) == (kty, kind, "sig")
    assert not set(public) & {"d", "p", "q"}
    key = OwnKey.read(path, "", None)
    assert (key.alg, key.key_id) == (kind, public["kid"])
    assert key.assertion(client_id="us", audience="them", at=now_(), typ="JWT")
    assert "private" not in repr(key)
    with pytest.raises(CommandError, match="exists"):
        call_command("people", "sign-in-key", str(path), kind=kind, stdout=out)


def now_() -> Any:
    return mock.Mock(timestamp=lambda: 1_800_000_000.0)


@sqlite_only
def test_keys_from_files(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    plain = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(rsa.generate_private_key(65537, 2048).private_bytes(*plain))
    assert OwnKey.read(path, "named", "PS256").alg == "PS256"
    for key_id, alg in (("", None), ("named", "ES256")):
        with pytest.raises(UnusableKey):
            OwnKey.read(path, key_id, alg)
    for bad in (
        rsa.generate_private_key(65537, 1024).private_bytes(*plain),
        ec.generate_private_key(ec.SECP384R1()).private_bytes(*plain),
        b"nothing",
        b'{"kty": "RSA"}',
        b'{"kty": "oct", "k": "AAAA", "kid": "x"}',
        b"",
    ):
        path.write_bytes(bad)
        with pytest.raises(UnusableKey):
            OwnKey.read(path, "named", None)


class Numbers(SignInTestCase):
    """`manage.py people identity USER`."""

    def identity(self, user: str, number: str) -> str:
        out = io.StringIO()
        with mock.patch("sys.stdin", io.StringIO(number + "\n")):
            call_command("people", "identity", user, stdout=out)
        return out.getvalue()

    def test_recorded(self) -> None:
        assert KARI not in self.identity("kari", f"{KARI[:6]} {KARI[6:]}")
        assert bytes(Identity.objects.get(user__username="kari").nin_index) == number_index(KARI)
        [event] = self.audit(type="identity.recorded")
        assert event.object_id == self.user_id("kari")
        self.identity("kari", KARI)
        assert len(self.audit(type="identity.recorded")) == 1, "the same again is nothing"

    def test_another_number_ends_what_the_first_began(self) -> None:
        self.identity("kari", KARI)
        self.app.sign_in("kari", STAFF)
        assert "sessions ended" in self.identity("kari", STRANGER)
        assert self.app.client.get("me").status_code == 401
        assert App().refusal("kari", STAFF) == "no_account_here"

    def test_refused(self) -> None:
        self.identity("kari", KARI)
        for user, number, why in (
            ("are", STRANGER, "patient"),
            ("sara", KARI, "another account"),
            ("nobody", STRANGER, "no such user"),
            ("sara", "12345678901", "no usable"),
            ("sara", "", "no usable"),
        ):
            with self.subTest(user=user), pytest.raises(CommandError, match=why):
                self.identity(user, number)
        assert Identity.objects.count() == 1

    def test_providers(self) -> None:
        out = io.StringIO()
        call_command("people", "providers", stdout=out)
        assert [line.split(":")[0] for line in out.getvalue().splitlines()] == [CITIZENS, STAFF, "helse-fjord"]
        told = io.StringIO()
        with self.stage.used(sign_in_file=None):
            call_command("people", "providers", stdout=out, stderr=told)
        assert len(told.getvalue().splitlines()) == 2
        with self.stage.used(sign_in_file=self.stage.folder / "nowhere"), pytest.raises(CommandError, match="be read"):
            call_command("people", "providers", stdout=out)


class Kept(SignInTestCase):
    def test_what_is_over_is_forgotten(self) -> None:
        self.app.code("are")
        App().begin()
        assert (OidcAttempt.objects.count(), HandOver.objects.count()) == (2, 1)
        tick()
        assert (OidcAttempt.objects.count(), HandOver.objects.count()) == (2, 1)
        for model in (OidcAttempt, HandOver):
            model.objects.update(expires_at=now() - timedelta(minutes=11))
        tick()
        assert (OidcAttempt.objects.count(), HandOver.objects.count()) == (0, 0)

    def test_attempts_are_counted(self) -> None:
        with limited("sign-in=2/60", "exchange=2/60", sign_in_file=self.stage.file):
            statuses = [
                self.app.client.post(f"sign-in/{CITIZENS}", {"challenge": self.app.challenge}).status_code
                for _ in range(3)
            ]
            assert statuses == [200, 200, 429]
            for _ in range(2):
                assert self.app.exchange("guessed").status_code == 400
            assert self.app.exchange("guessed").status_code == 429
        with limited("come-back=1/60", sign_in_file=self.stage.file):
            back = f"http://127.0.0.1:9/api/v1/sign-in/callback/{CITIZENS}?state={'x' * 43}"
            assert self.app.told(self.app.come_back(back)) == "sign_in_expired"
            page = self.app.come_back(back)
            assert (self.app.told(page), page.status_code, "Retry-After" in page.headers) == ("too_many", 429, True)

    def test_no_log_holds_any_of_it(self) -> None:
        self.kari_works()
        secrets = {ARE, STRANGER, KARI, "12345678901"}
        noise = io.StringIO()
        with captured() as log, redirect_stderr(noise):
            for who, provider in (("are", CITIZENS), ("kari", STAFF), ("stranger", CITIZENS), ("numberless", CITIZENS)):
                app = App()
                url = app.visit(app.begin(provider), who)
                query = parse_qs(urlsplit(url).query)
                secrets |= {query["state"][0], query["code"][0], app.verifier, app.challenge}
                back = app.come_back(url)
                if back.status_code == 303:
                    code = parse_qs(urlsplit(back.headers["Location"]).query)["code"][0]
                    said = app.exchange(code).json()
                    secrets |= {code, said["token"], said["refresh"]}
            secrets |= {one.form[name] for one in self.front.asked for name in one.form if name in SECRET}
        said = log.getvalue() + noise.getvalue()
        assert "sign_in_refused" in said
        assert leaks(said.encode(), secrets) == []
        events = str([(one.leaf, one.reason) for one in self.audit()])
        assert leaks(events.encode(), secrets) == []
        assert Session.objects.filter(sign_in__endswith="_oidc").count() == 2


SECRET = {"client_assertion", "code", "code_verifier", "nonce", "state", "code_challenge"}
