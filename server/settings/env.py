"""What the environment may say, typed; anything wrong stops the start with one clear line."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import dj_database_url
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from server.settings.alerts import AlertTimes
from server.settings.doors import Doors
from server.settings.erasing import Erasing
from server.settings.notices import MessageNotices
from server.settings.notify import Reaching
from server.settings.odd import OddAccess
from server.settings.proving import Proving
from server.settings.sign_in import SigningIn

ROOT = Path(__file__).resolve().parents[2]

Words = Annotated[list[str], NoDecode]

MAIL_PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}


TOWN_SECRET = "the demo town's gateway, never used in production"  # noqa: S105 - nobody's secret


class Environment(AlertTimes, Doors, Erasing, MessageNotices, OddAccess, Proving, Reaching, SigningIn):
    """Settings of one installation, read from environment variables of the same name in capitals."""

    model_config = SettingsConfigDict(case_sensitive=False, env_ignore_empty=True, frozen=True)

    mode: Literal["demo", "production"] = "production"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    var_dir: Path = ROOT / "var"
    database_url: str = Field(default="", repr=False)
    redis_url: str = Field(default="", repr=False)
    redis_prefix: str = "samsnakk"
    pilot: bool = False
    """Let production run embedded: SQLite and the in-process layer, one process, a few patients."""
    secret_key: str = Field(default="", repr=False)
    debug: bool = False
    allowed_hosts: Words = []
    trusted_origins: Words = []
    master_keys: str = Field(default="", repr=False)
    """`version:base64` pairs, separated by commas; `manage.py vault rotate` brings the highest into use."""
    master_key_file: Path | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "json"

    db_threads: int = Field(default=8, ge=1, le=64)
    """Database threads for sockets, each with one persistent connection."""
    db_pool: int = Field(default=16, ge=2, le=200)
    """Ceiling of pooled PostgreSQL connections for REST and workers in one process."""
    db_timeout_s: float = Field(default=8.0, gt=0, le=60)
    """A statement that has not answered by then is cut off and answered with 503."""

    heartbeat_s: float = Field(default=15.0, gt=0, le=60)
    hello_timeout_s: float = Field(default=5.0, gt=0, le=60)
    session_hours: int = Field(default=12, ge=1, le=24 * 90)
    town_port: int = Field(default=0, ge=0, le=65534)
    """Demo mode: where the town's gateway listens while a story is played, and its push service one port higher."""

    sequencer: bool = True
    """Seal the log in this process, beside serving; false where `manage.py audit sequence` does, under its own role."""
    audit_key_file: Path | None = None
    """Keys that sign checkpoints; unset: `VAR_DIR/audit/signing.key`, which demo mode makes."""
    audit_store: str = Field(default="", repr=False)
    """Where the sequencer remembers what it has signed: unset, the folder `VAR_DIR/audit/store` of this one host;
    postgresql://…, another database that several hosts share."""

    audit_public_every_s: int = Field(default=600, ge=0, le=3600)
    """Everybody may read of the log up to the last checkpoint of each such full span; 0: up to the newest."""
    audit_checkpoint_dir: Path | None = None
    """Folder that gets every published checkpoint as a file; best one that other hands keep."""
    audit_mail_to: Words = []
    """Officers' addresses; each gets the newest checkpoint once a day."""
    audit_mail_from: str = "samsnakk@localhost"
    email_url: str = Field(default="", repr=False)
    """`smtp://`, `smtp+tls://` (STARTTLS) or `smtps://`, then `user:password@host:port`."""
    metrics_token: str = Field(default="", repr=False)
    """Opens `/metrics` to other machines than this one."""

    capacities: Words = ["self"]
    """In which capacities somebody may decide for a patient (codes of `forms/capacities.json`)."""
    statutory_grounds: Words = []
    """Statutory grounds that may be recorded here (codes of `forms/statutory.json`); none unless named."""
    emergency_hours: float = Field(default=4.0, gt=0, le=24)
    """How long emergency access lasts at most."""
    own_posts_days: int = Field(default=14, ge=0, le=365)
    """For how long authors may export their own posts after their access to a room ended."""
    retention_file: Path | None = None
    """How long lines of the log are to be kept, in place of `server/review/retention.json`."""

    @field_validator(
        "allowed_hosts", "trusted_origins", "audit_mail_to", "capacities", "statutory_grounds", mode="before"
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [word for word in value.replace(",", " ").split() if word] if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        if value:
            try:
                known = urlsplit(value).scheme in ("postgresql", "postgres", "sqlite") and dj_database_url.parse(value)
            except ValueError:
                known = False
            if not known:
                raise ValueError("expected postgresql://user@host:port/name or sqlite:////path")
        return value

    @field_validator("audit_store")
    @classmethod
    def _store(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in ("postgresql", "postgres"):
            raise ValueError("expected postgresql://user@host:port/name, or nothing")
        return value

    @field_validator("audit_mail_to", "audit_mail_from")
    @classmethod
    def _addresses(cls, value: list[str] | str) -> list[str] | str:
        for one in [value] if isinstance(value, str) else value:
            if not re.fullmatch(r"[!-?A-~]+@[!-?A-~]+", one):
                raise ValueError("expected e-mail addresses")
        return value

    @field_validator("email_url")
    @classmethod
    def _email(cls, value: str) -> str:
        if value:
            parts = urlsplit(value)
            port = parts.port  # raises ValueError too
            if parts.scheme not in MAIL_PORTS or not parts.hostname or port == 0:
                raise ValueError("expected smtp://, smtp+tls:// or smtps://, then user:password@host:port")
        return value

    @field_validator("dead_man_url")
    @classmethod
    def _url(cls, value: str) -> str:
        if value and (urlsplit(value).scheme not in ("https", "http") or not urlsplit(value).hostname):
            raise ValueError("expected https://host/path")
        return value

    @field_validator("metrics_token")
    @classmethod
    def _token(cls, value: str) -> str:
        if value and not re.fullmatch(r"[!-~]{24,}", value):
            raise ValueError("expected at least 24 characters, and no space among them")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in ("redis", "rediss", "unix"):
            raise ValueError("expected redis://host:port, rediss://host:port or unix:///path")
        return value


def with_town(env: "Environment") -> "Environment":
    """In demo mode calls, texts and pushes go to the town that a story plays here, unless told otherwise."""
    if env.mode != "demo" or not env.town_port or env.gateway_url:
        return env
    here = "127.0.0.1" if env.host in ("0.0.0.0", "::", "") else env.host  # noqa: S104 - what people listen on
    return env.model_copy(
        update={
            "gateway_url": f"http://127.0.0.1:{env.town_port}/orders",
            "gateway_secret": TOWN_SECRET,
            "caller_id": env.caller_id or "+4799000001",
            "public_url": env.public_url or f"http://{here}:{env.port}",
            "push_hosts_allowed": [*env.push_hosts_allowed, f"127.0.0.1:{env.town_port + 1}"],
        }
    )


def read_environment() -> Environment:
    """Read and check the environment.

    Raises SystemExit with one line per fault; values are never repeated, they may be secrets.
    """
    try:
        return Environment()
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
        raise SystemExit("samsnakk: the environment is not usable. " + "; ".join(lines)) from None
