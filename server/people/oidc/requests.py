"""Asking a provider: the authorisation request, pushed where it can be (RFC 9126), and the code for an identity token.

Nothing of an attempt is kept but the digest of its state: nonce, PKCE verifier and DPoP key follow from the state by
the installation's index key, so that they cannot be guessed from it, nor from the database.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from server.common.clock import now
from server.people.oidc import wire
from server.people.oidc.checks import Unsound, challenge_of, letters
from server.people.oidc.keys import ProofKey
from server.people.oidc.metadata import Metadata
from server.people.oidc.providers import Provider
from server.vault import actions as vault

NAME_LETTERS = 12
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True)
class Attempt:
    """One way to the provider and back."""

    state: str

    @cached_property
    def nonce(self) -> str:
        return self._derived("nonce")

    @cached_property
    def verifier(self) -> str:
        return self._derived("verifier")

    @cached_property
    def browser(self) -> str:
        """What a browser must bring back: its cookie."""
        return self._derived("browser")

    @cached_property
    def browser_name(self) -> str:
        """Which cookie: one for each attempt, for whoever signs in in two tabs."""
        return self._derived("browser_name")[:NAME_LETTERS]

    @cached_property
    def proof_key(self) -> ProofKey:
        return ProofKey.derived(vault.blind_index("sign_in/dpop", self.state))

    def _derived(self, what: str) -> str:
        return letters(vault.blind_index(f"sign_in/{what}", self.state))


def authorization_url(
    provider: Provider, metadata: Metadata, attempt: Attempt, *, minimum: int, language: str, anew: bool
) -> str:
    """Where to send somebody; `anew` asks that they prove who they are now. Raises Away, UnusableKey."""
    asked = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": provider.redirect_uri,
        "scope": " ".join(provider.scopes),
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": challenge_of(attempt.verifier),
        "code_challenge_method": "S256",
        "ui_locales": language,
    }
    if provider.ask_level == "acr_values":
        asked["acr_values"] = " ".join(provider.words_for(minimum))
    if anew:
        asked |= {"prompt": "login", "max_age": "0"}
    if metadata.pushed_endpoint is not None:
        answer = _post(provider, metadata.pushed_endpoint, attempt, asked)
        reference = answer.said.get("request_uri")
        if answer.status != 201 or not isinstance(reference, str) or not 0 < len(reference) < 1000:
            raise wire.Away(f"refused_us_{answer.error or answer.status}")
        asked = {"client_id": provider.client_id, "request_uri": reference}
    joint = "&" if "?" in metadata.authorization_endpoint else "?"
    return f"{metadata.authorization_endpoint}{joint}{urlencode(asked)}"


def fetch_id_token(provider: Provider, metadata: Metadata, attempt: Attempt, code: str) -> Any:
    """The identity token for a code, not yet looked at; what comes with it is dropped unread. Raises Unsound `code`
    when the provider does not take it; Away, UnusableKey."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": provider.redirect_uri,
        "code_verifier": attempt.verifier,
    }
    answer = _post(provider, metadata.token_endpoint, attempt, form)
    if answer.status == 200:
        return answer.said.get("id_token")
    if answer.error == "invalid_grant":
        raise Unsound("code")
    raise wire.Away(f"refused_us_{answer.error or answer.status}")


def _post(provider: Provider, address: str, attempt: Attempt, form: dict[str, str]) -> wire.Answer:
    """With proof of who we are; once more when the provider wants a nonce of its own in the DPoP proof."""
    send = _sender(provider, address, attempt, form)
    answer = send(None)
    nonce = answer.headers.get("dpop-nonce")
    if provider.dpop and answer.error == "use_dpop_nonce" and nonce and len(nonce) < 500:
        answer = send(nonce)
    return answer


def _sender(
    provider: Provider, address: str, attempt: Attempt, form: dict[str, str]
) -> Callable[[str | None], wire.Answer]:
    def send(nonce: str | None) -> wire.Answer:
        at = now()
        proof = provider.own_key.assertion(
            client_id=provider.client_id, audience=provider.issuer, at=at, typ=provider.assertion_type
        )
        whole = {**form, "client_id": provider.client_id, "client_assertion_type": ASSERTION, "client_assertion": proof}
        headers = {}
        if provider.dpop:
            headers["DPoP"] = attempt.proof_key.proof(method="POST", address=address, at=at, nonce=nonce)
        return wire.post(address, whole, headers=headers, proxy=provider.proxy)

    return send
