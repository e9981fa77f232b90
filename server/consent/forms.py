"""Consent forms and the rules beside them: data and text in `forms/`, never code. The bytes that were shown stay with
the act, whatever a file says later."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from server.consent.library import (
    FORMS,
    LANGUAGES,
    Capacity,
    Common,
    Form,
    LegalDuty,
    Rule,
    Statutory,
    load,
)

OSLO = ZoneInfo("Europe/Oslo")
NONE = "\N{EN DASH}"

_LIBRARY = load()


def form(form_id: str) -> Form:
    """Raises KeyError for an unknown form."""
    if form_id not in FORMS:
        raise KeyError(form_id)
    found: Form = _LIBRARY[form_id]
    return found


def all_forms() -> list[dict[str, Any]]:
    """Those that a patient may be asked for, as they are told over the API."""
    return [form(form_id).model_dump(mode="json", exclude={"offered"}) for form_id in FORMS if form(form_id).offered]


def purposes(form_id: str = "room") -> Mapping[str, Mapping[str, str]]:
    """Purpose code → words per language."""
    return form(form_id).purposes


def capacities() -> Mapping[str, Capacity]:
    return _LIBRARY.capacities


def emergency_grounds() -> Mapping[str, Rule]:
    return _LIBRARY.emergency


def statutory_grounds() -> Mapping[str, Statutory]:
    return _LIBRARY.statutory


def legal_duties() -> Mapping[str, LegalDuty]:
    return _LIBRARY.duties


def release_statute(unit_kind: str) -> str:
    """The statute that lets consent lift the duty of confidentiality of such a unit (L1). Raises KeyError."""
    return _LIBRARY.release[unit_kind]


def common() -> Common:
    return _LIBRARY.words


def spoken(language: str) -> str:
    """The language itself, or bokmål where it is none of ours."""
    return language if language in LANGUAGES else "nb"


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


def render(
    *,
    form_id: str,
    language: str,
    names: Sequence[str],
    purpose: str,
    until: datetime | None,
    excluded_units: Sequence[str] = (),
    content_from: datetime | None = None,
    content_to: datetime | None = None,
) -> Exact:
    """Fill the form's text.

    `names` are one line each; `excluded_units` are the names of units kept out; only what is written from
    `content_from` to before `content_to` is meant. Times are shown as Oslo dates.
    """
    found, chosen = form(form_id), spoken(language)
    words = found.texts[chosen]
    limits = []
    if excluded_units:
        limits.append(words.excluded.format(units=_listed(excluded_units, chosen)))
    if content_from:
        limits.append(words.content_from.format(start=_date(content_from)))
    if content_to:
        limits.append(words.content_to.format(end=_date(content_to)))
    first = words.first.format(
        names="\n".join(f"• {name}" for name in names) or common().nobody[chosen],
        purpose=_purpose(found, purpose, chosen),
        until=_date(until) or NONE,
        limits="".join(f"\n{line}" for line in limits),
    )
    return Exact(form_id, found.version, chosen, f"{first}\n\n{words.more}")


def split(exact: str, form_id: str, language: str) -> tuple[str, str]:
    """The first screen and what stands under «Mer», of a text that was rendered by any version of the form: no version
    has a blank line in the latter."""
    known = f"\n\n{form(form_id).texts[spoken(language)].more}"
    if exact.endswith(known):
        return exact.removesuffix(known), known[2:]
    first, _, more = exact.rpartition("\n\n")
    return first, more


def sentence(
    *,
    form_id: str,
    language: str,
    state: str,
    names: Sequence[str],
    purpose: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> str:
    """What a consent says now, in one breath: who may take part, for what, since when, until when. `state` is the
    consent's; of one that has ended, `until` is when it did."""
    found, chosen = form(form_id), spoken(language)
    words = found.texts[chosen]
    said = {
        "active": words.sentence,
        "requested": words.sentence_waiting,
        "declined": words.sentence_declined,
        "withdrawn": words.sentence_ended,
        "expired": words.sentence_ended,
    }[state]
    if not names:
        said = words.sentence_nobody
    told = said.format(
        names=_listed(names, chosen),
        purpose=_purpose(found, purpose, chosen),
        since=_date(since) or NONE,
        until=_date(until) or common().no_end[chosen],
    )
    return told[:1].upper() + told[1:]


def _listed(names: Sequence[str], language: str) -> str:
    if len(names) < 2:
        return names[0] if names else common().nobody[language]
    between = "; " if any("," in name for name in names) else ", "
    return f"{between.join(names[:-1])} {common().last[language]} {names[-1]}"


def _purpose(found: Form, purpose: str, language: str) -> str:
    return found.purposes.get(purpose, {}).get(language, purpose)


def _date(at: datetime | None) -> str:
    return at.astimezone(OSLO).strftime("%d.%m.%Y") if at else ""
