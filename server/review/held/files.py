"""How what is held about one person is written: JSON Lines for a machine, or a page to read and print."""

import json
from collections.abc import Generator, Iterable
from typing import Any

from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _
from rest_framework.utils.encoders import JSONEncoder

from server.common.clock import now
from server.common.sql import rfc3339
from server.people.models import Controller
from server.people.names import display_names, patient_names
from server.review.access import Reader
from server.review.held.orders import given
from server.review.held.section import Section, Told
from server.review.held.words import label, title
from server.review.models import Export

IN_SHORT = {"log": ("at", "words")}
"""Of which sections a sentence says it all; a machine gets the codes too."""


def written(export: Export, reader: Reader, *, language: str) -> Generator[bytes, None, None]:
    """The file of one order, in this language. It ends early, without its end, when the reader's access does."""
    chunks = _until_cut(export, reader)
    if export.format == Export.Format.HTML:
        return page(chunks, name=_name(export), controller=export.controller, language=language)
    return lines(chunks, controller=export.controller, language=language)


def _until_cut(export: Export, reader: Reader) -> Generator[tuple[Section, list[Told]] | None, None, None]:
    """And None after the last one, when it is whole."""
    yield from given(export, reader)
    if Export.objects.filter(id=export.id, state=Export.State.DONE).exists():
        yield None


def lines(
    chunks: Iterable[tuple[Section, list[Told]] | None], *, controller: Controller | None, language: str
) -> Generator[bytes, None, None]:
    """A first line that says what it is, a line for each thing, and a last one that says how many there are."""
    of = str(controller.id) if controller is not None else None
    yield _json({"held": 1, "made_at": rfc3339(now()), "controller": of, "language": language})
    count = 0
    for chunk in chunks:
        if chunk is None:
            yield _json({"complete": True, "lines": count})
            return
        section, rows = chunk
        count += len(rows)
        with translation.override(language):
            yield b"".join(_json({"section": section.name, **row}) for row in rows)


def _json(said: dict[str, Any]) -> bytes:
    return json.dumps(said, cls=JSONEncoder, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def page(
    chunks: Iterable[tuple[Section, list[Told]] | None], *, name: str, controller: Controller | None, language: str
) -> Generator[bytes, None, None]:
    """A page that explains itself (GDPR article 12), part by part."""
    with translation.override(language):
        words = {
            "title": _("All that is held about you"),
            "intro": _(
                "This is all that is held about you here. Your identity number and what you sign in with are kept too, "
                "and are shown nowhere."
            ),
            "printed": _("Printed %(at)s.") % {"at": now().strftime("%d.%m.%Y %H:%M UTC")},
        }
        if controller is not None:
            words["intro"] = _(
                "This is what %(controller)s answers for of what is held about you here. What other organisations "
                "wrote, and what you wrote yourself, you find in the app, or ask them."
            ) % {"controller": controller.name}
    yield _rendered("head", language, name=name, words=words)
    count, before = 0, ""
    for chunk in chunks:
        if chunk is None:
            with translation.override(language):
                complete = _("This is all of it: %(count)d lines.") % {"count": count}
            yield _rendered("foot", language, complete=complete)
            return
        section, rows = chunk
        count += len(rows)
        with translation.override(language):
            heading = str(title(section.name)) if section.name != before else ""
            fields = IN_SHORT.get(section.name)
            told = [[(label(name), _shown(row[name])) for name in fields or row if _said(row[name])] for row in rows]
            nothing = _("Nothing.") if not rows and heading else ""
        before = section.name
        yield _rendered("rows", language, heading=heading, rows=told, nothing=nothing)


def _said(value: Any) -> bool:
    return value not in (None, "", [], {})


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def _name(export: Export) -> str:
    if export.patient is not None:
        return patient_names([export.patient])[export.patient.id]
    return display_names([export.about_id]).get(export.about_id, "") if export.about_id is not None else ""


def _rendered(part: str, language: str, **more: object) -> bytes:
    with translation.override(language):
        return render_to_string(f"review/held_{part}.html", {"language": language, **more}).encode()
