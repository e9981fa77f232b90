"""How people are reached: push, text, voice, mail. What is not set is not used, and nobody is said to be reachable by
it."""

import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

Hosts = Annotated[list[str], NoDecode]


class Reaching(BaseSettings):
    """Means and limits of deliveries."""

    vapid_key_file: Path | None = None
    """Our key towards push services (RFC 8292), a PEM file; else `VAR_DIR/notify/vapid.pem`, made in demo mode."""
    vapid_subject: str = "mailto:samsnakk@localhost"
    """Whom a push service writes to when something is wrong with what we send: `mailto:` or `https:`."""
    push_hosts_allowed: Hosts = []
    """`host` or `host:port` of push services that may lie at private addresses and speak http: for tests, and refused
    in production."""
    gateway_url: str = Field(default="", repr=False)
    """The HTTP gateway that sends texts and rings telephones; `https:`, or this machine."""
    gateway_secret: str = Field(default="", repr=False)
    """What it and we sign with, at least 32 characters."""
    caller_id: str = ""
    """The number or name that texts and calls come from; nothing that says what they are about."""
    public_url: str = ""
    """Where the gateway reaches us, without a path: `https://samsnakk.example.no`."""
    send_limit_s: float = Field(default=10.0, gt=0, le=60)
    """A provider that has not answered by then has failed."""
    notify_mail_from: str = ""
    """Sender of mails to people; unset: AUDIT_MAIL_FROM."""

    @field_validator("push_hosts_allowed", mode="before")
    @classmethod
    def _hosts(cls, value: Any) -> Any:
        return [word.lower() for word in value.replace(",", " ").split()] if isinstance(value, str) else value

    @field_validator("vapid_subject")
    @classmethod
    def _subject(cls, value: str) -> str:
        if not re.fullmatch(r"mailto:[!-?A-~]+@[!-?A-~]+|https://[a-z0-9.-]+", value):
            raise ValueError("expected mailto:somebody@host or https://host")
        return value

    @field_validator("gateway_url", "public_url")
    @classmethod
    def _address(cls, value: str) -> str:
        if value:
            parts = urlsplit(value)
            here = parts.hostname in ("localhost", "127.0.0.1")
            _ = parts.port  # raises ValueError too
            if (
                not parts.hostname
                or "@" in parts.netloc
                or not (parts.scheme == "https" or (parts.scheme == "http" and here))
            ):
                raise ValueError("expected https://…, without user and password")
        return value.rstrip("/")

    @field_validator("gateway_secret")
    @classmethod
    def _secret(cls, value: str) -> str:
        if value and not re.fullmatch(r"[!-~]{32,}", value):
            raise ValueError("expected at least 32 characters, and no space among them")
        return value
