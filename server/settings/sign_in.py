"""Who may sign in how, and for how long (L5). Shorter is stricter; a patient's session is long, since the phone's own
lock is before it and a session that ran out at night is one more thing between a person and help."""

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

IN_PERSON = ("read", "write", "consent")


class SigningIn(BaseSettings):
    """Providers, lifetimes and what a fresh proof is."""

    sign_in_file: Path | None = None
    """JSON: the OpenID providers and our keys towards them (`deploy/sign-in.example.json`)."""
    app_link: str = "samsnakk://signed-in"
    """Where the system browser hands over to the app: a universal link (`https:`) or a scheme of the app's own."""
    browser_link: str = "/"
    """Where a sign-in that began in a browser comes back to: a path of this server, where the browser client is."""
    patient_level: int = Field(default=4, ge=3, le=4)
    """How surely a provider must know who somebody is: 4 is eIDAS *high*, 3 *substantial*. Checked at each sign-in."""
    staff_level: int = Field(default=4, ge=3, le=4)
    officer_level: int = Field(default=4, ge=3, le=4)
    administrator_level: int = Field(default=4, ge=3, le=4)

    access_minutes: int = Field(default=30, ge=1, le=240)
    """A token opens doors for so long; then the app refreshes it."""
    patient_session_days: int = Field(default=90, ge=1, le=365)
    patient_idle_days: int = Field(default=90, ge=1, le=365)
    """Over when the app has not been opened for so long."""
    staff_session_hours: int = Field(default=12, ge=1, le=24)
    staff_idle_minutes: int = Field(default=120, ge=5, le=24 * 60)
    officer_session_hours: int = Field(default=10, ge=1, le=24)
    officer_idle_minutes: int = Field(default=60, ge=5, le=24 * 60)
    administrator_session_hours: int = Field(default=4, ge=1, le=24)
    administrator_idle_minutes: int = Field(default=15, ge=5, le=24 * 60)
    refresh_grace_s: int = Field(default=30, ge=0, le=120)
    """For so long a used refresh token gives the same answer again: two asked at once, or the answer got lost."""

    step_up_minutes: float = Field(default=5, gt=0, le=30)
    """How fresh a proof must be for emergency access, names revealed and keys."""
    consent_proof_minutes: float = Field(default=30, gt=0, le=24 * 60)
    """How fresh it must be for giving consent; withdrawing never asks."""
    in_person_minutes: float = Field(default=10, gt=0, le=60)
    """So long a code that staff have made for a patient's telephone is good."""
    in_person_may: Annotated[list[str], NoDecode] = ["read", "write"]
    """What a session that began with such a code may do: `read`, `write`, `consent`. It may always withdraw, and call
    for help."""

    @field_validator("in_person_may", mode="before")
    @classmethod
    def _of_in_person(cls, value: Any) -> Any:
        words = [word for word in value.replace(",", " ").split() if word] if isinstance(value, str) else value
        if any(word not in IN_PERSON for word in words):
            raise ValueError("expected some of read, write, consent")
        return words

    @field_validator("browser_link")
    @classmethod
    def _path(cls, value: str) -> str:
        if not re.fullmatch(r"/([A-Za-z0-9_-][A-Za-z0-9._/-]*)?", value):
            raise ValueError("expected a path of this server, as in /app")
        return value

    @field_validator("app_link")
    @classmethod
    def _link(cls, value: str) -> str:
        scheme, found, rest = value.partition("://")
        if not found or not rest or scheme in ("http", "javascript", "data", "file") or "?" in value or "#" in value:
            raise ValueError("expected https://… or a scheme of the app's own, without ? and #")
        return value
