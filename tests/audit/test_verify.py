"""What an officer runs: alone, on exports and live servers, and with an answer for everything that may be wrong."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from server.audit import verify
from server.audit.note import Signer, sign_note
from server.audit.tiles import bundle
from server.audit.verify import Checkpoint
from tests.audit import naive
from tests.audit.exported import DETAIL, KEY, OLDER, SALT, SIGNER, SIZE, Check, disclosure
from tests.audit.naive import Log
from tests.support.served import sqlite_only

pytestmark = sqlite_only

OTHER = Signer.new(SIGNER.name)


def test_it_runs_alone(whole: Log, tmp_path: Path) -> None:
    """One file in an empty folder, isolated from this project's packages and paths."""
    script = Path(shutil.copy(verify.__file__, tmp_path))
    command = [
        sys.executable,
        "-I",
        script.name,
        str(whole.folder),
        "--key",
        KEY,
        "--older",
        str(whole.folder / "older"),
    ]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "has 600 entries" in ran.stdout
    assert "the first 300 entries are unchanged" in ran.stdout
    assert ran.stderr.split() == [word for tenth in (40, 80, 100) for word in (str(tenth), "%", "checked")]
    explained = subprocess.run(
        [sys.executable, "-I", script.name, "--help"], cwd=tmp_path, capture_output=True, text=True
    )
    assert explained.returncode == 0
    for status, meaning in verify.STATUS.items():
        assert f"\n  {status}  {meaning}" in explained.stdout


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 511, 512, 513])
def test_logs_of_every_shape(size: int, tmp_path: Path, check: Check) -> None:
    log = Log.write(tmp_path, [naive.entry(number) for number in range(size)], SIGNER)
    for older in {0, 1, size // 2, 255, 256, size - 1, size} & set(range(size + 1)):
        (tmp_path / "older").write_text(log.note(older))
        status, answer = check(tmp_path, "--older", tmp_path / "older")
        assert (status, f"the first {older} entries are unchanged" in answer) == (0, True), answer


def test_two_levels_of_tiles_without_entries(tmp_path: Path, check: Check) -> None:
    """As who is no log verifier gets it: the tree is checked, and it is said what was not."""
    hashes = [hashlib.sha256(b"%d" % number).digest() for number in range(65536 + 300)]
    log = Log.write(tmp_path, [], SIGNER, hashes)
    status, answer = check(tmp_path)
    assert status == verify.TREE_ONLY
    assert "ENTRIES AND DETAILS WERE NOT CHECKED" in answer
    flip(log.path(2, 0, 1), 5)
    status, answer = check(tmp_path)
    assert status == 4
    assert "tile/2/000.p/1 (hash 0) and tile/1/000 do not fit together" in answer
    assert "entries concerned are 0 to 65535" in answer
    flip(log.path(1, 0), 200 * 32)
    status, answer = check(tmp_path)
    assert status == 4
    assert "tile/1/000 (hash 200) and tile/0/200 do not fit together" in answer
    assert "entries concerned are 51200 to 51455" in answer


# What is found, and how it is named.


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def rewrite_entry(log: Log) -> None:
    log.entries[300] = naive.entry(300, outcome="refused")
    log.write_bundle(1)


def swap_entries(log: Log) -> None:
    log.entries[258], log.entries[511] = log.entries[511], log.entries[258]
    log.write_bundle(1)


def remove_entry(log: Log) -> None:
    log.put("entries", 1, bundle(log.entries[256:510]), 256)


def take_entry_out_of_all(log: Log) -> None:
    """Bundles and tiles are made anew, so that all of it fits; the key is not at hand."""
    note = (log.folder / "checkpoint").read_text()
    Log.write(log.folder, [*log.entries[:400], *log.entries[401:], naive.entry(9999)], OTHER)
    (log.folder / "checkpoint").write_text(note)


def rewrite_entry_and_tile(log: Log) -> None:
    rewrite_entry(log)
    hashes = [naive.leaf(one) for one in log.entries[256:512]]
    log.put(0, 1, b"".join(hashes), 256)


def rewrite_last_entry_and_tile(log: Log) -> None:
    log.entries[599] = naive.entry(599, outcome="refused")
    log.write_bundle(2)
    log.put(0, 2, b"".join(naive.leaf(one) for one in log.entries[512:]), 88)


def break_bundle(log: Log) -> None:
    path = log.path("entries", 2, 88)
    path.write_bytes(path.read_bytes()[:-1])


def shorten_tile(log: Log) -> None:
    path = log.path(0, 2, 88)
    path.write_bytes(path.read_bytes()[:-1])


def other_signature(log: Log) -> None:
    said = (log.folder / "checkpoint").read_text().partition("\n\n")[0] + "\n"
    (log.folder / "checkpoint").write_text(sign_note(said, [OTHER]))


FOUND: list[tuple[Callable[[Log], object], int, str]] = [
    (rewrite_entry, 4, "Entry 300 (tile/entries/001) and tile/0/001 do not fit together"),
    (swap_entries, 4, "Entries 258, 511 (tile/entries/001) and tile/0/001 do not fit together"),
    (remove_entry, 4, "tile/entries/001 holds 254 entries; there should be 256"),
    (take_entry_out_of_all, 4, "not the root that was signed. Entries before 300 are as in your older checkpoint"),
    (rewrite_entry_and_tile, 4, "tile/1/000.p/2 (hash 1) and tile/0/001 do not fit together"),
    (rewrite_last_entry_and_tile, 4, "not the root that was signed"),
    (lambda log: flip(log.path(0, 1), 3 * 32), 4, "Entry 259 (tile/entries/001) and tile/0/001 do not fit together"),
    (lambda log: flip(log.path(1, 0, 2), 40), 4, "The entries concerned are 256 to 511"),
    (break_bundle, 4, "tile/entries/002.p/88 is damaged"),
    (shorten_tile, 4, "tile/0/002.p/88 has 2815 bytes; there should be 2816"),
    (lambda log: log.path(0, 1).unlink(), 2, "tile/0/001 is missing"),
    (lambda log: log.path("entries", 1).unlink(), 2, "tile/entries/001 is missing"),
    (lambda log: (log.folder / "checkpoint").unlink(), 2, "no checkpoint"),
    (lambda log: log.path(0, 1).write_bytes(bytes(9000)), 2, "tile/0/001 is larger than any such file can be"),
    (lambda log: (log.path(0, 1).unlink(), log.path(0, 1).mkdir()), 2, "is no ordinary file"),
    (other_signature, 3, "none of the given keys has signed it"),
    (lambda log: flip(log.folder / "checkpoint", 20), 3, "forged, or the text was altered"),
    (lambda log: (log.folder / "checkpoint").write_bytes(b"\xff"), 3, "not a signed note"),
    (
        lambda log: (log.folder / "older").write_text(log.note(SIZE - 1)[:-9]),
        3,
        "Your older checkpoint cannot be believed",
    ),
    (lambda log: (log.folder / "older").unlink(), 2, "No such file"),
]


@pytest.mark.parametrize(("alter", "status", "words"), FOUND, ids=[words[:40] for _, _, words in FOUND])
def test_what_was_altered_is_found_and_named(
    alter: Callable[[Log], object], status: int, words: str, log: Log, check: Check
) -> None:
    alter(log)
    found, answer = check(log.folder, "--older", log.folder / "older")
    assert (found, words in answer) == (status, True), answer
    assert verify.STATUS[status] in answer


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (naive.entry(5).replace(b'"v":1', b'"v": 1'), "is not canonical JSON"),
        (naive.entry(5).replace(b'"v":1', b'"v":1.0'), "is not canonical JSON"),
        (naive.entry(5).replace(b'"reason":""', b'"reason":"\\u00f8"'), "is not canonical JSON"),
        (naive.entry(5).replace(b'"reason":""', b'"reason":"\xf8"'), "is not canonical JSON"),
        (naive.entry(5).replace(b'"basis"', b'"v":1,"basis"'), "is not canonical JSON"),
        (naive.entry(5).replace(b'"v":1', b'"v":2'), "has a form that this file does not know"),
        (naive.entry(5).replace(b'"v":1', b'"v":true'), "has a form that this file does not know"),
        (b"[" * 40000, "is not canonical JSON"),
        (b"7", "is not canonical JSON"),
        (b"{}", "has a form that this file does not know"),
        (b"", "is not canonical JSON"),
    ],
)
def test_an_entry_is_canonical_and_of_a_known_form(wrong: bytes, words: str, tmp_path: Path, check: Check) -> None:
    entries = [naive.entry(number) for number in range(9)]
    Log.write(tmp_path, [*entries[:5], wrong, *entries[6:]], SIGNER)
    status, answer = check(tmp_path)
    assert (status, f"Entry 5 (tile/entries/000.p/9) {words}" in answer) == (4, True), answer


