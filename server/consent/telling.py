"""A consent in plain words, for the patient whose it is, and the little of it that staff may know."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.utils.translation import get_language
from pydantic import ValidationError

from server.common.errors import Conflict
from server.common.sql import rfc3339
from server.consent import forms, records, versions
from server.consent.access import is_own
from server.consent.document import Document, GrantPart
from server.consent.models import Consent, Form, State, Version
from server.consent.ports import ROOM_EFFECTS
from server.consent.versions import MINUTE, REMARK, TEXT, names_of, newest, units_by_id
from server.people.actors import Acting
from server.people.models import Unit
from server.people.names import display_names
from server.vault import actions as vault
from server.vault.errors import Unreadable


def view(consent: Consent, me: Acting) -> dict[str, Any]:
    """The consent as this person may know it."""
    own = is_own(me, consent)
    told: dict[str, Any] = {
        "id": str(consent.id),
        "room": str(consent.room_id) if consent.room_id else None,
        "patient": str(consent.patient_id),
        "form": consent.form,
        "purpose": consent.purpose,
        "state": consent.state if own or consent.room_id is None else ROOM_EFFECTS().state_shown(me, consent),
    }
    if not own:
        return told | {"duties": legal_duties()}
    try:
        document = newest(consent)
    except Conflict:  # it cannot be verified: nothing is shared, and nothing is said of it but that
        return told | {"readable": False}
    return told | _in_full(consent, document)


def legal_duties() -> list[dict[str, str]]:
    """Duties that never rest on consent (L7), in the reader's language."""
    language = forms.spoken(get_language() or "nb")
    return [
        {
            "code": code,
            "words": one.words[language],
            "sentence": one.sentence[language],
            "statute": one.statute,
        }
        for code, one in forms.legal_duties().items()
    ]


def emergency_grounds() -> list[dict[str, str]]:
    """Grounds for emergency access (L3), in the reader's language."""
    language = forms.spoken(get_language() or "nb")
    return [
        {"code": code, "words": one.words[language], "statute": one.statute}
        for code, one in forms.emergency_grounds().items()
    ]


def history(consent: Consent, *, after: int, limit: int) -> list[dict[str, Any]]:
    """At most `limit` versions after number `after`, first to last, with the exact text that was shown. Versions that
    cannot be read are left out: `verify.faults` tells of them."""
    rows = list(Version.objects.filter(consent=consent, number__gt=after).order_by("number")[:limit])
    pairs = [(row, document) for row in rows if (document := _readable(row)) is not None]
    vault.load_keys([consent.patient.key])
    who, units = _known([document for _, document in pairs])
    return [_version(row, document, who, units) for row, document in pairs]


def _readable(row: Version) -> Document | None:
    try:
        return records.parsed(row.document)
    except ValidationError:
        return None


def _in_full(consent: Consent, document: Document) -> dict[str, Any]:
    terms, text = document.terms, document.text
    who, units = _known([document])
    words = forms.form(text.form).texts[text.language]
    form = forms.form(consent.form)
    active = document.state == State.ACTIVE
    language = forms.spoken(consent.patient.language)
    return {
        "readable": True,
        "version": document.number,
        "sentence": sentence(consent, document),
        "grantees": [_grantee(part, who, units) for part in terms.grants],
        "asked": [_grantee(part, who, units) for part in terms.asked],
        "excluded_units": [{"unit": str(one.unit), "name": units[one.unit].name} for one in terms.excluded_units],
        "categories": {code: form.categories[code][language] for code in terms.categories if code in form.categories},
        "content": {
            "start": rfc3339(terms.content.start) if terms.content.start else None,
            "end": rfc3339(terms.content.end) if terms.content.end else None,
        },
        "since": rfc3339(terms.valid_from) if terms.valid_from and active else None,
        "until": rfc3339(terms.valid_to) if terms.valid_to else None,
        "method": document.method.kind,
        "text": text_view(document),
        "withdrawal": {"stops": words.stops, "stays": words.stays},
    }


