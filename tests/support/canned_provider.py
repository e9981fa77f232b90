"""A provider for citizens that says yes to everybody who comes back with a state as their code: for tests in which
signing in is one door among many. What providers really do is tried in tests/sign_in."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from jwt.algorithms import ECAlgorithm

from server.common.clock import now
from server.people.oidc import metadata, providers, wire
from server.people.oidc.metadata import WELL_KNOWN
from server.people.oidc.requests import Attempt

ID, CLIENT, ISSUER, NUMBER = "id-porten", "us", "http://127.0.0.1:9", "14438810197"
"""Nobody answers there, and nobody is asked. The number is Are's."""


@cache
def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _jwk() -> dict[str, Any]:
    said = ECAlgorithm.to_jwk(_key(), as_dict=True)
    return {name: value for name, value in said.items() if name != "key_ops"} | {"kid": "one", "alg": "ES256"}


@contextmanager
def canned_provider() -> Iterator[None]:
    folder = Path(settings.ENV.var_dir)
    (folder / "canned.jwk").write_text(json.dumps(_jwk()))
    file = folder / "canned-sign-in.json"
    provider = {
        "id": ID,
        "profile": "id-porten",
        "name": "ID-porten",
        "issuer": ISSUER,
        "client_id": CLIENT,
        "redirect_uri": f"{ISSUER}{providers.CALLBACK}{ID}",
        "key_file": "canned.jwk",
    }
    file.write_text(json.dumps({"providers": [provider]}))
    changed = settings.ENV.model_copy(update={"sign_in_file": file})
    with (
        mock.patch.object(settings, "ENV", changed),
        mock.patch.object(wire, "get", _get),
        mock.patch.object(wire, "post", _post),
    ):
        providers.forget()
        metadata.forget()
        yield
    providers.forget()
    metadata.forget()


def _get(address: str, **_: Any) -> wire.Answer:
    if address.endswith(WELL_KNOWN):
        names = ("authorization", "token", "pushed_authorization_request")
        there = {f"{name}_endpoint": f"{ISSUER}/{name}" for name in names}
        return wire.Answer(200, {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys", **there}, {})
    return wire.Answer(200, {"keys": [{name: value for name, value in _jwk().items() if name != "d"}]}, {})


def _post(address: str, form: Mapping[str, str], **_: Any) -> wire.Answer:
    if "code" not in form:
        return wire.Answer(201, {"request_uri": "urn:canned", "expires_in": 60}, {})
    at = int(now().timestamp())
    claims = {
        "iss": ISSUER,
        "aud": CLIENT,
        "sub": "are",
        "nonce": Attempt(form["code"]).nonce,
        "iat": at,
        "exp": at + 60,
        "auth_time": at,
        "acr": "idporten-loa-high",
        "pid": NUMBER,
    }
    return wire.Answer(200, {"id_token": jwt.encode(claims, _key(), algorithm="ES256", headers={"kid": "one"})}, {})
