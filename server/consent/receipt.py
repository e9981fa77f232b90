"""The patient's receipt: one page to keep or print, in their own language, with what was agreed and its seal."""

from datetime import datetime

from django.template.loader import render_to_string

from server.common.clock import now
from server.consent import forms, versions
from server.consent.document import Content, Document
from server.consent.forms import OSLO
from server.consent.library import Receipt as Words
from server.consent.models import Consent, State, Version
from server.consent.telling import sentence
from server.people.names import display_names

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Content-Disposition": 'inline; filename="samtykke.html"',
}


def page(consent: Consent) -> str:
    """HTML without scripts or anything fetched. Raises Conflict (`record_unreadable`)."""
    document = versions.newest(consent)
    row = Version.objects.get(id=document.id)
    language = forms.spoken(consent.patient.language)
    common, form = forms.common(), forms.form(consent.form)
    words = common.receipt[language]
    terms, text = document.terms, form.texts[language]
    exact = versions.text_of(document)
    first, more = forms.split(exact, document.text.form, document.text.language)
    return render_to_string(
        "consent/receipt.html",
        {
            "language": language,
            "words": words,
            "patient": display_names({consent.patient.user_id}).get(consent.patient.user_id, "")
            if consent.patient.user_id
            else "",
            "heading": _heading(document, words),
            "sentence": sentence(consent, document),
            "who": versions.names_of(terms.grants if document.state == State.ACTIVE else terms.asked),
            "purpose": form.purposes.get(terms.purpose, {}).get(language, terms.purpose),
            "categories": [form.categories[code][language] for code in terms.categories if code in form.categories],
            "since": _date(terms.valid_from),
            "until": _date(terms.valid_to) or common.no_end[language],
            "how": common.methods[document.method.kind][language],
            "given": _moment(document.given_at),
            "excluded": sorted(
                unit.name for unit in versions.units_by_id({one.unit for one in terms.excluded_units}).values()
            ),
            "remark": versions.words_of(document, "remark_sealed", versions.REMARK) or "",
            "first": first,
            "more": more,
            "stops": text.stops,
            "stays": text.stays,
            "text_sha256": document.text.sha256,
            "content": _range(document),
            "hash": row.hash,
            "signature": bytes(row.signature).hex(),
            "number": document.number,
            "printed": _moment(now()),
        },
    )


def _heading(document: Document, words: Words) -> str:
    return {
        State.ACTIVE: words.said_yes,
        State.DECLINED: words.said_no,
        State.WITHDRAWN: words.withdrew,
    }.get(State(document.state), words.title)


def _range(document: Document) -> str:
    content = document.terms.content
    none = forms.NONE
    return f"{_date(content.start) or none} {none} {_date(content.end) or none}" if content != Content() else ""


def _date(at: datetime | None) -> str:
    return at.astimezone(OSLO).strftime("%d.%m.%Y") if at is not None else ""


def _moment(at: datetime) -> str:
    return at.astimezone(OSLO).strftime("%d.%m.%Y %H:%M")
