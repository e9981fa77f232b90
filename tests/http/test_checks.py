"""`manage.py check --deploy`: each thing that it asks for, wrong once, and an installation where all is right."""

import base64
import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import CheckMessage

from server.notify import vapid
from server.operate import checks, hardening
from server.review import retention
from tests.support.served import ROOT, manage, once, production
from tests.support.sign_in_file import sign_in

pytestmark = once

REMOTE = {"ENGINE": "django.db.backends.postgresql", "HOST": "db.example", "NAME": "samsnakk", "OPTIONS": {}}


@pytest.fixture
def right(tmp_path: Path) -> dict[str, Any]:
    """Settings of which nothing is to be said."""
    for name in ("master.keys", "vapid.pem", "signing.key"):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(0o600)
    vapid.make(tmp_path / "push.pem")
    sign_in(tmp_path)
    rules = json.loads(retention.OURS.read_text()) | {"confirmed_by": "Somebody, 2026-01-01"}
    (tmp_path / "retention.json").write_text(json.dumps(rules))
    (tmp_path / "var").mkdir()
    return {
        "mode": "production",
        "secret_key": secrets.token_urlsafe(64),
        "var_dir": tmp_path / "var",
        "master_keys": "",
        "master_key_file": tmp_path / "master.keys",
        "vapid_key_file": tmp_path / "push.pem",
        "audit_key_file": tmp_path / "signing.key",
        "sign_in_file": tmp_path / "sign-in0.json",
        "retention_file": tmp_path / "retention.json",
        "redis_url": "redis://localhost:6379",
        "throttle": True,
        "behind_tls": True,
        "trusted_proxies": ["127.0.0.1"],
        "public_url": "https://samsnakk.example",
        "log_level": "INFO",
        "pilot": True,
    }


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> Any:
    def put(env: dict[str, Any], **django: Any) -> None:
        monkeypatch.setattr(settings, "ENV", settings.ENV.model_copy(update=env))
        hosts = {"ALLOWED_HOSTS": ["samsnakk.example"], "DEBUG": False, "DEMO": False}
        for name, value in {**hosts, **django}.items():
            monkeypatch.setattr(settings, name, value)

    return put


def ids(found: Iterator[CheckMessage] | list[CheckMessage]) -> set[str]:
    return {str(one.id) for one in found}


def test_nothing_is_said_where_all_is_right(right: dict[str, Any], put: Any) -> None:
    put(right)
    assert list(hardening.found()) == []
    assert not {one for one in ids(checks.production(None)) if "E" in one}


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("E001", {"rate_limits": ["act=lots"]}),
        ("E003", {"secret_key": "short"}),
        ("E003", {"secret_key": "ab" * 40}),
        ("E003", {"secret_key": "demo-only-" + secrets.token_urlsafe(64)}),
        ("E005", {"pilot": False}),
        ("E006", {"redis_url": "", "pilot": False}),
        ("E007", {"trusted_proxies": []}),
        ("E008", {"trusted_proxies": ["0.0.0.0/0"]}),
        ("E008", {"trusted_proxies": ["10.0.0.1", "::/0"]}),
        ("E009", {"push_hosts_allowed": ["10.0.0.1"]}),
        ("E010", {"master_key_file": None}),
        ("W011", {"vapid_key_file": Path("/nowhere/push.pem")}),
        ("E015", {"sign_in_file": Path("/nowhere/sign-in.json")}),
        ("E017", {"redis_url": "redis://:secret@cache.example:6379"}),
        ("E018", {"redis_url": "rediss://cache.example:6379"}),
        ("E019", {"public_url": "http://samsnakk.example"}),
        ("W002", {"master_key_file": None, "master_keys": "1:x"}),
        ("W004", {"redis_url": "rediss://:secret@cache.example:6379?ssl_cert_reqs=none"}),
        ("W005", {"throttle": False}),
        ("W006", {"behind_tls": False}),
        ("W007", {"public_url": ""}),
        ("W008", {"sign_in_file": None}),
        ("W009", {"log_level": "DEBUG"}),
        ("W010", {"retention_file": None}),
    ],
)
def test_what_is_wrong(right: dict[str, Any], put: Any, code: str, wrong: dict[str, Any]) -> None:
    put(right | wrong)
    found = checks.production(None)
    assert f"samsnakk.{code}" in ids(found)
    assert "secret" not in " ".join(one.msg for one in found if one.id != "samsnakk.E003"), "values are not repeated"


