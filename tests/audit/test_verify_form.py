"""What the verifier takes for an entry, opens as a file and prints on a terminal: nothing that only looks like it."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from server.audit import verify
from server.audit.note import sign_note
from server.audit.verify import Checkpoint
from tests.audit import naive
from tests.audit.exported import COMMITTED, Check, disclosure
from tests.audit.naive import Log
from tests.support.served import sqlite_only

pytestmark = sqlite_only

LEAF: dict[str, Any] = json.loads(naive.entry(0))
ACTOR = LEAF["actor"]
OTHER_ID = LEAF["subject"]

GOOD: list[dict[str, Any]] = [
    {"follows": "said\n"},
    {"use": None},
    {"detail": COMMITTED},
    {"records": [OTHER_ID, OTHER_ID]},
    {"reason": "ø \u2028 \x1b"},
    {"sealed": "0" * 64},
    {"object": OTHER_ID, "subject": None, "room": None},
]
BAD: list[dict[str, Any]] = [
    {"more": 1},
    {"name": "Are Nes"},
    {"id": 5},
    {"id": None},
    {"id": OTHER_ID.upper().replace("8000", "ABCD")},
    {"id": "e1"},
    {"time": None},
    {"time": {"x": []}},
    {"time": "1999"},
    {"time": "2026-01-01T00:00:00Z"},
    {"time": "2026-01-01T00:00:00.000000Z\n"},
    {"time": "2026\x1b[2J\x1b[HThe log is whole.\x1b[8m"},
    {"detail": "00"},
    {"detail": 7},
    {"detail": ""},
    {"use": True},
    {"sealed": []},
    {"follows": None},
    {"follows": {}},
    {"records": None},
    {"records": "[]"},
    {"records": ["x"]},
    {"records": [None]},
    {"records": {}},
    {"subject": "Are Nes"},
    {"room": 0},
    {"object": ""},
    {"basis": None},
    {"type": None},
    {"request": 1},
    {"actor": None},
    {"actor": []},
    {"actor": ACTOR | {"name": "Kari"}},
    {"actor": ACTOR | {"role": None}},
    {"actor": ACTOR | {"unit": "Fjordvik"}},
    {"actor": {key: value for key, value in ACTOR.items() if key != "unit"}},
]


@pytest.mark.parametrize("more", GOOD, ids=repr)
def test_what_is_of_the_form(more: dict[str, Any]) -> None:
    assert verify.commitment(naive.entry(0, **more))[0] == naive.event(0)


@pytest.mark.parametrize("more", BAD, ids=repr)
def test_what_is_of_another_form(more: dict[str, Any]) -> None:
    wrong = verify.canonical(LEAF | more).encode()
    with pytest.raises(ValueError, match="has other keys or values"):
        verify.commitment(wrong)
    assert not verify._PLAIN.fullmatch(wrong)


@pytest.mark.parametrize("key", sorted(LEAF.keys() - {"v"}))
def test_a_key_that_is_missing(key: str) -> None:
    with pytest.raises(ValueError, match="has other keys or values"):
        verify.commitment(verify.canonical({name: value for name, value in LEAF.items() if name != key}).encode())


def test_an_entry_of_another_form_ends_the_check(log: Log, check: Check) -> None:
    """Also where whoever wrote it has signed it."""
    entries = [*log.entries[:5], verify.canonical({"v": 1}).encode()]
    shutil.rmtree(log.folder)
    status, answer = check(Log.write(log.folder, entries, log.signer).folder)
    assert (status, "Entry 5 (tile/entries/000.p/6) has other keys or values than" in answer) == (4, True), answer


# What could steer a terminal.


def test_nothing_that_is_printed_steers_a_terminal(
    whole: Log, tmp_path: Path, check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log's name may hold what is no space and no plus sign."""
    odd = "log\x9b8m\u202e/\u2066x"
    signer = whole.signer.named(odd)
    head = sign_note(Checkpoint(odd, 0, verify.EMPTY).text, [signer])
    (tmp_path / "checkpoint").write_text(head)
    for keys in ((signer.verifier.line,), (whole.signer.verifier.line,)):
        _, answer = check(tmp_path, keys=keys)
        assert "\\x9b8m\\u202e/\\u2066x" in answer
        assert all(line.isprintable() for line in answer.splitlines())
    verify.say("æøå · \u202e\x1b[2J\r\n")
    assert capsys.readouterr().out == "æøå · \\u202e\\x1b[2J\\r\\n\n"


# What was not given out.


def test_entries_that_are_withheld_are_no_success(log: Log, check: Check) -> None:
    shutil.rmtree(log.folder / "tile" / "entries")
    status, answer = check(log.folder, "--older", log.folder / "older")
    assert (status, verify.STATUS[9] in answer) == (verify.TREE_ONLY, True), answer
    assert "ENTRIES AND DETAILS WERE NOT CHECKED" in answer
    (log.folder / "disclosed.jsonl").write_text(json.dumps(disclosure(7)) + "\n")
    status, answer = check(log.folder)
    assert (status, "no entries to hold them against" in answer) == (2, True), answer


def test_details_of_a_log_without_entries(tmp_path: Path, check: Check, whole: Log) -> None:
    Log.write(tmp_path, [], whole.signer)
    assert check(tmp_path)[0] == 0
    (tmp_path / "disclosed.jsonl").write_text(json.dumps(disclosure(7)) + "\n")
    status, answer = check(tmp_path)
    assert (status, "(not in the log)" in answer) == (7, True), answer


# What is no file.


@pytest.mark.parametrize("name", ["checkpoint", "disclosed.jsonl", "older", "tile/0/001", "tile/entries/001"])
@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
def test_only_ordinary_files_are_read(name: str, kind: str, log: Log, check: Check) -> None:
    """A pipe would never answer, and /dev/zero never end."""
    path = log.folder / name
    path.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    status, answer = check(log.folder, "--older", log.folder / "older")
    assert (status, f"{name} is no ordinary file" in answer) == (2, True), answer
    for command in (("lines", path), ("proof", path, "--leaf", path)):
        status, answer = check(*command)
        assert (status, "is no ordinary file" in answer) == (2, True), answer