def text_view(document: Document) -> dict[str, Any]:
    """The text that was shown; empty where its bytes are no longer what was sealed. It says what was asked, not what
    holds: the patient still reads that, and can withdraw."""
    text = document.text
    try:
        exact = versions.text_of(document)
    except Conflict:
        exact = ""
    return exact_view(text.form, text.version, text.language, exact, text.sha256)


def exact_view(form: str, version: int, language: str, exact: str, sha256: str) -> dict[str, Any]:
    """A text as a client shows it: the first screen, what stands under «Mer», and two answers of equal weight."""
    words = forms.form(form).texts[language]
    first, more = forms.split(exact, form, language)
    shown: dict[str, Any] = {"form": form, "version": version, "language": language, "first": first, "more": more}
    return shown | {"yes": words.yes, "no": words.no, "sha256": sha256}


def sentence(consent: Consent, document: Document) -> str:
    """Who may take part, for what, since when and until when, in the patient's language."""
    terms = document.terms
    active = document.state == State.ACTIVE
    if consent.form == Form.EXCLUSIONS:
        names: Sequence[str] = sorted(display_names(set(terms.excluded_people)).values())
    else:
        names = names_of(terms.grants if active else terms.asked)
    return forms.sentence(
        form_id=consent.form,
        language=consent.patient.language,
        state=document.state,
        names=names,
        purpose=terms.purpose,
        since=terms.valid_from,
        until=terms.valid_to if active else document.recorded_at,
    )


def _known(documents: Iterable[Document]) -> tuple[dict[UUID, str], dict[UUID, Unit]]:
    """The names and units that these versions tell of; two statements."""
    people: set[UUID | None] = set()
    units: set[UUID] = set()
    for document in documents:
        parts = (*document.terms.grants, *document.terms.asked)
        people |= {part.person for part in parts} | {document.recorder, document.method.witness}
        units |= {part.unit for part in parts} | {one.unit for one in document.terms.excluded_units}
    return display_names({one for one in people if one is not None}), units_by_id(units)


def _grantee(part: GrantPart, who: dict[UUID, str], units: dict[UUID, Unit]) -> dict[str, Any]:
    return {
        "user": str(part.person) if part.person else None,
        "unit": str(part.unit),
        "org_number": part.org_number,
        "unit_name": units[part.unit].name,
        "name": who.get(part.person, "") if part.person else "",
        "role": part.role,
    }


def _version(row: Version, document: Document, who: dict[UUID, str], units: dict[UUID, Unit]) -> dict[str, Any]:
    terms, method = document.terms, document.method
    return {
        "number": document.number,
        "act": document.act,
        "words": forms.common().acts[document.act][document.text.language],
        "state": document.state,
        "grantees": [_grantee(part, who, units) for part in terms.grants],
        "asked": [_grantee(part, who, units) for part in terms.asked],
        "given_at": rfc3339(document.given_at),
        "recorded_at": rfc3339(document.recorded_at),
        "by": who.get(document.recorder, "") if document.recorder else "",
        "capacity": document.grantor.capacity if document.grantor else None,
        "competence": document.competence.result if document.competence else None,
        "method": method.kind,
        "witness": who.get(method.witness, "") if method.witness else None,
        "minute": _words(row.minute_sealed, MINUTE, row),
        "language": document.text.language,
        "text": _words(row.text_sealed, TEXT, row) or "",
        "text_sha256": document.text.sha256,
        "remark": _words(row.remark_sealed, REMARK, row),
        "hash": row.hash,
        "document": row.document,
        "signature": bytes(row.signature).hex(),
    }


def _words(sealed: bytes | memoryview | None, place: str, row: Version) -> str | None:
    """What was written; None when there is nothing, or nothing that opens."""
    try:
        return vault.unseal(bytes(sealed), place=place, row=row.id) if sealed else None
    except Unreadable:
        return None