def test_how_people_sign_in(right: dict[str, Any], put: Any, tmp_path: Path) -> None:
    put(right | {"sign_in_file": sign_in(tmp_path, "id-porten")})
    assert ids(hardening.found()) == {"samsnakk.W012"}
    (tmp_path / "provider.jwk").chmod(0o640)
    put(right)
    assert ids(hardening.found()) == {"samsnakk.E015"}
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "bad.json").chmod(0o600)
    put(right | {"sign_in_file": tmp_path / "bad.json"})
    assert ids(hardening.found()) == {"samsnakk.E020"}


@pytest.mark.parametrize(
    ("code", "django"),
    [("E002", {"DEBUG": True}), ("E004", {"ALLOWED_HOSTS": []}), ("E004", {"ALLOWED_HOSTS": ["a.example", "*"]})],
)
def test_what_is_wrong_in_django(right: dict[str, Any], put: Any, code: str, django: dict[str, Any]) -> None:
    put(right, **django)
    assert f"samsnakk.{code}" in ids(checks.production(None))


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("E012", "master_key_file"),
        ("E013", "vapid_key_file"),
        ("E014", "audit_key_file"),
        ("E015", "sign_in_file"),
    ],
)
def test_whose_keys_are_open_to_others(right: dict[str, Any], put: Any, code: str, name: str) -> None:
    for mode in (0o640, 0o604, 0o602):
        right[name].chmod(mode)
        put(right)
        assert ids(hardening.found()) == {f"samsnakk.{code}"}
    right[name].chmod(0o400)
    assert not ids(hardening.found())


def test_master_keys_beside_what_they_open(right: dict[str, Any], put: Any, tmp_path: Path) -> None:
    keys = tmp_path / "var" / "deeper" / "keys"
    keys.parent.mkdir()
    keys.touch(0o600)
    put(right | {"master_key_file": keys})
    assert ids(hardening.found()) == {"samsnakk.E011"}
    (tmp_path / "elsewhere").symlink_to(keys.parent)
    put(right | {"master_key_file": tmp_path / "elsewhere" / "keys"})
    assert ids(hardening.found()) == {"samsnakk.E011"}, "by whichever name"


@pytest.mark.parametrize(
    ("host", "mode", "code"),
    [
        ("db.example", None, "E016"),
        ("db.example", "prefer", "E016"),
        ("db.example", "require", "W003"),
        ("db.example", "verify-full", None),
        ("localhost", None, None),
        ("/run/postgresql", None, None),
        ("", None, None),
    ],
)
def test_how_the_database_is_spoken_to(
    right: dict[str, Any], put: Any, host: str, mode: str | None, code: str | None
) -> None:
    database = REMOTE | {"HOST": host, "OPTIONS": {"sslmode": mode} if mode else {}}
    put(right, EMBEDDED=False, DATABASES={"default": database})
    assert ids(hardening.found()) == ({f"samsnakk.{code}"} if code else set())


def test_the_command(tmp_path: Path) -> None:
    """Where all is right it is silent: `tests/test_settings.py::test_a_proper_environment_passes_every_check`."""
    keys = tmp_path / "master.keys"
    keys.write_text(f"1:{base64.b64encode(secrets.token_bytes(32)).decode()}\n")
    keys.chmod(0o644)
    wrong = production(tmp_path, MASTER_KEYS="", MASTER_KEY_FILE=str(keys), BEHIND_TLS="1")
    said = manage("check", "--deploy", env=wrong)
    assert said.returncode != 0
    assert "samsnakk.E007" in said.stderr
    assert "samsnakk.E012" in said.stderr


def test_every_id_is_told() -> None:
    """In docs/operations.md, and in a source file: neither one more nor one less."""
    said = re.findall(r"`(?:samsnakk\.)?([EW]0\d\d)`", (ROOT / "docs" / "operations.md").read_text())
    sources = [
        (ROOT / "server" / "operate" / f"{name}.py").read_text() for name in ("checks", "hardening", "preflight")
    ]
    assert set(said) == set(re.findall(r"samsnakk\.([EW]0\d\d)", "".join(sources)))
    tested = set(re.findall(r"[EW]0\d\d", Path(__file__).read_text()))
    assert set(said) <= tested | {"W001", "W011"}, "each is wrong once here; those in tests/test_settings.py"
