"""The provider, the front before it, our file about it, and somebody with a browser and an app."""

import base64
import contextlib
import hashlib
import json
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.conf import settings
from django.test import override_settings
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from server.people.oidc import metadata, providers
from tests.base import Client
from tests.sign_in.front import Front
from tools.provider import Provider
from tools.servers import free_port

HERE = "http://127.0.0.1:9/api/v1/sign-in/callback/"
CITIZENS, STAFF, EMPLOYER = "id-porten", "helseid", "helse-fjord"
PID, LEVEL = "helseid://claims/identity/pid", "helseid://claims/identity/security_level"
PARENT = "helseid://claims/client/claims/orgnr_parent"
HIGH, SUBSTANTIAL, LOW = "idporten-loa-high", "idporten-loa-substantial", "idporten-loa-low"
ARE, TRINE, STRANGER, KARI = "14438810197", "02497910180", "05489000042", "13479400029"
"""Synthetic numbers: two patients of the demo town, somebody nobody knows, and a psychologist."""
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def jwk(key: Key, kid: str, alg: str) -> dict[str, Any]:
    algorithm: Any = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    said = algorithm.to_jwk(key, as_dict=True)
    return {name: value for name, value in said.items() if name != "key_ops"} | {"kid": kid, "alg": alg, "use": "sig"}


def public(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name not in {"d", "p", "q", "dp", "dq", "qi"}}


PEOPLE = {
    "are": {"acr": HIGH, "claims": {"pid": ARE}},
    "are-substantial": {"acr": SUBSTANTIAL, "claims": {"pid": ARE}},
    "are-low": {"acr": LOW, "claims": {"pid": ARE}},
    "trine": {"acr": HIGH, "claims": {"pid": TRINE}},
    "stranger": {"acr": HIGH, "claims": {"pid": STRANGER, PID: STRANGER, LEVEL: "4"}},
    "numberless": {"acr": HIGH, "claims": {"pid": "12345678901"}},
    "kari": {"acr": HIGH, "claims": {PID: KARI, LEVEL: "4"}},
    "kari-dps": {"acr": HIGH, "claims": {PID: KARI, LEVEL: "4", PARENT: "313000303"}},
    "kari-3": {"acr": HIGH, "claims": {PID: KARI, LEVEL: "3"}},
    "kari-unsure": {"acr": HIGH, "claims": {PID: KARI}},
}


