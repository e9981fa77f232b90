"""Check an audit log of Samsnakk yourself, without trusting the server that keeps it.

  python verify.py SOURCE --key KEY [--older CHECKPOINT] [--token-file FILE]    the whole log
  python verify.py proof FILE --key KEY --leaf LEAF [--disclosed FILE]          one event
  python verify.py lines FILE --key KEY [--older CHECKPOINT]                    lines that an officer has taken out

This one file is all: it needs Python 3.11 or newer and the package `cryptography`.

SOURCE        a folder with an export, or a server's address: https://host/api/v1/audit/ for the newest log,
              https://host/api/v1/audit/trees/1/ for the first that there was (http only on the machine itself). These
              are as of the last full ten minutes; https://host/api/v1/audit/newest/ is of now, for officers.
KEY           the log's verifier key, name+hash+base64. Get it by another way than from the server that you check, best
              on paper. Keys are changed now and then: give --key once for each that you trust.
--older       the checkpoint file that you kept from an earlier check. It alone shows that nothing has been rewritten or
              cut off since. After each check, keep the file `checkpoint` where the operator cannot reach it.
--token-file  a file that holds your access token, if you are an officer. Entries are personal data, and for those
              who are appointed log verifier: without them the tree alone is checked, and the answer says so.
--leaf        the event's entry, byte for byte.
--disclosed   the event's details as they were given out: JSON with id, salt and detail, one object per line. An export
              has them in disclosed.jsonl, and they are checked with the rest.
FILE          of `proof`, the proof of one event; of `lines`, what an officer was given: an export as CSV or JSON Lines,
              or the answer to a request for access (JSON Lines).

What is checked of a whole log, in this order: the checkpoint's signature; each entry against the hash that the tree has
of it, and that it is written in the one proper way; every tile against those below it; the root; the beginning of the
log against your older checkpoint; that no event was sealed twice; the details against what the entries say of them. The
first fault is named, and ends the check.

What is checked of lines: the checkpoint's signature; each entry and its proof; that what is shown beside it is what it
says; that none stands twice, and that the file did not break off. No file of lines can prove that the selection left
nothing out, or that the log continues your older checkpoint: for both, check the whole log.
"""

import argparse
import csv
import hashlib
import http.client
import ipaddress
import json
import os
import re
import stat
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn, Protocol, TextIO

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    raise SystemExit("NOT CHECKED: this needs the package cryptography (python -m pip install cryptography).") from None

HASH, WIDTH, SALT_BYTES = 32, 256, 32
"""Bytes of a hash; hashes of a full tile; bytes of what is hashed before the details."""
EMPTY = hashlib.sha256().digest()
"""Root of the tree without leaves."""
ED25519 = b"\x01"
"""The type of signature in a key of a signed note."""
VERSIONS = (1,)
"""Forms of an entry that are known here (`v`)."""
NOTE_LIMIT, LINE_LIMIT, BUNDLE_LIMIT = 1 << 16, 1 << 20, WIDTH * ((1 << 16) + 1)
"""Bytes that are read at most of a note or proof, of a line with details, of a bundle."""
COMPARED = 1 << 24
"""Events of a log that are compared for one that was sealed twice, with 20 bytes of memory for each."""
TIMEOUT_S, PAUSES_S = 60, (1, 5, 20, 60, 0)
"""How long a server may be silent, and when it is asked again after it said that it is asked too much."""

GOOD, USAGE, UNREADABLE, SIGNATURE, MISMATCH, REWRITTEN, PROOF, DETAIL, NEW_LOG, TREE_ONLY = range(10)
STATUS = {
    GOOD: "What was checked is as it should be.",
    USAGE: "The command was not understood; --help explains it.",
    UNREADABLE: "Something could not be read, so nothing is known. Get it again.",
    SIGNATURE: "The signature is not by your key. Believe nothing of it, and ask for the key by another way.",
    MISMATCH: "What is named does not fit the rest: it was altered. Keep what you have and report a breach.",
    REWRITTEN: "The log does not continue your older checkpoint: it was rewritten or rolled back. Keep both and report "
    "a breach.",
    PROOF: "The proof fails: the log does not hold this entry, as it stands, at that place.",
    DETAIL: "Details that were given out are not those that were logged. Ask who gave them out.",
    NEW_LOG: "A new log was begun on purpose after your older checkpoint, and says so; the rest is well. Ask who "
    "decided it and why, and check the old log too.",
    TREE_ONLY: "The tree is as it should be, and no entry was checked. Ask a log verifier to check them.",
}
"""Exit statuses, and what each means to who checks."""


class Fault(Exception):
    """The answer is no: an exit status, and why in words."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


# The tree of RFC 6962, section 2.1, and its proofs (RFC 9162, sections 2.1.3.2 and 2.1.4.2).


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(hashes: Iterable[bytes]) -> bytes:
    """Root over leaf hashes, of any number; keeps only as many hashes as the tree is high."""
    peaks: list[bytes] = []
    for index, leaf in enumerate(hashes):
        peak = leaf
        while index & 1:
            peak, index = node_hash(peaks.pop(), peak), index >> 1  # noqa: PLW2901 - the index climbs
        peaks.append(peak)
    return _joined(peaks)


def verify_inclusion(index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the leaf stands at `index` of the tree with `size` leaves and that root."""
    if not 0 <= index < size or any(len(one) != HASH for one in (leaf_hash, *proof)):
        return False
    last, found = size - 1, leaf_hash
    for sibling in proof:
        if not last:
            return False
        if index & 1 or index == last:
            found = node_hash(sibling, found)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        index, last = index >> 1, last >> 1
    return not last and found == root


