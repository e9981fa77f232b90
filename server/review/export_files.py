"""How an export is written: JSON Lines or CSV, each line with its entry and its proof; or a page for a patient."""

import csv
import io
import json
from base64 import b64encode
from collections.abc import Generator, Iterator
from typing import Any

from django.utils import translation
from django.utils.translation import gettext as _
from rest_framework.utils.encoders import JSONEncoder

from server.audit.models import index_of
from server.common.sql import rfc3339
from server.people.names import patient_names
from server.review.access import Reader
from server.review.access_log import events_about, line
from server.review.exports import given
from server.review.models import Export
from server.review.own_export import page
from server.review.proved import Proved, Prover, known_keys
from server.review.shields import naming
from server.review.telling import Told, told

COLUMNS = [
    *("number", "of", "index", "id", "time", "type", "user", "controller", "unit", "engagement", "role", "sign_in"),
    *("subject", "room", "object", "purpose", "basis", "outcome", "reason", "request", "leaf", "proof", "checkpoint"),
]
"""Of CSV. `number` and `of`: which line of how many; `leaf`: the entry as it was sealed; `proof`: hexadecimal, hashes
apart by spaces; `checkpoint` stands in the first line, and wherever it is another than in the line before."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a cell for a formula."""


def written(export: Export, reader: Reader) -> Generator[bytes, None, None]:
    """The file of an export of lines. It ends early when the reader's access does: then fewer lines follow than its
    beginning, or each line of CSV, says."""
    if export.format == Export.Format.CSV:
        return _csv(export, given(export, reader))
    return _jsonl(export, given(export, reader))


def written_subject(export: Export, reader: Reader, *, language: str) -> Generator[bytes, None, None]:
    """Everything about one patient in the patient's language and as the patient may read it: what is hidden from them
    for now is left out. Its end says that it is complete.

    A page to print, or JSON Lines with proofs; there the entry is kept back with its proof where somebody who is
    shielded is named.
    """
    return (
        _subject_page(export, reader, language)
        if export.format == Export.Format.HTML
        else _subject_jsonl(export, reader, language)
    )


def _subject_page(export: Export, reader: Reader, language: str) -> Generator[bytes, None, None]:
    patient = export.patient
    assert patient is not None, "by constraint"
    assert export.controller is not None, "by constraint"
    with translation.override(language):
        intro = _(
            "What the log of %(controller)s says about you: who has seen or changed what is about you here, or tried "
            "to; the newest first."
        ) % {"controller": export.controller.name}
        name = patient_names([patient])[patient.id]
    chunks = (
        [said for _one, said in chunk] if chunk is not None else None for chunk in _told(export, reader, language)
    )
    return page(chunks, name=name, intro=intro, language=language)


def _subject_jsonl(export: Export, reader: Reader, language: str) -> Generator[bytes, None, None]:
    yield _json({**_head(export), "language": language})
    count = 0
    for chunk in _told(export, reader, language):
        if chunk is None:
            yield _json({"complete": True, "lines": count})
            continue
        lines = []
        closed = naming([one.event.leaf for one, _said in chunk])
        for (one, said), kept_back in zip(chunk, closed, strict=True):
            proof = {"index": None, "leaf": None, "proof": None} if kept_back else _proof(one)
            lines.append(_json({**line(said), **proof, "kept_back": kept_back}))
        count += len(lines)
        yield b"".join(lines)


def _told(export: Export, reader: Reader, language: str) -> Iterator[list[tuple[Proved, Told]] | None]:
    """What the patient may know of each chunk, and None after the last one."""
    assert export.patient is not None, "by constraint"
    for chunk in given(export, reader):
        about = [one.event.id for one in chunk]
        shown = set(events_about(export.patient.id).filter(id__in=about).values_list("id", flat=True))
        left = [one for one in chunk if one.event.id in shown]
        with translation.override(language):
            said = told([one.event for one in left], reader=export.patient.user_id)
        yield list(zip(left, said, strict=True))
    if Export.objects.filter(id=export.id, state=Export.State.DONE).exists():
        yield None


def _head(export: Export) -> dict[str, Any]:
    return {
        "checkpoint": Prover(export.snapshot).note,
        "keys": known_keys(),
        "filters": export.filters,
        "size": index_of(export.snapshot),
        "export": export.id,
    }


def _jsonl(export: Export, chunks: Iterator[list[Proved]]) -> Generator[bytes, None, None]:
    yield _json({**_head(export), "lines": export.total})
    for chunk in chunks:
        yield b"".join(_json(_proof(one)) for one in chunk)


def _proof(one: Proved) -> dict[str, Any]:
    said = {"index": one.place, "leaf": one.event.leaf, "proof": [b64encode(hash_).decode() for hash_ in one.proof]}
    return said | {"checkpoint": one.note} if one.older else said


def _csv(export: Export, chunks: Iterator[list[Proved]]) -> Generator[bytes, None, None]:
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(COLUMNS)
    number, note = 0, ""
    for chunk in chunks:
        for one in chunk:
            number += 1
            rows.writerow([plain(cell) for cell in _cells(one, number, export.total, one.note != note)])
            note = one.note
        yield _taken(out)
    if number == 0:
        yield _taken(out)


def _taken(out: io.StringIO) -> bytes:
    text = out.getvalue().encode()
    out.seek(0)
    out.truncate()
    return text


def plain(cell: object) -> str:
    """A cell that no spreadsheet takes for a formula: text that begins like one gets an apostrophe before it."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(FORMULA) else text


def _cells(one: Proved, number: int, of: int, with_note: bool) -> list[object]:
    event = one.event
    return [
        number,
        of,
        one.place,
        event.id,
        rfc3339(event.at),
        event.type,
        event.actor_id,
        event.controller_id,
        event.unit_id,
        event.engagement_id,
        event.role,
        event.sign_in,
        event.subject_id,
        event.room_id,
        event.object_id,
        event.purpose,
        event.basis,
        event.outcome,
        event.reason,
        event.request_id,
        event.leaf,
        " ".join(hash_.hex() for hash_ in one.proof),
        one.note if with_note else "",
    ]


def _json(said: dict[str, Any]) -> bytes:
    return json.dumps(said, cls=JSONEncoder, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