class Stage:
    """Made once for all tests. Node takes half a second to start."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="samsnakk-sign-in-", dir=settings.ENV.var_dir))
        port = free_port()
        self.front = Front(port)
        self.front.thread.start()
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        ours = {
            "citizens.jwk": jwk(rsa.generate_private_key(65537, 2048), "ours-1", "RS256"),
            "staff.jwk": jwk(ec.generate_private_key(ec.SECP256R1()), "ours-2", "ES256"),
        }
        for name, key in ours.items():
            (self.folder / name).write_text(json.dumps(key))
        first, second = ours.values()
        self.process = Provider(
            {
                "issuer": self.front.url,
                "port": port,
                "jwks": {"keys": [jwk(self.rsa, "theirs-rsa", "RS256"), jwk(self.ec, "theirs-ec", "ES256")]},
                "acr": [HIGH, SUBSTANTIAL, LOW],
                "claims": ["pid", PID, LEVEL, PARENT],
                "scopes": ["profile", "helseid://scopes/identity/pid", "helseid://scopes/identity/security_level"],
                "people": PEOPLE,
                "clients": [
                    _client("citizens", CITIZENS, first, id_token_signed_response_alg="RS256"),
                    _client(
                        "staff",
                        STAFF,
                        second,
                        id_token_signed_response_alg="ES256",
                        require_pushed_authorization_requests=True,
                        dpop_bound_access_tokens=True,
                    ),
                    _client("employer", EMPLOYER, second, id_token_signed_response_alg="ES256"),
                ],
            }
        )
        self.file = self.folder / "sign-in.json"
        self.write()

    def write(self, **more: Any) -> None:
        """Our file; `more` goes to every provider in it."""
        same = {"issuer": self.front.url, **more}
        numbers = {"number_claim": PID, "level_claim": LEVEL, "levels": {"3": 3, "4": 4}}
        said = [
            {
                "id": CITIZENS,
                "profile": "id-porten",
                "name": "ID-porten",
                "client_id": "citizens",
                "key_file": "citizens.jwk",
            },
            {"id": STAFF, "profile": "helseid", "name": "HelseID", "client_id": "staff", "key_file": "staff.jwk"},
            {
                "id": EMPLOYER,
                "name": "Helse Fjord",
                "kind": "employer",
                "organisations": ["313000303"],
                "client_id": "employer",
                "key_file": "staff.jwk",
                "pushed": False,
                **numbers,
            },
        ]
        self.file.write_text(
            json.dumps({"providers": [{"redirect_uri": HERE + str(one["id"]), **one, **same} for one in said]})
        )

    @contextlib.contextmanager
    def used(self, **environment: Any) -> Iterator[None]:
        """The installation as set up for it; nothing is remembered of it before or afterwards."""
        self.front.reset()
        self.forget()
        changed = settings.ENV.model_copy(update={"sign_in_file": self.file, **environment})
        with override_settings(ENV=changed):
            yield
        self.forget()

    def forget(self) -> None:
        providers.forget()
        metadata.forget()

    def stop(self) -> None:
        self.process.stop()
        self.front.stop()

    def sign(
        self, claims: dict[str, Any], *, key: Key | None = None, kid: str = "theirs-rsa", alg: str = "RS256"
    ) -> str:
        """An identity token as the provider would sign it, or somebody else."""
        return jwt.encode(claims, key or (self.ec if alg == "ES256" else self.rsa), algorithm=alg, headers={"kid": kid})


def _client(client_id: str, provider: str, key: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "client_id": client_id,
        "redirect_uris": [HERE + provider],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": key["alg"],
        "jwks": {"keys": [public(key)]},
        **more,
    }


class App:
    """Somebody's telephone: an app that begins and ends a sign-in, and the system browser between."""

    def __init__(self) -> None:
        self.client = Client()
        self.verifier = secrets.token_urlsafe(48)

    @property
    def challenge(self) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()

    def begin(self, provider: str = CITIZENS, *, way: str = "app", path: str = "sign-in/{}") -> str:
        """The address to open."""
        answer = self.client.post(path.format(provider), {"challenge": self.challenge, "return": way})
        assert answer.status_code == 200, answer.content
        assert answer.headers["Cache-Control"] == "no-store"
        return str(answer.json()["url"])

    def visit(self, url: str, who: str) -> str:
        """Sign in as `who` at the provider: where it sends the browser back to."""
        with httpx.Client(headers={"X-Person": who}, trust_env=False) as browser:
            for _ in range(8):
                if url.startswith(HERE):
                    return url
                answer = browser.get(url)
                assert answer.status_code in (302, 303), (answer.status_code, answer.text[:500])
                url = answer.headers["Location"]
                url = str(httpx.URL(str(answer.url)).join(url))
        raise AssertionError("never came back")

    def come_back(self, url: str, **more: Any) -> Any:
        """The browser's request to us."""
        parts = urlsplit(url)
        return Browser(self.client).get(f"{parts.path}?{parts.query}", **more)

    def code(self, who: str, provider: str = CITIZENS, **more: Any) -> str:
        """All the way to the one-time code."""
        answer = self.come_back(self.visit(self.begin(provider, **more), who))
        assert answer.status_code == 303, answer.content.decode()
        to = urlsplit(answer.headers["Location"])
        return parse_qs(to.query)["code"][0]

    def refusal(self, who: str, provider: str = CITIZENS, **more: Any) -> str:
        """All the way to a page that says why not: its code."""
        return self.told(self.come_back(self.visit(self.begin(provider, **more), who)))

    @staticmethod
    def told(answer: Any) -> str:
        """The code on a page; each page says whom to phone."""
        page = answer.content.decode()
        assert answer.status_code >= 400, (answer.status_code, answer.headers)
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "113" in page
        assert "116 117" in page
        return page.split('name="samsnakk-code" content="')[1].split('"')[0]

    def exchange(self, code: str, **more: Any) -> Any:
        return self.client.post("sign-in/exchange", {"code": code, "verifier": self.verifier, **more})

    def sign_in(self, who: str, provider: str = CITIZENS, **more: Any) -> dict[str, Any]:
        """All the way; afterwards `client` is signed in."""
        answer = self.exchange(self.code(who, provider), **more)
        assert answer.status_code == 200, answer.content
        said: dict[str, Any] = answer.json()
        if said["token"]:
            self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {said['token']}")
        return said


class Browser(Client):
    """The same browser as the client's; pages need be no problem+json."""

    def __init__(self, same: Client) -> None:
        super().__init__()
        self.cookies = same.cookies

    def request(self, **kwargs: Any) -> Any:
        answer = super(Client, self).request(**kwargs)
        assert answer.headers["X-Request-ID"]
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        return answer
