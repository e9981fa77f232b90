"""Check an audit log of Samsnakk yourself, without trusting the server that keeps it.

  python verify.py SOURCE --key KEY [--older CHECKPOINT] [--token-file FILE]          the whole log
  python verify.py proof FILE --key KEY --leaf LEAF [--disclosed FILE]                one event

This one file is all: it needs Python 3.11 or newer and the package `cryptography`.

SOURCE  a folder with an export, or a server's address such as https://host/api/v1/audit/ (http on this machine only).
KEY     the log's verifier key: name+hash+base64. Get it from elsewhere than the server that you check, best on paper.
        Keys are changed now and then: give --key once for each.
--older       the checkpoint file that you kept from an earlier check. Only this shows that nothing has been rewritten
              or cut off since. After each check, keep the file `checkpoint` where the operator cannot reach it.
--token-file  a file with your access token, if you are appointed log verifier: entries are personal data. Without
              entries the tree alone is checked, and the answer says so.
--leaf        the event's entry, byte for byte; --disclosed: its details as they were given out to you.
Details in an export (disclosed.jsonl) are compared with what the log says of them.

Exit status, and what it means:
  0  All is as it should be.
  1  The command was not understood.
  2  Something could not be read: a file, the server or its answer. Nothing is known; get it again.
  3  The signature is not by your key. Do not believe what you were given; ask for the key by another way.
  4  An entry, a tile or the root does not fit. The answer names it. Keep what you have and report a breach.
  5  The log does not continue your older checkpoint: it was rewritten or rolled back. Keep both and report a breach.
  6  The proof fails: this entry, as it stands, is not in the log at that place.
  7  Details that were given out are not those that the log recorded.
  8  A new log was begun on purpose and says that it follows the one of your older checkpoint; all else is well. Ask
     who decided that and why, and check the old log's export too.
"""

import argparse
import hashlib
import http.client
import ipaddress
import json
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, Protocol, TextIO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HASH, WIDTH = 32, 256
"""Bytes of a hash; hashes of a full tile."""
EMPTY = hashlib.sha256().digest()
"""Root of the tree without leaves."""
ED25519 = b"\x01"
"""The type of signature in a key of a signed note."""
VERSIONS = (1,)
"""Forms of an entry that are known here (`v`)."""
NOTE_LIMIT, LINE_LIMIT, BUNDLE_LIMIT = 1 << 16, 1 << 20, WIDTH * ((1 << 16) + 2)


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
    parts = re.fullmatch(r"c2sp\.org/tlog-proof@v1\n(?:extra (\S+)\n)?index (0|[1-9][0-9]{0,17})((?:\n\S+)*)", head)
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
    return leaf




def _shape(keys: str, values: dict[str, bytes]) -> bytes:
    pairs = (b'"%b":%b' % (key.encode(), values.get(key, rb"(?:null|%b)" % _TEXT)) for key in keys.split())
    return rb"\{%b\}" % b",".join(pairs)


_TEXT = rb'"[ !#-\[\]-~]*+"'
_PLAIN = re.compile(
    _shape(
        "actor basis detail id object outcome purpose reason records request room sealed subject time type v",
        {
            "actor": _shape("controller engagement id role sign_in unit", {}),
            "detail": rb'(?:null|"([0-9a-f]+)")',
            "id": rb'"([0-9a-f-]+)"',
            "records": rb"\[(?:%b(?:,%b)*)?\]" % (_TEXT, _TEXT),
            "v": b"1",
        },
    )
)
"""What nearly all entries look like: canonical by its form, so that it need not be parsed. Groups: detail, id."""


def commitment(entry: bytes) -> tuple[str | None, str | None]:
    """The event's id, and the commitment to its details. Raises ValueError as `parse_entry` does."""
    if plain := _PLAIN.fullmatch(entry):
        return plain[2].decode(), plain[1] and plain[1].decode()
    leaf = parse_entry(entry)
    return leaf.get("id"), leaf.get("detail")


# Where a log is read from.


