"""What people prove who they are with: passkeys for which site and apps, and what a code made by staff needs (L5)."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import field_validator
from pydantic_settings import BaseSettings, NoDecode

ANDROID = re.compile(r"android:apk-key-hash:[A-Za-z0-9_-]{43}\Z")
RP_ID = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\Z")


class Proving(BaseSettings):
    """Passkeys and codes made by staff."""

    webauthn_rp_id: str = ""
    """The name that passkeys are made for (WebAuthn's RP ID): a host name. Another name makes all of them useless.
    Unset: the host of PUBLIC_URL, else the first of ALLOWED_HOSTS."""
    webauthn_origins: Annotated[list[str], NoDecode] = []
    """Whence passkeys may answer: `https://…`, and `android:apk-key-hash:…` of an app. Unset: `https://` and the
    RP ID."""
    in_person_second: Literal["never", "known", "always"] = "known"
    """When a colleague has to confirm a code made for a patient's telephone: `known`, where the patient has signed in
    before, so that there is something to see behind it."""

    @field_validator("webauthn_rp_id")
    @classmethod
    def _rp_id(cls, value: str) -> str:
        if value and not RP_ID.match(value):
            raise ValueError("expected a host name in small letters")
        return value

    @field_validator("webauthn_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: Any) -> Any:
        return [word for word in value.replace(",", " ").split() if word] if isinstance(value, str) else value

    @field_validator("webauthn_origins")
    @classmethod
    def _origins(cls, value: list[str]) -> list[str]:
        for one in value:
            parts = urlsplit(one)
            web = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname == "localhost")
            plain = one == f"{parts.scheme}://{parts.netloc}" and parts.hostname and "@" not in parts.netloc
            if not ANDROID.match(one) and not (web and plain):
                raise ValueError("expected https://host or android:apk-key-hash:… (43 characters of base64url)")
        return value