def verify_consistency(size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `size2` leaves begins with the tree of `size1` leaves."""
    if size1 in (0, size2):
        return not proof and root1 == (root2 if size1 == size2 else EMPTY) and size1 <= size2
    if not 0 < size1 < size2 or not proof or any(len(one) != HASH for one in proof):
        return False
    old, new = size1 - 1, size2 - 1
    while old & 1:
        old, new = old >> 1, new >> 1
    first, *rest = proof if size1 & (size1 - 1) else [root1, *proof]
    found1 = found2 = first
    for sibling in rest:
        if not new:
            return False
        if old & 1 or old == new:
            found1, found2 = node_hash(sibling, found1), node_hash(sibling, found2)
            while old and not old & 1:
                old, new = old >> 1, new >> 1
        else:
            found2 = node_hash(found2, sibling)
        old, new = old >> 1, new >> 1
    return not new and (found1, found2) == (root1, root2)


def _joined(peaks: Sequence[bytes]) -> bytes:
    """Root of neighbouring full subtrees, the largest first."""
    return reduce(lambda right, left: node_hash(left, right), reversed(peaks)) if peaks else EMPTY


def _full(hashes: bytes) -> bytes:
    """Root over hashes in one piece, their number a power of two."""
    while len(hashes) > HASH:
        pairs = range(0, len(hashes), 2 * HASH)
        hashes = b"".join([hashlib.sha256(b"\x01" + hashes[at : at + 2 * HASH]).digest() for at in pairs])
    return hashes


# Signed notes and checkpoints (C2SP signed-note, tlog-checkpoint).


class BadNote(ValueError):
    """A note that nobody may believe; the text says why."""


def check_name(name: str) -> str:
    """A key's name, when it may be one. Raises ValueError."""
    if not name or any(char.isspace() or char < " " or char == "+" for char in name):
        raise ValueError("the name of a key is not empty and has no space and no plus sign")
    return name


def decode64(text: str) -> bytes:
    """Base64 in its one proper form. Raises ValueError."""
    data = b64decode(text, validate=True)
    if b64encode(data).decode() != text:
        raise ValueError("not proper base64")
    return data


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """An Ed25519 key under a name. Raises ValueError when it cannot be one."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.public) != 32:
            raise ValueError("an Ed25519 key has 32 bytes")

    @classmethod
    def parse(cls, line: str) -> "VerifierKey":
        """From `name+hash+base64`. Raises ValueError."""
        name, _, key = line.strip().split("+", 2)
        found = cls(name, decode64(key)[1:])
        if found.line != line.strip():
            raise ValueError("not an Ed25519 verifier key, or mistyped")
        return found

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    @property
    def line(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64encode(ED25519 + self.public).decode()}"

    def verifies(self, text: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except InvalidSignature:
            return False
        return True


def open_note(note: str, keys: Sequence[VerifierKey]) -> str:
    """The text of a note that at least one of `keys` signed. Raises BadNote; also where one of them did not sign what
    stands under its name."""
    return _opened(note, keys)[0]


def _opened(note: str, keys: Sequence[VerifierKey]) -> tuple[str, set[str]]:
    """The text, and the names of the keys that signed it."""
    text, gap, block = note.rpartition("\n\n")
    lines = block.split("\n")
    if not gap or len(note) > NOTE_LIMIT or lines.pop() or any(char < " " and char != "\n" for char in note):
        raise BadNote("this is not a signed note")
    known, names = {(key.name, key.key_id): key for key in keys}, set()
    try:
        for line in lines:
            dash, name, signature = line.split(" ")
            data = decode64(signature)
            if dash != "\N{EM DASH}" or len(data) < 5:
                raise ValueError
            key = known.get((check_name(name), data[:4]))
            if key and not key.verifies(f"{text}\n".encode(), data[4:]):
                raise BadNote(f"the signature under the name {name} is forged, or the text was altered")
            names |= {name} if key else set()
    except BadNote:
        raise
    except ValueError:
        raise BadNote("this is not a properly signed note") from None
    if not names:
        raise BadNote("none of the given keys has signed it")
    return f"{text}\n", names


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log has signed: its name, the number of its entries, and the root over them."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """The one form there is, without extension lines. Raises BadNote."""
        parts = re.fullmatch(r"([^\n]+)\n(0|[1-9][0-9]{0,17})\n([A-Za-z0-9+/]{43}=)\n", text)
        if parts is None:
            raise BadNote("this is not a checkpoint")
        found = cls(parts[1], int(parts[2]), b64decode(parts[3]))
        if found.text != text:
            raise BadNote("the root in the checkpoint is not proper base64")
        return found


def open_checkpoint(note: str, keys: Sequence[VerifierKey]) -> Checkpoint:
    """What the note says, signed by the key that bears the log's own name. Raises BadNote."""
    text, names = _opened(note, keys)
    found = Checkpoint.parse(text)
    if found.origin not in names:
        raise BadNote(f"it speaks for the log {found.origin}, which is not the name of the key that signed it")
    return found


# Tiles and proof files (C2SP tlog-tiles, tlog-proof), and entries.


def tile_path(level: int | str, number: int, width: int = WIDTH) -> str:
    """Where a tile (level 0 and up) or bundle (level `entries`) lies, below `tile/`: `0/x001/x234/067.p/3`."""
    path = f"{number % 1000:03}"
    while number := number // 1000:
        path = f"x{number % 1000:03}/{path}"
    return f"{level}/{path}" + ("" if width == WIDTH else f".p/{width}")


def split_bundle(data: bytes) -> list[bytes]:
    """The entries of a bundle. Raises ValueError."""
    entries, at = [], 0
    while at < len(data):
        start = at + 2
        at = start + int.from_bytes(data[at:start])
        entries.append(data[start:at])
    if at > len(data):
        raise ValueError("a bundle ends within an entry")
    return entries


def parse_proof(text: str) -> tuple[int, list[bytes], str]:
    """Index, hashes and signed checkpoint of a proof file. Raises ValueError."""
    head, gap, note = text.partition("\n\n")
    parts = re.fullmatch(r"c2sp\.org/tlog-proof@v1\n(?:extra (\S*)\n)?index (0|[1-9][0-9]{0,17})((?:\n\S+)*)", head)
    if not (gap and parts):
        raise ValueError("this is not a proof file")
    decode64(parts[1] or "")
    return int(parts[2]), [decode64(line) for line in parts[3].split()], note


def canonical(value: Any) -> str:
    """RFC 8785, for what entries are made of: no number but whole ones. Raises ValueError."""
    match value:
        case dict():
            keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
            return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in keys) + "}"
        case list():
            return "[" + ",".join(map(canonical, value)) + "]"
        case None | bool() | str():
            return json.dumps(value, ensure_ascii=False)
        case int() if abs(value) < 1 << 53:
            return str(value)
    raise ValueError("a number that is not whole, or too large")