class Fault(Exception):
    """The answer is no: an exit status, and why in words."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


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
            with (self.path / name).open("rb") as file:
                return _limited(file, name, limit)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def has_entries(self, first: str) -> bool:
        return (self.path / "tile" / "entries").exists()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """An answer from another address is no answer, and the token is for nobody else."""


class Server:
    """A log that runs. The token is sent for entries only: all else is public."""

    def __init__(self, base: str, token: str) -> None:
        try:
            parts = urllib.parse.urlsplit(base)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            host = ""
        if not host or parts.username or parts.password or parts.query or parts.fragment or parts.scheme not in SCHEMES:
            raise Fault(1, "The address of a server looks like https://host/api/v1/audit/")
        if parts.scheme != "https" and not _is_local(host):
            raise Fault(1, "A server elsewhere is asked over https only.")
        if not re.fullmatch(r"[!-~]*", token):
            raise Fault(1, "The token file holds something else than a token.")
        self.base, self.token = base.rstrip("/") + "/", token
        proxies = [urllib.request.ProxyHandler({})] if _is_local(host) else []
        self.opener = urllib.request.build_opener(_NoRedirect, *proxies)

    def read(self, name: str, limit: int) -> bytes | None:
        secret = self.token and name.startswith("tile/entries/")
        headers = {"Authorization": f"Bearer {self.token}"} if secret else {}
        for pause in PAUSES_S:
            try:
                request = urllib.request.Request(self.base + name, headers=headers)  # noqa: S310 - checked above
                with self.opener.open(request, timeout=TIMEOUT_S) as answer:
                    data = _limited(answer, name, limit)
                    if answer.headers.get("Content-Length", str(len(data))) != str(len(data)):
                        raise Fault(2, f"The server broke off in the middle of {name}.")
                    return data
            except urllib.error.HTTPError as error:
                error.close()
                if error.code in (403, 404) or (error.code == 401 and not secret):
                    return None
                if error.code not in (429, 503) or not pause:
                    raise Fault(2, f"The server answered {error.code} to {name}.") from None
            except (OSError, ValueError, http.client.HTTPException) as error:
                raise Fault(2, f"The server could not be read: {error}.") from None
            time.sleep(pause)
        return None

    def has_entries(self, first: str) -> bool:
        return any(self.read(name, BUNDLE_LIMIT) is not None for name in {first, first.partition(".p/")[0]})


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _limited(file: BinaryIO, name: str, limit: int) -> bytes:
    data = file.read(limit + 1)
    if len(data) > limit:
        raise Fault(2, f"{name} is larger than any such file can be.")
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
    follows: str = ""
    """The old log's checkpoint that the first entry names."""
    wrong_details: list[str] = field(default_factory=list)
    edge: list[bytes] = field(default_factory=lambda: [b""])
    """For each level, the hashes that no full tile holds yet."""
    numbers: list[int] = field(default_factory=lambda: [0])
    """For each level, the number of the tile that they will be in."""

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
            progress.at(number * WIDTH)
        for level in range(1, len(self.edge)):
            if self.edge[level]:
                self.compare(level)
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

    def add(self, level: int, hash: bytes) -> None:
        if level == len(self.edge):
            self.edge.append(b"")
            self.numbers.append(0)
        self.edge[level] += hash
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
                4,
                f"{self.name(level, number)} and {self.name(level - 1, below)} do not fit together (hash {place} of the "
                f"former). One of them was altered; the entries concerned are {first} to {first + WIDTH**level - 1}.",
            )

    def compare_entries(self, number: int, hashes: bytes) -> None:
        name, width = self.name("entries", number), len(hashes) // HASH
        try:
            entries = split_bundle(self.fetch("entries", number, BUNDLE_LIMIT))
        except ValueError as error:
            raise Fault(4, f"{name} is damaged: {error}.") from None
        if len(entries) not in (width, WIDTH):
            raise Fault(4, f"{name} holds {len(entries)} entries; there should be {width}.")
        entries = entries[:width]
        found = b"".join([hashlib.sha256(b"\x00" + entry).digest() for entry in entries])
        if found != hashes:
            wrong = [str(number * WIDTH + place) for place in _differing(found, hashes)]
            listed = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
            plural = "Entries" if len(wrong) > 1 else "Entry"
            raise Fault(4, f"{plural} {listed} ({name}): not what was sealed; {self.name(0, number)} says otherwise.")
        for place, entry in enumerate(entries):
            try:
                event, committed = commitment(entry)
            except ValueError as error:
                raise Fault(4, f"Entry {number * WIDTH + place} ({name}) {error}.") from None
            if self.details and event in self.details and self.details.pop(event) != committed:
                self.wrong_details.append(f"{number * WIDTH + place} (event {_shown(event)})")
        if number == 0:
            self.follows = str(parse_entry(entries[0]).get("follows") or "")

    def tile(self, level: int, number: int) -> bytes:
        width = self.width(level, number)
        hashes = self.fetch(level, number, WIDTH * HASH)
        if len(hashes) not in (width * HASH, WIDTH * HASH):
            raise Fault(4, f"{self.name(level, number)} has {len(hashes)} bytes; there should be {width * HASH}.")
        return hashes[: width * HASH]

    def fetch(self, level: int | str, number: int, limit: int) -> bytes:
        """A partial tile, or the full one that may have taken its place."""
        name = self.name(level, number)
        for one in dict.fromkeys((name, name.partition(".p/")[0])):
            if (data := self.source.read(one, limit)) is not None:
                return data
        raise Fault(2, f"{name} is missing. What you were given is not whole; get it again.")

    def width(self, level: int | str, number: int) -> int:
        return min(WIDTH, self.size // WIDTH ** (0 if level == "entries" else int(level)) - number * WIDTH)

    def name(self, level: int | str, number: int) -> str:
        return "tile/" + tile_path(level, number, self.width(level, number))


def _differing(one: bytes, other: bytes) -> list[int]:
    return [at // HASH for at in range(0, len(other), HASH) if one[at : at + HASH] != other[at : at + HASH]]


class Progress:
    """How far it is, on standard error: in place on a terminal, else a line for each tenth."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self.total, self.stream, self.step = max(total, 1), stream, 1 if stream.isatty() else 10
        self.said = -1

    def at(self, done: int) -> None:
        percent = done * 100 // self.total // self.step * self.step
        if percent > self.said:
            self.said = percent
            self.stream.write(f"\r{percent:3} % checked" if self.step == 1 else f"{percent} % checked\n")
            self.stream.flush()

    def end(self) -> None:
        self.at(self.total)
        if self.step == 1:
            self.stream.write("\n")


# What is asked on the command line, and the answers.


def check_log(source: Source, keys: Sequence[VerifierKey], older_note: str | None, say: "Say") -> int:
    """Check everything that `source` gives. Returns 0 or 8; raises Fault."""
    head = _checkpoint(_text(source.read("checkpoint", NOTE_LIMIT), "checkpoint"), keys)
    older = None if older_note is None else _checkpoint(older_note, _renamed(keys, older_note), "older checkpoint")
    same = older is not None and older.origin == head.origin
    if older and same and older.size > head.size:
        raise Fault(
            5, f"The log is shorter than it was: {head.size} entries now, {older.size} in your older checkpoint."
        )
    details = disclosed(source.path / "disclosed.jsonl") if isinstance(source, Folder) else {}
    told = len(details)
    walk = Walk(source, head.size, details)
    progress = Progress(head.size, sys.stderr)
    root, *at_older = walk.go([head.size, *([older.size] if older and same else [])], progress)
    progress.end()
    fits = older and at_older == [older.root]
    if root != head.root:
        since = f" Entries 0 to {older.size - 1} are as in your older checkpoint." if older and fits else ""
        raise Fault(4, f"The tiles fit each other, but not the signed root: something was altered throughout.{since}")
    if older and same and not fits:
        raise Fault(
            5,
            f"The first {older.size} entries are no longer those of your older checkpoint. What was logged before it "
            "was rewritten, and signed anew.",
        )
    say(f"The log {head.origin} is whole: {head.size} entries, signed by the key that you gave.")
    ...
