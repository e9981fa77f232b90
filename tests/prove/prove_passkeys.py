"""Passkeys in a real browser: Chromium's own WebAuthn, with its virtual authenticator, against a real server."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.served import environment, once, serve
from tools.chromium import Page, page
from tools.servers import ServiceFault

pytestmark = [pytest.mark.prove, once]

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
MAKE = """(async () => {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(%s);
  return (await navigator.credentials.create({publicKey})).toJSON();
})()"""
PROVE = """(async () => {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(%s);
  return (await navigator.credentials.get({publicKey})).toJSON();
})()"""


@dataclass
class Kari:
    """The app's own server part speaks to ours; the browser does what only a browser can. (Our pages let no script
    fetch anything.)"""

    api: httpx.Client
    browser: Page

    def asked(self, path: str) -> str:
        """The options, as the script takes them."""
        return json.dumps(self.api.post(path).json()["options"])

    def say(self, path: str, credential: Any) -> httpx.Response:
        return self.api.post(path, json={"credential": credential})


@pytest.fixture
def kari(tmp_path: Path) -> Iterator[Kari]:
    with serve(tmp_path, environment(tmp_path, MODE="demo", DB_TIMEOUT_S="20")) as served:
        try:
            with page(f"http://localhost:{served.port}/health/live") as browser:
                _ready(browser)
                with httpx.Client(base_url=f"{served.url}/api/v1/", timeout=60, trust_env=False) as api:
                    token = api.post("demo/sign-in", json={"persona": "kari"}).json()["token"]
                    api.headers["Authorization"] = f"Bearer {token}"
                    yield Kari(api, browser)
        except ServiceFault as fault:
            pytest.fail(str(fault), pytrace=False)


def _ready(found: Page) -> None:
    deadline = time.monotonic() + 30
    while found.run("document.readyState + location.protocol") != "completehttp:":
        assert time.monotonic() < deadline, "the page does not open"
        time.sleep(0.1)


def test_a_real_browser_makes_a_passkey_and_proves_with_it(kari: Kari) -> None:
    browser = kari.browser
    browser.call("WebAuthn.enable")
    made = browser.call("WebAuthn.addVirtualAuthenticator", options=AUTHENTICATOR)["authenticatorId"]
    kept = kari.say("me/passkeys", browser.run(MAKE % kari.asked("me/passkeys/options")))
    assert kept.status_code == 201, kept.text
    proof = browser.run(PROVE % kari.asked("me/step-up/options"))
    assert kari.say("me/step-up/passkey", proof).status_code == 200
    assert kari.api.get("me/step-up").json()["proved_by"] == "passkey"
    again = kari.say("me/step-up/passkey", proof)
    assert (again.status_code, again.json()["code"]) == (403, "proof_wrong"), "an answer is good once"
    browser.call("WebAuthn.setUserVerified", authenticatorId=made, isUserVerified=False)
    asked = PROVE % kari.asked("me/step-up/options")
    refused = browser.run(f"{asked}.then(() => 'proved', error => error.name)")
    assert refused == "NotAllowedError", "whoever has no PIN gets no answer from the authenticator at all"