def parse_entry(entry: bytes) -> dict[str, Any]:
    """What an entry says, when it is canonical JSON of a known form. Raises ValueError."""
    try:
        leaf = json.loads(entry.decode())
        if not isinstance(leaf, dict) or canonical(leaf).encode() != entry:
            raise ValueError
    except (ValueError, RecursionError):
        raise ValueError("is not canonical JSON") from None
    if type(leaf.get("v")) is not int or leaf["v"] not in VERSIONS:
        raise ValueError("has a form that this file does not know: is there a newer verify.py?")
    if not _is_form_1(leaf):
        raise ValueError("has other keys or values than entries of its form have")
    return leaf


FORM = [
    *("actor", "basis", "detail", "id", "object", "outcome", "purpose", "reason", "records", "request", "room"),
    *("sealed", "subject", "time", "type", "use", "v"),
]
"""What stands in an entry of form 1; `follows` besides where a log was begun anew."""
FORM_ACTOR = ["controller", "engagement", "id", "role", "sign_in", "unit"]
_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_COMMITMENT = r"[0-9a-f]{64}"
_TIME = r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"


def _is_form_1(leaf: dict[str, Any]) -> bool:
    """Whether there are just the keys of this form, each with a value of its kind."""
    actor = leaf.get("actor")
    if sorted(leaf.keys() - {"follows"}) != FORM or not isinstance(actor, dict) or sorted(actor) != FORM_ACTOR:
        return False
    records, said = leaf["records"], leaf | {f"actor.{key}": value for key, value in actor.items()}
    if not isinstance(records, list):
        return False
    texts = ["basis", "outcome", "purpose", "reason", "request", "type", "actor.role", "actor.sign_in"]
    texts += [key for key in ("sealed", "use") if said[key] is not None] + ["follows"] * ("follows" in said)
    ids = [f"actor.{key}" for key in ("controller", "engagement", "id", "unit")] + ["object", "room", "subject"]
    exact = [(_ID, said[key]) for key in ids if said[key] is not None]
    exact += [(_COMMITMENT, said["detail"])] if said["detail"] is not None else []
    exact += [(_ID, said["id"]), (_TIME, said["time"]), *((_ID, one) for one in records)]
    return all(isinstance(said[key], str) for key in texts) and all(
        isinstance(value, str) and re.fullmatch(form, value) for form, value in exact
    )


def _shape(keys: Sequence[str], values: dict[str, bytes], other: bytes) -> bytes:
    pairs = (b'"%b":%b' % (key.encode(), values.get(key, other)) for key in keys)
    return rb"\{%b\}" % b",".join(pairs)


_TEXT, _ID_TEXT = rb'"[ !#-\[\]-~]*+"', rb'"%b"' % _ID.encode()
_NO_ID, _NO_TEXT = rb"(?:null|%b)" % _ID_TEXT, rb"(?:null|%b)" % _TEXT
_PLAIN = re.compile(
    _shape(
        FORM,
        {
            "actor": _shape(FORM_ACTOR, {"role": _TEXT, "sign_in": _TEXT}, _NO_ID),
            "detail": rb'(?:null|"(%b)")' % _COMMITMENT.encode(),
            "id": rb'"(%b)"' % _ID.encode(),
            "records": rb"\[(?:%b(?:,%b)*)?\]" % (_ID_TEXT, _ID_TEXT),
            "time": rb'"%b"' % _TIME.encode(),
            "v": b"1",
        }
        | dict.fromkeys(("object", "room", "subject"), _NO_ID)
        | dict.fromkeys(("sealed", "use"), _NO_TEXT),
        _TEXT,
    )
)
"""What nearly all entries look like: canonical by its form, so that it need not be parsed. Groups: detail, id."""


def commitment(entry: bytes) -> tuple[str, str | None]:
    """The event's id, and the commitment to its details (hex). Raises ValueError as `parse_entry` does."""
    if plain := _PLAIN.fullmatch(entry):
        return plain[2].decode(), plain[1].decode() if plain[1] else None
    leaf = parse_entry(entry)
    return leaf["id"], leaf["detail"]


def disclosed(file: BinaryIO, name: str) -> dict[str, str]:
    """Event id -> the commitment that its details give, from lines of JSON with `id`, `salt` (hex) and `detail` (the
    object, or its exact text); both null where there is nothing to compare. Raises Fault."""
    found: dict[str, str] = {}
    for number, line in enumerate(iter(lambda: file.readline(LINE_LIMIT), b""), start=1):
        try:
            row = json.loads(line)
            if row["salt"] is row["detail"] is None:
                continue  # there were none, or they were erased
            text = canonical(row["detail"]) if isinstance(row["detail"], dict) else row["detail"]
            salt = bytes.fromhex(row["salt"])
            if len(salt) != SALT_BYTES:
                raise ValueError  # else a part of the details could pass as salt, or the other way round
            digest = hashlib.sha256(salt + text.encode()).hexdigest()
            known = found.setdefault(row["id"], digest)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise Fault(UNREADABLE, f"Line {number} of {name} cannot be read: it is not as it was given out.") from None
        if known != digest:
            raise Fault(DETAIL, f"Line {number} of {name} says something else of an event than a line before it.")
    return found


