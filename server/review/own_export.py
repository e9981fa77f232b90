"""All of a patient's own log at once: a page to keep or print, which answers requests for access too, or JSON Lines."""

import json
from collections.abc import Generator, Iterable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _
from rest_framework.utils.encoders import JSONEncoder

from server.common.clock import now
from server.consent.forms import OSLO
from server.people.names import display_names
from server.review.access import Reader
from server.review.access_log import all_about, line
from server.review.telling import Told, told

HTML, JSONL = "html", "jsonl"
INERT = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
"""Of a page in which nothing runs, and which fetches nothing."""
FORMATS: dict[str, tuple[str, dict[str, str]]] = {
    HTML: (
        "text/html; charset=utf-8",
        {
            **INERT,
            "Cache-Control": "no-store",
            "Content-Disposition": 'inline; filename="logg.html"',
        },
    ),
    JSONL: (
        "application/jsonl",
        {"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="logg.jsonl"'},
    ),
}
"""Content type and headers."""


def written(
    form: str, *, patient_id: UUID, reader: Reader, user_id: UUID, language: str
) -> Generator[bytes, None, None]:
    """The whole log in this form and language, chunk by chunk. Ends early, without its end, when the reader's session
    has ended."""
    chunks = _told(patient_id, reader, user_id, language)
    if form != HTML:
        return _jsonl(chunks)
    with translation.override(language):
        intro = _("Everybody who has seen or changed what is about you here, or tried to; the oldest first.")
    return page(chunks, name=display_names({user_id}).get(user_id, ""), intro=intro, language=language)


def _told(patient_id: UUID, reader: Reader, user_id: UUID, language: str) -> Iterator[list[Told] | None]:
    """Chunks, and None after the last one."""
    for events in all_about(patient_id):
        with translation.override(language):
            chunk = told(events, reader=user_id)
        if not reader.still():  # asked after the chunk was read: what ends meanwhile ends this too (law 5)
            return
        yield chunk
    yield None


def _jsonl(chunks: Iterator[list[Told] | None]) -> Generator[bytes, None, None]:
    count = 0
    for chunk in chunks:
        if chunk is None:
            yield json.dumps({"complete": True, "lines": count}).encode() + b"\n"
        else:
            count += len(chunk)
            yield b"".join(_json(line(one)) for one in chunk)


def _json(said: dict[str, object]) -> bytes:
    return json.dumps(said, cls=JSONEncoder, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def page(
    chunks: Iterable[Sequence[Told] | None], *, name: str, intro: str, language: str
) -> Generator[bytes, None, None]:
    """A page that explains itself (GDPR article 12), part by part; None after the last chunk says that it is whole."""
    with translation.override(language):
        head = {
            "title": _("Your log"),
            "intro": intro,
            "printed": _("Printed %(at)s.") % {"at": _moment(now())},
        }
    yield _rendered("head", language, name=name, words=head)
    count = 0
    for chunk in chunks:
        if chunk is None:
            with translation.override(language):
                foot = {"complete": _("This is all of it: %(count)d lines.") % {"count": count}}
            yield _rendered("foot", language, words=foot)
        else:
            count += len(chunk)
            yield _rendered("lines", language, lines=[(_moment(one.event.at), one) for one in chunk])


def _rendered(part: str, language: str, **more: object) -> bytes:
    with translation.override(language):
        return render_to_string(f"review/access_log_{part}.html", {"language": language, **more}).encode()


def _moment(at: datetime) -> str:
    return at.astimezone(OSLO).strftime("%d.%m.%Y %H:%M:%S")
