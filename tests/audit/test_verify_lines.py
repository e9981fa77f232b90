"""Files that officers take out: each line, what is shown beside it, and that none is missing at the end."""

import csv
import io
import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.audit import verify
from server.audit.verify import COLUMNS, STATUS
from server.review import export_files
from tests.audit import naive
from tests.audit.exported import SIGNER, Check
from tests.audit.naive import Log
from tests.support.served import sqlite_only

pytestmark = sqlite_only

SIZE = 20
PICKED = (17, 12, 11, 3)
Row = dict[str, Any]
Change = Callable[[list[Row]], object]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Two of the lines are of one moment, and a role looks like a formula."""
    entries = [
        naive.entry(number, time=f"2026-01-01T00:00:{number // 2:02}.000000Z", reason="=1" if number == 3 else "")
        for number in range(SIZE)
    ]
    return Log.write(tmp_path_factory.mktemp("lines"), entries, SIGNER)


def jsonl(log: Log) -> list[Row]:
    """As `server/review/export_files.py` writes it."""
    head = {"checkpoint": log.note(), "keys": [], "filters": {}, "size": SIZE, "export": "x", "lines": len(PICKED)}
    lines = [
        {
            "index": place,
            "leaf": log.entries[place].decode(),
            "proof": [b64encode(one).decode() for one in naive.inclusion(place, log.hashes)],
        }
        for place in PICKED
    ]
    return [head, *lines]


def table(log: Log) -> list[Row]:
    found = []
    for number, place in enumerate(PICKED, start=1):
        leaf = json.loads(log.entries[place])
        said = leaf | leaf["actor"] | {"user": leaf["actor"]["id"], "id": leaf["id"]}
        said |= {"number": number, "of": len(PICKED), "index": place, "leaf": log.entries[place].decode()}
        said["proof"] = " ".join(one.hex() for one in naive.inclusion(place, log.hashes))
        said["checkpoint"] = log.note() if number == 1 else ""
        found.append({name: export_files.plain(said[name]) for name in COLUMNS})
    return found


def as_jsonl(rows: Sequence[Row]) -> str:
    return "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in rows)


def as_csv(rows: Sequence[Row]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def test_the_columns_are_those_that_are_written() -> None:
    assert list(COLUMNS) == export_files.COLUMNS
    assert verify.FORMULA == export_files.FORMULA


def test_good_files(sealed: Log, tmp_path: Path, check: Check) -> None:
    file, older = tmp_path / "file", tmp_path / "older"
    for text in (as_jsonl(jsonl(sealed)), as_csv(table(sealed))):
        file.write_text(text, newline="")
        for size, words in ((SIZE, "very checkpoint that you kept"), (5, "older checkpoint was not checked")):
            older.write_text(sealed.note(size))
            status, answer = check("lines", file, "--older", older)
            assert (status, words in answer) == (0, True), answer
        assert "Lines checked: 4." in answer
        assert "CANNOT BE PROVED" in answer
        older.write_text(Log.write(tmp_path / "other", sealed.entries[1:] + sealed.entries[:1], SIGNER).note())
        status, answer = check("lines", file, "--older", older)
        assert (status, "another root for the same 20" in answer) == (5, True), answer


def put(row: int, **more: Any) -> Change:
    return lambda rows: rows[row].update(more)


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        (lambda rows: rows.pop(), 2, "broke off after 3 of 4"),
        (put(0, lines=3), 4, "has 3 lines, and has 4"),
        (put(0, lines=None), 2, "broke off"),
        (put(0, size=19), 4, "another size"),
        (lambda rows: rows[0].update(checkpoint=rows[0]["checkpoint"].replace("\n20\n", "\n21\n")), 3, "forged"),
        (lambda rows: rows[2].update(leaf=rows[2]["leaf"].replace("success", "refused")), 6, "Line 3: "),
        (put(2, index=13), 6, "Line 3: "),
        (put(2, index=-1), 6, "Line 3: "),
        (put(2, index=12.0), 2, "line 3"),
        (put(2, leaf=""), 6, "Line 3: "),
        (put(2, proof=["AAAA"]), 6, "Line 3: "),
        (put(2, outcome="refused"), 4, "Line 3 shows another outcome"),
        (put(2, who={"user": "x", "role": "nurse"}), 4, "Line 3 shows another user"),
        (put(2, at="2026-01-01T01:00:06+01:00"), 4, "Line 3 shows another time"),
        (lambda rows: rows.__setitem__(3, rows[2]), 4, "Line 4 stands twice, or not in its order"),
        (lambda rows: rows.__setitem__(slice(2, 4), [rows[3], rows[2]]), 4, "Line 4 stands twice, or not"),
        (put(2, checkpoint="\ud800"), 2, "line 3"),
        (put(2, kept_back=True), 0, "1 lines are kept back"),
    ],
)
def test_json_lines_altered(change: Change, status: int, words: str, sealed: Log, tmp_path: Path, check: Check) -> None:
    rows = jsonl(sealed)
    change(rows)
    (tmp_path / "file").write_text("".join(f"{json.dumps(one)}\n" for one in rows))
    found, answer = check("lines", tmp_path / "file")
    assert (found, words in answer, STATUS[status] in answer) == (status, True, True), answer


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        (lambda rows: rows.pop(), 2, "broke off after 3 of 4"),
        (lambda rows: rows.pop(1), 4, "Line '3' of '4' stands where 2 should"),
        (lambda rows: rows.clear(), 2, "no lines"),
        (put(1, role="lege"), 4, "Line 2 shows another role"),
        (put(3, reason="=1"), 0, "Lines checked: 4"),
        (put(3, reason="''=1"), 4, "Line 4 shows another reason"),
        (put(1, time=""), 4, "Line 2 shows another time"),
        (put(1, proof="zz"), 2, "row 2 below the heading"),
        (put(0, checkpoint=""), 3, "not a signed note"),
        (put(1, index="12x"), 2, "row 2"),
    ],
)
def test_csv_altered(change: Change, status: int, words: str, sealed: Log, tmp_path: Path, check: Check) -> None:
    rows = table(sealed)
    change(rows)
    (tmp_path / "file").write_text(as_csv(rows), newline="")
    found, answer = check("lines", tmp_path / "file")
    assert (found, words in answer, STATUS[status] in answer) == (status, True, True), answer


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(form=st.sampled_from([as_jsonl, as_csv]), at=st.floats(0, 1, exclude_max=True), put=st.binary(max_size=3))
def test_whatever_is_put_in_there_is_an_answer(
    form: Callable[[Sequence[Row]], str], at: float, put: bytes, sealed: Log, tmp_path: Path, check: Check
) -> None:
    """And none that says more lines are good than were written."""
    data = form(jsonl(sealed) if form is as_jsonl else table(sealed)).encode()
    place = int(at * len(data))
    (tmp_path / "file").write_bytes(data[:place] + put + data[place + 1 :])
    status, answer = check("lines", tmp_path / "file")
    assert status in (0, 2, 3, 4, 5, 6), answer
    assert status or "Lines checked: 4." in answer or "kept back" in answer


def test_other_files(tmp_path: Path, check: Check) -> None:
    for text in ("", "x", "{", "{}", "[]\n", '{"complete": true, "lines": 0}\n', "\xff\x00"):
        (tmp_path / "file").write_text(text)
        assert check("lines", tmp_path / "file")[0] == 2, text
    assert check("lines", tmp_path / "none")[0] == 2
    assert check("lines", tmp_path)[0] == 2