# Lines that an officer has taken out.

COLUMNS = (
    *("number", "of", "index", "id", "time", "type", "user", "controller", "unit", "engagement", "role", "sign_in"),
    *("subject", "room", "object", "purpose", "basis", "outcome", "reason", "request", "leaf", "proof", "checkpoint"),
)
"""Of CSV. `number` and `of`: which line of how many; those from `id` to `request` repeat what the entry says."""
REPEATED, ACTORS = COLUMNS[3:-3], {"user": "id"} | {one: one for one in COLUMNS[7:12]}
"""Columns that an entry has too; those that stand in its `actor`, with their names there."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What gets an apostrophe before it in CSV, lest a spreadsheet take it for a formula."""


class Head(NamedTuple):
    """The first line of JSON Lines: the checkpoint, and the size that is said of it."""

    note: bytes
    size: Any


class Line(NamedTuple):
    """`number`: which line of the file; `place`: the entry's number in the log; `shown`: what stands beside the entry,
    by its column's name, as text."""

    number: int
    place: int
    entry: bytes
    proof: list[bytes]
    note: bytes
    shown: dict[str, str]


def lines_of(file: BinaryIO) -> Iterator[Head | Line | None]:
    """All of an export or of an answer to a request for access; a line bears the first line's checkpoint where it has
    none of its own. None is a line whose entry is kept back. Raises Fault."""
    start, number = file.read(1), 0
    file.seek(0)
    try:
        for found in _json_lines(file) if start == b"{" else _csv_lines(file):
            yield found
            number += 1
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, csv.Error):
        row = f"row {number + 1} below the heading" if start != b"{" else f"line {number + 1}"
        raise Fault(UNREADABLE, f"From {row} on the file is not as it was given out, or it broke off.") from None


def _json_lines(file: BinaryIO) -> Iterator[Head | Line | None]:
    head = json.loads(file.readline(LINE_LIMIT))
    note, of, count = head["checkpoint"].encode(), head.get("lines"), 0
    framed = of is None  # the answer to a request for access says at its end how many there are
    yield Head(note, head["size"])
    for number, text in enumerate(iter(lambda: file.readline(LINE_LIMIT), b""), start=2):
        row = json.loads(text)
        if framed and row.get("complete") is True:
            of = int(row["lines"])
            continue
        count += 1
        if row.get("kept_back") is True:
            yield None
            continue
        if type(row["index"]) is not int:
            raise ValueError
        said = {name: row[name] for name in REPEATED if name in row}
        said |= {name: row["who"][name] for name in ("user", "role") if "who" in row}
        if "at" in row:
            said["time"] = datetime.fromisoformat(row["at"]).isoformat(timespec="microseconds").replace("+00:00", "Z")
        proof = [decode64(one) for one in row["proof"]]
        own = row["checkpoint"].encode() if "checkpoint" in row else note
        yield Line(number, row["index"], row["leaf"].encode(), proof, own, _texts(said))
    _counted(count, of)


def _csv_lines(file: BinaryIO) -> Iterator[Line]:
    rows = csv.reader((text.decode() for text in iter(lambda: file.readline(LINE_LIMIT), b"")), strict=True)
    if tuple(next(rows, ())) != COLUMNS:
        raise Fault(UNREADABLE, "This is no export: the first line is neither that of JSON Lines nor that of CSV.")
    number, of, note = 0, "", b""
    for cells in rows:
        number += 1
        row = dict(zip(COLUMNS, cells, strict=True))
        of, note = of or row["of"], row["checkpoint"].encode() or note
        if (row["number"], row["of"]) != (str(number), of):
            raise Fault(MISMATCH, f"Line {row['number']!a:.20} of {row['of']!a:.20} stands where {number} should.")
        proof = [bytes.fromhex(one) for one in row["proof"].split()]
        shown = {name: row[name] for name in REPEATED}
        yield Line(number, int(row["index"]), row["leaf"].encode(), proof, note, shown)
    if not number:
        raise Fault(UNREADABLE, "The file has no lines, so there is nothing to check.")
    _counted(number, int(of))


def _counted(count: int, of: int | None) -> None:
    if of is None or count < of:
        told = "" if of is None else f" of {of}"
        raise Fault(UNREADABLE, f"The file broke off after {count}{told} lines. Those are in the log; get it again.")
    if count > of:
        raise Fault(MISMATCH, f"The file says that it has {of} lines, and has {count}.")


def _texts(said: dict[str, Any]) -> dict[str, str]:
    return {name: "" if value is None else str(value) for name, value in said.items()}


def repeated(leaf: dict[str, Any]) -> dict[str, str]:
    """What the columns of a line are to show of its entry."""
    return _texts({name: leaf["actor"][ACTORS[name]] if name in ACTORS else leaf[name] for name in REPEATED})


# Where a log is read from.


class Source(Protocol):
    """An export or a server. Both raise Fault."""

    def read(self, name: str, limit: int) -> bytes | None:
        """The bytes of `checkpoint`, a tile or a bundle; None when it is not there or not given out."""

    def has_entries(self, first: str) -> bool:
        """Whether entries are given out; `first` is the name of the first bundle."""


@dataclass(frozen=True, slots=True)
class Folder:
    path: Path

    def read(self, name: str, limit: int) -> bytes | None:
        try:
            with _opened_file(self.path / name) as file:
                return _limited(file, name, limit)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def has_entries(self, first: str) -> bool:
        return (self.path / "tile" / "entries").exists()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """An answer from another address is no answer, and the token is for nobody else."""


