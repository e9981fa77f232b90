"""What is said of how an installation reaches people, and our key towards push services."""

import os
import subprocess
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import override_settings
from pydantic import ValidationError

from server.common.clock import now
from server.notify import setup, standing, vapid
from server.notify.models import Delivery
from server.settings.notify import Reaching
from tests.base import Client
from tests.notify.base import NotifyTestCase
from tests.support.deliveries import deliver, means
from tests.support.served import sqlite_only

pytestmark = sqlite_only


@pytest.fixture
def folder() -> Any:
    with TemporaryDirectory() as name:
        yield Path(name)


def test_a_key_is_made_in_demo_mode_once(folder: Path) -> None:
    with means(var_dir=folder):
        (first,) = vapid.keys()
        assert (first,) == vapid.keys()
        assert vapid.file() == folder / "notify" / "vapid.pem"
        assert vapid.file().stat().st_mode & 0o077 == 0
        assert len(first.public) == 87
        vapid.make(vapid.file())
        assert vapid.keys() == (first,), "one that is there is kept"
        assert [one.name for one in vapid.file().parent.iterdir()] == ["vapid.pem"]


def test_no_key_is_made_in_production(folder: Path) -> None:
    with means(var_dir=folder), override_settings(DEMO=False):
        assert vapid.keys() == ()
        assert any("no key at" in one for one in setup.production_warnings())


def test_a_key_that_somebody_else_made(folder: Path) -> None:
    path = folder / "vapid.pem"
    made = subprocess.run(
        ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(path)], capture_output=True
    )
    if made.returncode:
        pytest.skip("no openssl here")
    with means(vapid_key_file=path), override_settings(DEMO=False):
        assert len(vapid.keys()) == 1
        assert setup.faults() == []


@pytest.mark.parametrize("text", ["", "nonsense", "p-384", "encrypted"])
def test_a_key_that_is_none(folder: Path, text: str) -> None:
    path = folder / "vapid.pem"
    if text == "p-384":
        text = _pem(ec.SECP384R1(), serialization.NoEncryption())
    elif text == "encrypted":
        text = _pem(ec.SECP256R1(), serialization.BestAvailableEncryption(b"x"))
    path.write_text(text)
    with means(vapid_key_file=path):
        assert vapid.keys() == ()
        assert any("VAPID_KEY_FILE" in one for one in setup.faults())


def _pem(curve: ec.EllipticCurve, encryption: serialization.KeySerializationEncryption) -> str:
    key = ec.generate_private_key(curve)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def test_a_gateway_needs_all_of_it() -> None:
    with means(gateway_url="https://gateway.example", gateway_secret=""):
        assert any("GATEWAY_SECRET" in one for one in setup.faults())
    with means(gateway_url="https://gateway.example"):
        assert setup.faults() == []
        assert not any("GATEWAY_URL" in one for one in setup.production_warnings())
    assert any("GATEWAY_URL" in one for one in setup.production_warnings())


def test_production_takes_no_hosts_of_its_own_network() -> None:
    with means(push_hosts_allowed=["127.0.0.1"]):
        assert setup.production_faults()
    assert setup.production_faults() == []


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "gateway_url",
            ["", "https://gw.example/x", "http://127.0.0.1:1/x"],
            ["http://gw.example", "gw", "https://a@b.example"],
        ),
        ("public_url", ["https://samsnakk.example.no"], ["http://samsnakk.example.no", "https://"]),
        ("vapid_subject", ["mailto:drift@example.no", "https://example.no"], ["drift@example.no", "https://a/b", ""]),
        ("gateway_secret", ["", "x" * 32], ["short", "x" * 31 + " "]),
    ],
)
def test_settings(name: str, good: list[str], bad: list[str]) -> None:
    for value in good:
        assert getattr(Reaching(**{name: value}), name) == value
    for value in bad:
        with pytest.raises(ValidationError):
            Reaching(**{name: value})


def test_hosts_are_split() -> None:
    os.environ["PUSH_HOSTS_ALLOWED"] = "A.example, 127.0.0.1:9"
    try:
        assert Reaching().push_hosts_allowed == ["a.example", "127.0.0.1:9"]
    finally:
        del os.environ["PUSH_HOSTS_ALLOWED"]


class Watched(NotifyTestCase):
    def test_keys_that_are_refused(self) -> None:
        browser, address = self.device()
        assert standing.warnings() == set()
        self.push.script(browser, [403])
        self.order(address)
        deliver()
        assert standing.warnings() == {"push_keys_refused"}
        Delivery.objects.update(made_at=now() - timedelta(hours=2))
        assert standing.warnings() == set()

    def test_what_should_have_gone(self) -> None:
        _, address = self.device()
        self.order(address)
        Delivery.objects.update(due_at=now() - timedelta(seconds=31))
        assert standing.warnings() == {"deliveries_late"}
        found = Client().get("/metrics").content.decode()
        assert "samsnakk_deliveries_due 1.0" in found
