"""Which providers there are: one JSON file of the installation's (`SIGN_IN_FILE`), and our keys towards them."""

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from django.conf import settings
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from server.people.identity import Unusable, organisation_number
from server.people.oidc.keys import OwnKey, UnusableKey

CALLBACK = "/api/v1/sign-in/callback/"
RESERVED = {"callback", "exchange", "in-person", "passkey", "providers", "refresh"}
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
HELSEID = "helseid://claims/"
Alg = Literal["RS256", "PS256", "ES256"]

PROFILES: dict[str, dict[str, Any]] = {
    "id-porten": {
        "kind": "citizen",
        "scopes": ["openid", "profile"],
        "number_claim": "pid",
        "level_claim": "acr",
        "levels": {"idporten-loa-substantial": 3, "idporten-loa-high": 4},
        "ask_level": "acr_values",
    },
    "helseid": {
        "kind": "staff",
        "scopes": ["openid", "helseid://scopes/identity/pid", "helseid://scopes/identity/security_level"],
        "number_claim": f"{HELSEID}identity/pid",
        "level_claim": f"{HELSEID}identity/security_level",
        "levels": {"3": 3, "4": 4},
        "organisation_claims": [f"{HELSEID}client/claims/orgnr_child", f"{HELSEID}client/claims/orgnr_parent"],
        "pushed": True,
        "dpop": True,
    },
}
"""What the two national ones have in common for everybody; the file may say otherwise, word by word."""


class ProviderFault(Exception):
    """The file cannot be used. The text is one line, without secrets."""