class Server:
    """A log that runs. A token that is given goes with every question: the newest hashes are for officers, too."""

    def __init__(self, base: str, token: str) -> None:
        parts = _parts(base)
        host = parts.hostname or ""
        if parts.scheme != "https" and not _is_local(host):
            raise Fault(USAGE, "A server elsewhere is asked over https only.")
        if not re.fullmatch(r"[!-~]*", token):
            raise Fault(USAGE, "The token file holds something else than a token.")
        self.base, self.token = parts.geturl().rstrip("/") + "/", token
        proxies = [urllib.request.ProxyHandler({})] if _is_local(host) else []
        self.opener = urllib.request.build_opener(_NoRedirect, *proxies)

    def read(self, name: str, limit: int) -> bytes | None:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        for pause in PAUSES_S:
            try:
                request = urllib.request.Request(self.base + name, headers=headers)  # noqa: S310 - checked above
                with self.opener.open(request, timeout=TIMEOUT_S) as answer:
                    data = _limited(answer, name, limit)
                    if answer.headers.get("Content-Length", str(len(data))) != str(len(data)):
                        raise Fault(UNREADABLE, f"The server broke off in the middle of {name}.")
                    return data
            except urllib.error.HTTPError as error:
                error.close()
                if error.code in (403, 404) or (error.code == 401 and not self.token):
                    return None
                if error.code not in (429, 503) or not pause:
                    raise Fault(UNREADABLE, f"The server answered {error.code} to {name}.") from None
            except (OSError, ValueError, http.client.HTTPException) as error:
                raise Fault(UNREADABLE, f"The server gave no answer: {getattr(error, 'reason', error)}.") from None
            time.sleep(pause)
        return None

    def has_entries(self, first: str) -> bool:
        return any(self.read(name, BUNDLE_LIMIT) is not None for name in {first, first.partition(".p/")[0]})


def _parts(base: str) -> urllib.parse.SplitResult:
    try:
        parts = urllib.parse.urlsplit(base)
        more = parts.port == 0 or parts.username or parts.password or parts.query or parts.fragment
    except ValueError:
        more = True
    if more or not parts.hostname or parts.scheme not in ("http", "https"):
        raise Fault(USAGE, "The address of a server looks like https://host/api/v1/audit/ and has nothing more.")
    return parts


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _limited(file: BinaryIO, name: str, limit: int) -> bytes:
    data = file.read(limit + 1)
    if len(data) > limit:
        raise Fault(UNREADABLE, f"{name} is larger than any such file can be.")
    return data


# The check of a whole log.


