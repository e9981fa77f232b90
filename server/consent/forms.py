"""Consent forms: data and text, never code. The bytes that were shown stay with the act, whatever a file says later."""

import functools
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

OSLO = ZoneInfo("Europe/Oslo")
NONE = "\N{EN DASH}"
LANGUAGES = ("nb", "nn", "en")


@functools.cache
def form(form_id: str) -> dict[str, Any]:
    """The form's data. Raises KeyError for an unknown form."""
    return _forms()[form_id]


@functools.cache
def _forms() -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted((Path(__file__).parent / "forms").glob("*.json")):
        data = json.loads(path.read_text())
        found[data["id"]] = data
    return found


def all_forms() -> list[dict[str, Any]]:
    return list(_forms().values())


def purposes() -> dict[str, dict[str, str]]:
    """Purpose code → words per language."""
    words: dict[str, dict[str, str]] = form("room")["purposes"]
    return words


@dataclass(frozen=True, slots=True)
class Exact:
    """The exact text of one version: a first screen (at most 60 words and the names), then what stands under «Mer»."""

    form: str
    version: int
    language: str
    exact: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.exact.encode()).hexdigest()


def render(*, form_id: str, language: str, names: list[str], purpose: str, until: datetime | None) -> Exact:
    """Fill the form's text; `names` are one line each, `until` is shown as an Oslo date."""
    data = form(form_id)
    chosen = language if language in LANGUAGES else "nb"
    words = data["texts"][chosen]
    end = until.astimezone(OSLO).strftime("%d.%m.%Y") if until else NONE
    first = words["first"].format(
        names="\n".join(f"• {name}" for name in names) or NONE,
        purpose=data["purposes"].get(purpose, {}).get(chosen, purpose),
        until=end,
    )
    return Exact(form_id, data["version"], chosen, f"{first}\n\n{words['more']}")