class Provider(BaseModel):
    """One provider, and what we are to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    profile: Literal["id-porten", "helseid", "other"] = "other"
    name: str = Field(min_length=1, max_length=60)
    """As people know it."""
    kind: Literal["citizen", "staff", "employer"]
    """`citizen`: patients. `staff`: whoever works here, anywhere. `employer`: whoever works for `organisations`."""
    issuer: str = Field(max_length=200)
    client_id: str = Field(min_length=1, max_length=200)
    redirect_uri: str = Field(max_length=300)
    key_file: Path
    """Our private key: JWK or PEM; a relative path starts where the file stands."""
    key_id: str = Field(default="", max_length=200)
    """Where the key does not say it itself."""
    signing_alg: Alg | None = None
    """Where the key does not say it itself; RS256 and ES256 else."""
    assertion_type: str = Field(default="JWT", pattern=r"^[A-Za-z+-]{1,40}$")
    """`typ` of what proves who we are."""
    id_token_algs: tuple[Alg, ...] = Field(default=("RS256", "PS256", "ES256"), min_length=1)
    scopes: tuple[str, ...] = ("openid",)
    number_claim: str = Field(min_length=1, max_length=200)
    """Holds the national identity number."""
    level_claim: str = Field(default="acr", min_length=1, max_length=200)
    levels: dict[str, int] = Field(min_length=1)
    """What its words for the level of assurance mean: 3 is eIDAS *substantial*, 4 *high*. Other words mean nothing."""
    ask_level: Literal["acr_values", "no"] = "no"
    """Whether to ask for the words that are enough."""
    organisation_claims: tuple[str, ...] = ()
    """Hold organisation numbers, the closest first."""
    organisations: tuple[str, ...] = ()
    """Organisation numbers of the controllers that an employer's own provider speaks for."""
    pushed: bool = True
    """Pushed authorisation requests (RFC 9126)."""
    dpop: bool = False
    """RFC 9449."""
    always_anew: bool | None = None
    """People prove who they are each time, even where they have done so elsewhere a moment ago. Unset: citizens do."""
    proxy: str | None = None
    """The way out, where there is but one: http://host:port."""

    @model_validator(mode="before")
    @classmethod
    def _of_profile(cls, given: Any) -> Any:
        return {**PROFILES.get(str(given.get("profile")), {}), **given} if isinstance(given, dict) else given

    @field_validator("id")
    @classmethod
    def _id(cls, value: str) -> str:
        if value in RESERVED:
            raise ValueError("this word is an address of ours")
        return value

    @field_validator("levels")
    @classmethod
    def _levels(cls, value: dict[str, int]) -> dict[str, int]:
        if not all(0 <= level <= 4 for level in value.values()):
            raise ValueError("levels are 0 to 4")
        return value

    @field_validator("scopes")
    @classmethod
    def _scopes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in value:
            raise ValueError("openid must be among them")
        return value

    @field_validator("organisations")
    @classmethod
    def _organisations(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(organisation_number(one) for one in value)
        except Unusable:
            raise ValueError("expected organisation numbers") from None

    @model_validator(mode="after")
    def _fits(self) -> "Provider":
        if (self.kind == "employer") != bool(self.organisations):
            raise ValueError("an employer's provider, and no other, has organisations")
        for name in ("issuer", "redirect_uri"):
            if not usable_address(getattr(self, name)):
                raise ValueError(f"{name} must be https")
        if urlsplit(self.issuer).query:
            raise ValueError("issuer has no query")
        if urlsplit(self.redirect_uri).path != CALLBACK + self.id:
            raise ValueError(f"redirect_uri must end with {CALLBACK}{self.id}")
        return self

    @property
    def method(self) -> str:
        """What `Session.sign_in` becomes."""
        return f"{self.kind}_oidc"

    @property
    def anew(self) -> bool:
        return self.kind == "citizen" if self.always_anew is None else self.always_anew

    @property
    def own_key(self) -> OwnKey:
        """Raises UnusableKey."""
        return _own_key(_beside(self.key_file), self.key_id, self.signing_alg)

    def words_for(self, minimum: int) -> list[str]:
        """Its words for levels that are enough."""
        return [word for word, level in self.levels.items() if level >= minimum]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    providers: tuple[Provider, ...] = Field(min_length=1, max_length=20)


def usable_address(address: str) -> bool:
    """https, or plain on this machine in demo mode; without user, password or fragment."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK and bool(settings.DEMO))


def providers() -> dict[str, Provider]:
    """By id, in the order of the file; empty when none are set up. Raises ProviderFault."""
    path: Path | None = settings.ENV.sign_in_file
    return {} if path is None else _read(path)


def find(provider_id: str) -> Provider | None:
    """Raises ProviderFault."""
    return providers().get(provider_id)


def fault() -> str | None:
    """What cannot be used of the file or of our keys, in one line without secrets; None when all can."""
    try:
        for one in providers().values():
            _ = one.own_key
    except (ProviderFault, UnusableKey) as found:
        return str(found)
    return None


def missing() -> list[str]:
    """Who cannot sign in, one line each: with no provider for citizens no patient does but with a code that staff give,
    with none for staff nobody at work. Raises ProviderFault."""
    kinds = {one.kind for one in providers().values()}
    found = [] if "citizen" in kinds else ["SIGN_IN_FILE names no provider for citizens"]
    return found if kinds & {"staff", "employer"} else [*found, "SIGN_IN_FILE names no provider for staff"]


def key_files() -> list[Path]:
    """Where our private keys are. Raises ProviderFault."""
    return [_beside(one.key_file) for one in providers().values()]


@lru_cache(maxsize=8)
def _read(path: Path) -> dict[str, Provider]:
    try:
        found = _File.model_validate_json(path.read_bytes()).providers
    except OSError:
        raise ProviderFault("SIGN_IN_FILE cannot be read") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise ProviderFault(f"SIGN_IN_FILE: {place}: {first['msg']}") from None
    by_id = {one.id: one for one in found}
    if len(by_id) < len(found):
        raise ProviderFault("SIGN_IN_FILE: two providers have the same id")
    return by_id


def _beside(file: Path) -> Path:
    path: Path | None = settings.ENV.sign_in_file
    return file if path is None else path.parent / file


@lru_cache(maxsize=8)
def _own_key(path: Path, key_id: str, alg: str | None) -> OwnKey:
    return OwnKey.read(path, key_id, alg)


def forget() -> None:
    """Read the file and the keys anew; for tests."""
    _read.cache_clear()
    _own_key.cache_clear()