@dataclass
class Walk:
    """From the first leaf to the last, with no more in memory than one tile of each level."""

    source: Source
    size: int
    details: dict[str, str]
    """Event id -> commitment that its disclosed details give; what is met is taken out."""
    with_entries: bool = False
    follows: Any = None
    """The old log's checkpoint that the first entry names."""
    newest: Any = None
    """The last entry's time."""
    wrong_details: list[int] = field(default_factory=list)
    edge: list[bytes] = field(default_factory=lambda: [b""])
    """For each level, the hashes that no full tile holds yet."""
    numbers: list[int] = field(default_factory=lambda: [0])
    """For each level, the number of the tile that they will be in."""
    events: list[bytearray] = field(default_factory=lambda: [bytearray() for _ in range(256)])
    """By the first byte of the hash of an event's id: 16 bytes of that hash and 4 of the entry's number, for each."""

    def go(self, marks: Sequence[int], progress: "Progress") -> list[bytes]:
        """The roots at the sizes in `marks`, after everything up to `size` was compared. Raises Fault."""
        roots = {0: EMPTY}
        self.with_entries = self.size > 0 and self.source.has_entries(self.name("entries", 0))
        for number in range(-(-self.size // WIDTH)):
            hashes = self.tile(0, number)
            if self.with_entries:
                self.compare_entries(number, hashes)
            for mark in marks:
                if 0 < (wanted := mark - number * WIDTH) <= WIDTH:
                    roots[mark] = self.root(hashes[: wanted * HASH])
            if len(hashes) == WIDTH * HASH:
                self.add(1, _full(hashes))
            progress.at(min(number * WIDTH + WIDTH, self.size))
        for level in range(1, len(self.edge)):
            if self.edge[level]:
                self.compare(level)
        if self.newest:
            self.newest = parse_entry(self.newest).get("time")
        return [roots[mark] for mark in marks]

    def root(self, leaves: bytes) -> bytes:
        """The root when `leaves` are the last leaf hashes."""
        peaks = []
        for hashes in (*reversed(self.edge[1:]), leaves):
            at = 0
            while rest := len(hashes) - at:
                step = HASH << (rest // HASH).bit_length() - 1
                peaks.append(_full(hashes[at : at + step]))
                at += step
        return _joined(peaks)

    def add(self, level: int, node: bytes) -> None:
        if level == len(self.edge):
            self.edge.append(b"")
            self.numbers.append(0)
        self.edge[level] += node
        if len(self.edge[level]) == WIDTH * HASH:
            self.compare(level)
            self.add(level + 1, _full(self.edge[level]))
            self.edge[level] = b""
            self.numbers[level] += 1

    def compare(self, level: int) -> None:
        """The tile of `level` against what was computed from below."""
        number, computed = self.numbers[level], self.edge[level]
        stored = self.tile(level, number)
        if stored != computed:
            place = _differing(stored, computed)[0]
            below = number * WIDTH + place
            first = below * WIDTH**level
            raise Fault(
                MISMATCH,
                f"{self.name(level, number)} (hash {place}) and {self.name(level - 1, below)} do not fit together: one "
                f"of them was altered. The entries concerned are {first} to {first + WIDTH**level - 1}.",
            )

    def compare_entries(self, number: int, hashes: bytes) -> None:
        name, width = self.name("entries", number), len(hashes) // HASH
        try:
            entries = split_bundle(self.fetch("entries", number, BUNDLE_LIMIT))
        except ValueError as error:
            raise Fault(MISMATCH, f"{name} is damaged: {error}.") from None
        if len(entries) not in (width, WIDTH):
            raise Fault(MISMATCH, f"{name} holds {len(entries)} entries; there should be {width}.")
        entries = entries[:width]
        found = b"".join([hashlib.sha256(b"\x00" + entry).digest() for entry in entries])
        if found != hashes:
            wrong = [str(number * WIDTH + place) for place in _differing(found, hashes)]
            listed = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
            which = f"{'Entries' if len(wrong) > 1 else 'Entry'} {listed} ({name})"
            raise Fault(MISMATCH, f"{which} and {self.name(0, number)} do not fit together: one of them was altered.")
        place = 0
        try:
            for place, entry in enumerate(entries):
                event, committed = commitment(entry)
                if (index := number * WIDTH + place) < COMPARED:
                    digest = hashlib.sha256(event.encode()).digest()[:16]
                    self.events[digest[0]] += digest + index.to_bytes(4)
                if self.details:
                    self.compare_details(number * WIDTH + place, event, committed)
        except ValueError as error:
            raise Fault(MISMATCH, f"Entry {number * WIDTH + place} ({name}) {error}.") from None
        if number == 0:
            self.follows = parse_entry(entries[0]).get("follows")
        self.newest = entries[-1]

    def twice(self) -> tuple[int, int] | None:
        """Two entries of one event."""
        for known in self.events:
            first: dict[bytes, bytes] = {}
            for at in range(0, len(known), 20):
                index = known[at + 16 : at + 20]
                if (other := first.setdefault(bytes(known[at : at + 16]), bytes(index))) != index:
                    return int.from_bytes(other), int.from_bytes(index)
        return None

    def compare_details(self, index: int, event: str, committed: str | None) -> None:
        if event in self.details and self.details.pop(event) != committed:
            self.wrong_details.append(index)

    def end_details(self) -> None:
        """Raises Fault for those that are others than were logged, or that are of no entry."""
        if self.details and self.size and not self.with_entries:
            raise Fault(UNREADABLE, "Details were given out, and no entries to hold them against.")
        wrong = [f"entry {index}" for index in self.wrong_details]
        wrong += [f"{event!a:.60} (not in the log)" for event in self.details]
        if wrong:
            raise Fault(DETAIL, f"Details do not match, of {', '.join(wrong[:5])}{' and more' * (len(wrong) > 5)}.")

    def tile(self, level: int, number: int) -> bytes:
        width = self.width(level, number)
        hashes = self.fetch(level, number, WIDTH * HASH)
        if len(hashes) not in (width * HASH, WIDTH * HASH):
            raise Fault(
                MISMATCH, f"{self.name(level, number)} has {len(hashes)} bytes; there should be {width * HASH}."
            )
        return hashes[: width * HASH]

    def fetch(self, level: int | str, number: int, limit: int) -> bytes:
        """A partial tile, or the full one that may have taken its place."""
        name = self.name(level, number)
        for one in dict.fromkeys((name, name.partition(".p/")[0])):
            if (data := self.source.read(one, limit)) is not None:
                return data
        raise Fault(UNREADABLE, f"{name} is missing. What you were given is not whole; get it again.")

    def width(self, level: int | str, number: int) -> int:
        return min(WIDTH, self.size // WIDTH ** (0 if level == "entries" else int(level)) - number * WIDTH)

    def name(self, level: int | str, number: int) -> str:
        return "tile/" + tile_path(level, number, self.width(level, number))


def _differing(one: bytes, other: bytes) -> list[int]:
    return [at // HASH for at in range(0, len(other), HASH) if one[at : at + HASH] != other[at : at + HASH]]


class Progress:
    """How far it is, on standard error: in place on a terminal, else a line for each tenth."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self.total, self.stream, self.said = total, stream, -1
        self.step, self.end = (1, "\r") if stream.isatty() else (10, "\n")

    def at(self, done: int) -> None:
        percent = done * 100 // max(self.total, 1) // self.step * self.step
        if percent > self.said:
            self.said = percent
            self.stream.write(f"{percent:3} % checked{self.end}")
            self.stream.flush()


# What is asked on the command line, and the answers.


def check_log(source: Source, keys: Sequence[VerifierKey], older_note: bytes | None, details: dict[str, str]) -> int:
    """Check all that `source` gives. Returns GOOD, NEW_LOG or TREE_ONLY; raises Fault."""
    note = source.read("checkpoint", NOTE_LIMIT)
    if note is None:
        raise Fault(UNREADABLE, "There is no checkpoint: this is not a log.")
    head = _checkpoint(note, keys, "The checkpoint")
    older = None if older_note is None else _checkpoint(older_note, keys, "Your older checkpoint", of_any_log=True)
    before = older if older and older.origin == head.origin else None
    if before and before.size > head.size:
        raise Fault(REWRITTEN, f"The log has {head.size} entries; your older checkpoint counted {before.size}.")
    told = len(details)
    walk = Walk(source, head.size, details)
    root, root_before = walk.go([head.size, before.size if before else 0], Progress(head.size, sys.stderr))
    unchanged = before is not None and root_before == before.root
    if root != head.root:
        kept = f" Entries before {before.size} are as in your older checkpoint." if before and unchanged else ""
        raise Fault(MISMATCH, f"The tiles fit one another, but not the root that was signed.{kept}")
    if before and not unchanged:
        raise Fault(REWRITTEN, f"The first {before.size} entries are not those of your older checkpoint.")
    if pair := walk.twice():
        raise Fault(MISMATCH, f"Entries {pair[0]} and {pair[1]} are of the same event: it was sealed twice.")
    walk.end_details()
    say(f"The log {head.origin} has {head.size} entries under the root {b64encode(head.root).decode()}.")
    say("Your key signed it, and every tile was computed again from what lies below it.")
    if walk.with_entries:
        say(f"Every entry is what was sealed; the newest is of {walk.newest}.")
        if head.size > COMPARED:
            say(f"Whether an event was sealed twice was looked for among the first {COMPARED} entries only.")
        say(f"Details given out: {told}, and all match." if told else "No details were given out.")
    elif head.size:
        say("ENTRIES AND DETAILS WERE NOT CHECKED: entries were not given out to you. A log verifier gets them.")
    follows = _followed(walk.follows, keys)
    if older and not before:
        _compare_ends(head, older, follows, with_entries=walk.with_entries)
        return NEW_LOG
    if before:
        say(f"It continues your older checkpoint: the first {before.size} entries are unchanged.")
    else:
        say("Only an older checkpoint (--older) shows whether it was rewritten and signed anew. Keep this one.")
    return GOOD if walk.with_entries or not head.size else TREE_ONLY


def _followed(note: Any, keys: Sequence[VerifierKey]) -> Checkpoint | None:
    """The older log that the first entry names."""
    if note is None:
        return None
    try:
        found = _checkpoint(str(note).encode(), keys, "The older log", of_any_log=True)
    except Fault:
        say("It was begun on purpose, and says that it follows an older log, which none of your keys has signed.")
        return None
    say(f"It was begun on purpose, and says that it follows the log {found.origin} of {found.size} entries.")
    return found


def _compare_ends(head: Checkpoint, older: Checkpoint, follows: Checkpoint | None, *, with_entries: bool) -> None:
    """Raises Fault unless the log that was begun anew owns up to all that the older checkpoint counted."""
    other = f"Your older checkpoint is of another log, {older.origin} with {older.size} entries."
    if not with_entries:
        raise Fault(REWRITTEN, f"{other} What {head.origin} follows is in its first entry, which you were not given.")
    if follows is None:
        raise Fault(REWRITTEN, f"{other} {head.origin} does not say that it follows that one.")
    if follows.origin != older.origin:
        raise Fault(REWRITTEN, f"{other} {head.origin} follows {follows.origin}: check that one first.")
    if follows.size < older.size or (follows.size == older.size and follows.root != older.root):
        raise Fault(REWRITTEN, f"{other} {head.origin} says that it ended otherwise, with {follows.size} entries.")
    say(other)


def _checkpoint(note: bytes, keys: Sequence[VerifierKey], what: str, *, of_any_log: bool = False) -> Checkpoint:
    """Raises Fault. A log that is begun anew has a new name: `of_any_log` lets the same keys speak for any name."""
    try:
        text = note.decode()
        origin = text.partition("\n")[0]
        known = any(key.name == origin for key in keys)
        renamed = [] if known else [VerifierKey(origin, key.public) for key in keys]
        found = open_checkpoint(text, [*keys, *renamed])
    except ValueError as error:
        why = error if isinstance(error, BadNote) else "this is not a signed note"
        raise Fault(SIGNATURE, f"{what} cannot be believed: {why}.") from None
    if known or of_any_log:
        return found
    lines = " ".join(f"--key {key.line}" for key in renamed)
    raise Fault(
        SIGNATURE,
        f"{what} is of the log {origin}, for which you gave no key, though one that you gave has signed it. If you "
        f"know why the log has a new name, check again with {lines}",
    )


def check_proof(proof: bytes, keys: Sequence[VerifierKey], leaf: bytes, details: dict[str, str]) -> None:
    """Check one event. Raises Fault."""
    try:
        index, hashes, note = parse_proof(proof.decode())
    except ValueError:
        raise Fault(UNREADABLE, "The file is not a proof.") from None
    head = _checkpoint(note.encode(), keys, "The checkpoint in the proof")
    entry = leaf.removesuffix(b"\n").removesuffix(b"\r")  # an editor's; an entry ends in a brace
    if not verify_inclusion(index, head.size, leaf_hash(entry), hashes, head.root):
        raise Fault(PROOF, f"The entry is not number {index} of the {head.size} in the log {head.origin}.")
    try:
        event, committed = commitment(entry)
    except ValueError as error:
        raise Fault(MISMATCH, f"Entry {index} {error}.") from None
    if details and details.get(event) != committed:
        raise Fault(DETAIL, f"The details are not those of entry {index}.")
    say(f"The entry is number {index} of the {head.size} in the log {head.origin}; your key signed it.")
    if details:
        say("The details match what was logged.")


@dataclass
class Lines:
    """The check of lines, one after the other. Raises Fault."""

    keys: Sequence[VerifierKey]
    heads: dict[bytes, Checkpoint] = field(default_factory=dict)
    """What each signed note says."""
    roots: dict[tuple[str, int], bytes] = field(default_factory=dict)
    last: dict[str, tuple[str, int]] = field(default_factory=dict)
    """For each log, time and number of the entry that was met last; a file goes back in time."""
    newest: str = "~"
    count: int = 0

    def head(self, note: bytes, what: str) -> Checkpoint:
        if note not in self.heads:
            found = self.heads[note] = _checkpoint(note, self.keys, what)
            if self.roots.setdefault((found.origin, found.size), found.root) != found.root:
                raise Fault(REWRITTEN, f"{what} has another root for {found.size} entries than one before it.")
        return self.heads[note]

    def begin(self, head: Head) -> None:
        if (size := self.head(head.note, "The checkpoint").size) != head.size:
            raise Fault(MISMATCH, f"The first line says another size than its checkpoint, which counts {size} entries.")

    def add(self, line: Line) -> None:
        name, head = f"Line {line.number}", self.head(line.note, f"The checkpoint of line {line.number}")
        if not verify_inclusion(line.place, head.size, leaf_hash(line.entry), line.proof, head.root):
            where = f"number {line.place} of the {head.size} in the log {head.origin}"
            raise Fault(PROOF, f"{name}: its entry, as it stands, is not {where}.")
        try:
            says = repeated(parse_entry(line.entry))
        except ValueError as error:
            raise Fault(MISMATCH, f"{name}: entry {line.place} {error}.") from None
        for column, shown in line.shown.items():
            said = says[column]
            if shown != said and not (said.startswith(FORMULA) and shown == f"'{said}"):
                raise Fault(MISMATCH, f"{name} shows another {column} than its entry says.")
        at = (says["time"], line.place)
        if at[0] > self.newest or at >= self.last.get(head.origin, ("~", 0)):
            raise Fault(MISMATCH, f"{name} stands twice, or not in its order.")
        self.newest = at[0]
        self.last[head.origin] = at
        self.count += 1


def check_lines(file: BinaryIO, keys: Sequence[VerifierKey], older_note: bytes | None) -> None:
    """Check a file that an officer was given. Raises Fault."""
    older = None if older_note is None else _checkpoint(older_note, keys, "Your older checkpoint", of_any_log=True)
    check, kept_back, progress = Lines(keys), 0, Progress(os.fstat(file.fileno()).st_size, sys.stderr)
    for found in lines_of(file):
        match found:
            case Head():
                check.begin(found)
            case Line():
                check.add(found)
            case None:
                kept_back += 1
        progress.at(file.tell())
    same = older and check.roots.get((older.origin, older.size))
    if older and same and same != older.root:
        raise Fault(REWRITTEN, f"Your older checkpoint has another root for the same {older.size} entries.")
    for head in check.heads.values():
        say(f"The log {head.origin} had {head.size} entries under the root {b64encode(head.root).decode()}.")
    say(f"Your key signed it. Lines checked: {check.count}. Each is in the log, and shows what it says there.")
    if kept_back:
        say(f"NOT CHECKED: {kept_back} lines are kept back. They have neither entry nor proof.")
    say("Names and sentences, where there are any, are the server's words: entries have none.")
    say("WHETHER THE SELECTION LEFT ANYTHING OUT CANNOT BE PROVED by a file of lines: only the whole log shows it.")
    if older and same:
        say("The lines were proved by the very checkpoint that you kept.")
    elif older:
        say("Whether the log continues your older checkpoint was not checked: the whole log shows it.")


def say(text: str) -> None:
    """A line on standard output, whatever its encoding. What would steer a terminal, or turn letters round, is written
    out: much of what is said comes from whoever is checked."""
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(shown.encode(encoding, "backslashreplace").decode(encoding) + "\n")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Fault(USAGE, f"{message[:1].upper()}{message[1:]}.")


def _key(line: str) -> VerifierKey:
    try:
        return VerifierKey.parse(line)
    except ValueError:
        raise argparse.ArgumentTypeError("this is not a verifier key, or it was mistyped") from None


OPTIONS = {
    "": ("SOURCE", "--older", "--token-file"),
    "proof": ("FILE", "--leaf", "--disclosed"),
    "lines": ("FILE", "--older"),
}
"""What is checked: what stands behind it on the command line."""


def _parser(what: str) -> _Parser:
    statuses = "\n".join(f"  {status}  {meaning}" for status, meaning in STATUS.items())
    raw = argparse.RawDescriptionHelpFormatter
    parser = _Parser(description=__doc__, epilog=f"Exit status:\n{statuses}", formatter_class=raw, allow_abbrev=False)
    source, *options = OPTIONS[what]
    parser.add_argument("source", metavar=source)
    parser.add_argument("--key", metavar="KEY", required=True, action="append", type=_key)
    for name in options:
        parser.add_argument(name, type=Path, required=name == "--leaf")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Check what the command line asks for. Returns an exit status; raises Fault and OSError."""
    what = arguments[0] if arguments and arguments[0] in OPTIONS else ""
    asked = _parser(what).parse_args(arguments[1:] if what else arguments)
    if what == "proof":
        details = _details(asked.disclosed) if asked.disclosed else {}
        check_proof(_contents(Path(asked.source)), asked.key, _contents(asked.leaf), details)
        return GOOD
    older = _contents(asked.older) if asked.older else None
    if what == "lines":
        with _opened_file(Path(asked.source)) as file:
            check_lines(file, asked.key, older)
        return GOOD
    if "://" in asked.source:
        token = _contents(asked.token_file).decode("latin-1").strip() if asked.token_file else ""
        return check_log(Server(asked.source, token), asked.key, older, {})
    given_out = Path(asked.source) / "disclosed.jsonl"
    return check_log(Folder(Path(asked.source)), asked.key, older, _details(given_out) if given_out.exists() else {})


def _opened_file(path: Path) -> BinaryIO:
    """An ordinary file to read: what else there may be could be endless, or never answer. Raises OSError, Fault."""
    file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise Fault(UNREADABLE, f"{path} is no ordinary file, so it was not read.")
    return os.fdopen(file, "rb")


def _contents(path: Path) -> bytes:
    with _opened_file(path) as file:
        return _limited(file, str(path), NOTE_LIMIT)


def _details(path: Path) -> dict[str, str]:
    with _opened_file(path) as file:
        return disclosed(file, str(path))


def main(arguments: Sequence[str]) -> int:
    """What the command line asks for, answered in words; returns the exit status."""
    try:
        status = run(arguments)
    except Fault as fault:
        status = fault.status
        say(f"{'NOT OK' if status > UNREADABLE else 'NOT CHECKED'}: {fault}")
    except OSError as error:
        status = UNREADABLE
        say(f"NOT CHECKED: {error.filename or 'a file'}: {error.strerror or error}.")
    except KeyboardInterrupt:
        return 130
    say(STATUS[status])
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