def test_a_log_that_was_rewritten_and_signed_anew(log: Log, check: Check) -> None:
    """With the key in hand all of it fits; only what somebody kept elsewhere tells."""
    older = log.folder / "older"
    rewritten = [*log.entries[:100], naive.entry(100, outcome="refused"), *log.entries[101:]]
    Log.write(log.folder, rewritten, SIGNER)
    status, answer = check(log.folder)
    assert (status, "Only an older checkpoint (--older) shows" in answer) == (0, True)
    status, answer = check(log.folder, "--older", older)
    assert (status, "The first 300 entries are not those of your older checkpoint" in answer) == (5, True), answer
    Log.write(log.folder, log.entries[:299], SIGNER)
    status, answer = check(log.folder, "--older", older)
    assert (status, "has 299 entries; your older checkpoint counted 300" in answer) == (5, True), answer
    Log.write(log.folder, [*log.entries[:290], *(naive.entry(7000 + number) for number in range(50))], SIGNER)
    assert check(log.folder, "--older", older)[0] == 5


def test_an_event_that_was_sealed_twice(tmp_path: Path, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles, root and signature all fit: only the ids tell. Beyond what is compared, the answer says so."""
    Log.write(tmp_path, [*map(naive.entry, range(300)), naive.entry(7, type="room.opened")], SIGNER)
    status, answer = check(tmp_path)
    assert (status, "Entries 7 and 300 are of the same event" in answer) == (4, True), answer
    monkeypatch.setattr(verify, "COMPARED", 300)
    status, answer = check(tmp_path)
    assert (status, "among the first 300 entries only" in answer) == (0, True), answer


def test_a_log_that_was_begun_anew(whole: Log, tmp_path: Path, check: Check) -> None:
    """After a restore: another name, and a first entry that says what it follows."""
    new, older = SIGNER.named(f"{SIGNER.name}/2"), whole.folder / "older"
    both = (KEY, new.verifier.line)

    def begin(follows: str | None) -> Path:
        more = {} if follows is None else {"follows": follows}
        return Log.write(tmp_path, [naive.entry(0, **more), naive.entry(1)], new).folder

    folder = begin(whole.note())
    status, answer = check(folder)
    assert (status, f"check again with --key {new.verifier.line}" in answer) == (3, True), answer
    status, answer = check(folder, keys=both)
    assert (status, "begun on purpose, and says that it follows the log log.example/audit of 600" in answer) == (
        0,
        True,
    )
    for keys in (both, both[1:]):
        status, answer = check(folder, "--older", older, keys=keys)
        assert (status, verify.STATUS[8] in answer) == (8, True), answer
    status, answer = check(folder, keys=(Signer.new(new.name).verifier.line, new.verifier.line))
    assert status == 0

    for follows, words in (
        (whole.note(OLDER - 1), "says that it ended otherwise, with 299 entries"),
        (sign_note(Checkpoint(SIGNER.name, OLDER, bytes(32)).text, [SIGNER]), "ended otherwise, with 300"),
        (sign_note(Checkpoint("another", 900, bytes(32)).text, [SIGNER.named("another")]), "follows another: check"),
        ("nonsense", "does not say that it follows that one"),
        (None, "does not say that it follows that one"),
    ):
        status, answer = check(begin(follows), "--older", older, keys=both)
        assert (status, words in answer) == (5, True), answer
    shutil.rmtree(folder / "tile" / "entries")
    status, answer = check(folder, "--older", older, keys=both)
    assert (status, "which you were not given" in answer) == (5, True), answer


# Details that were given out.


def details(*rows: dict[str, object] | str) -> str:
    return "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        (details(disclosure(300), disclosure(7), disclosure(7)), 0, "Details given out: 2, and all match"),
        (
            details(disclosure(7), disclosure(300, detail=DETAIL.replace("3", "4"))),
            7,
            "Details do not match, of entry 300.",
        ),
        (details(disclosure(7, salt=bytes(32).hex())), 7, "of entry 7."),
        (details(disclosure(8)), 7, "of entry 8."),  # the log knows of none
        (details(disclosure(7), disclosure(SIZE)), 7, f"'{naive.event(SIZE)}' (not in the log)"),
        (details(disclosure(7), disclosure(7, detail="{}")), 7, "Line 2 of"),
        (details(disclosure(7), "{"), 2, "Line 2 of"),
        (details(disclosure(7, salt="xx")), 2, "Line 1 of"),
        (details(disclosure(7, id=[])), 2, "Line 1 of"),
        (details(disclosure(7, detail=None)), 2, "Line 1 of"),
        (details("[" * 9000), 2, "Line 1 of"),
        (details("[]"), 2, "Line 1 of"),
        (details(disclosure(7, detail=json.loads(DETAIL))), 0, "Details given out: 1, and all match"),
        (details(disclosure(7, salt=None, detail=None)), 0, "No details were given out"),
        (details(disclosure(7, salt=(SALT + DETAIL[:1].encode()).hex(), detail=DETAIL[1:])), 2, "Line 1 of"),
        ("", 0, "No details were given out"),
    ],
)
def test_disclosed_details(text: str, status: int, words: str, log: Log, check: Check) -> None:
    (log.folder / "disclosed.jsonl").write_text(text)
    found, answer = check(log.folder)
    assert (found, words in answer) == (status, True), answer


# One event.


def test_one_event(proof: Path, whole: Log, check: Check) -> None:
    arguments = ["proof", proof / "event.tlog-proof", "--leaf", proof / "leaf"]
    status, answer = check(*arguments)
    assert (status, "is number 300 of the 600 in the log log.example/audit" in answer) == (0, True)
    assert "details" not in answer
    (proof / "leaf").write_bytes(whole.entries[300] + b"\r\n")
    status, answer = check(*arguments, "--disclosed", proof / "details")
    assert (status, "The details match" in answer) == (0, True), answer


@pytest.mark.parametrize(
    ("file", "change", "status"),
    [
        ("leaf", lambda data: data.replace(b"success", b"refused"), 6),
        ("leaf", lambda data: data + b" ", 6),
        ("leaf", lambda _: b"", 6),
        ("event.tlog-proof", lambda data: data.replace(b"index 300", b"index 301"), 6),
        ("event.tlog-proof", lambda data: data.replace(b"index 300", b"index 600"), 6),
        ("event.tlog-proof", lambda data: data.replace(b"index 300\n", b"index 300\nAAAA\n"), 6),
        ("event.tlog-proof", lambda data: data.replace(b"index", b"Index"), 2),
        ("event.tlog-proof", lambda _: b"\xff\x00", 2),
        ("event.tlog-proof", lambda _: bytes(1 << 17), 2),
        ("event.tlog-proof", lambda data: data.replace(b"\n600\n", b"\n601\n"), 3),
        ("details", lambda _: details(disclosure(300, detail="{}")).encode(), 7),
        ("details", lambda _: details(disclosure(7)).encode(), 7),
        ("details", lambda _: b"{", 2),
    ],
)
def test_one_event_altered(file: str, change: Callable[[bytes], bytes], status: int, proof: Path, check: Check) -> None:
    (proof / file).write_bytes(change((proof / file).read_bytes()))
    arguments = ["proof", proof / "event.tlog-proof", "--leaf", proof / "leaf", "--disclosed", proof / "details"]
    found, answer = check(*arguments)
    assert (found, verify.STATUS[status] in answer) == (status, True), answer


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["folder"],
        ["proof"],
        ["proof", "file", "--key", KEY],
        ["folder", "--key", "mistyped"],
        ["folder", "--key", KEY[:-1]],
        ["folder", "--key", KEY, "--old", "x"],
        ["folder", "other", "--key", KEY],
        ["http://log.example/api/v1/audit/", "--key", KEY],
        ["ftp://log.example/", "--key", KEY],
        ["https://user:secret@log.example/", "--key", KEY],
        ["https://log.example/?x=1", "--key", KEY],
        ["https://log.example:port/", "--key", KEY],
        ["https://[log.example/", "--key", KEY],
        ["https:///audit/", "--key", KEY],
    ],
)
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(arguments) == 1
    said = capsys.readouterr()
    assert said.out.startswith("NOT CHECKED: ")
    assert said.err == ""
