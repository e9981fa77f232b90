"""The master keys of the installation: read from the environment or a file, never stored, never shown.

A file is looked at again whenever it has changed, so that a new version reaches running processes without a restart.
"""

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from django.conf import settings

from server.vault.errors import MasterKeyFault, Unreadable

KEY_BYTES = 32
DEMO_MARK = "#demo"
_PUBLISHED = frozenset({"8a7b98381407895d7e533104db67dd43223e8ca42b615491511121f695303c3b"})
"""SHA-256 of keys that stand in this repository (tests/vectors/vault-format-1.json) and are secret no more."""
_NONE_GIVEN = "no master key: set MASTER_KEY_FILE or MASTER_KEYS (`manage.py vault keygen` makes one)"


@dataclass(frozen=True, slots=True)
class MasterKey:
    version: int
    material: bytes = field(repr=False)
    demo: bool = False

    def wrap(self, data_key: bytes) -> bytes:
        """40 bytes (RFC 3394)."""
        return aes_key_wrap(self.material, data_key)

    def unwrap(self, wrapped: bytes | memoryview) -> bytes | None:
        """The 32-byte data key, or None when it was not wrapped under this key or has been changed."""
        try:
            opened = aes_key_unwrap(self.material, bytes(wrapped))
        except InvalidUnwrap:
            return None
        return opened if len(opened) == KEY_BYTES else None


@dataclass(frozen=True, slots=True)
class Ring:
    """Every master key that was given, by version, and every fault in what was given."""

    keys: Mapping[int, MasterKey] = field(repr=False)
    faults: tuple[str, ...] = ()

    def highest(self) -> MasterKey:
        return self.keys[max(self.keys)]

    def version(self, version: int) -> MasterKey:
        """Raises MasterKeyFault when this process was not given the version."""
        found = self.keys.get(version)
        if found is None:
            given = ", ".join(map(str, sorted(self.keys)))
            raise MasterKeyFault(f"master key version {version} is needed but not given (given: {given})")
        return found

    def unwrap(self, version: int, wrapped: bytes | memoryview) -> bytes:
        """Raises MasterKeyFault (version not given) or Unreadable("key_damaged")."""
        opened = self.version(version).unwrap(wrapped)
        if opened is None:
            raise Unreadable("key_damaged")
        return opened


def new_line(version: int) -> str:
    """A fresh master key as `version:base64`, from the operating system's generator."""
    return f"{version}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"


def parse(entries: Iterable[tuple[str, str, bool]]) -> Ring:
    """Entries are (where it stands, `version:base64`, demo). Faults name the place or the version, never the value."""
    keys: dict[int, MasterKey] = {}
    faults: list[str] = []
    for where, entry, demo in entries:
        number, colon, encoded = entry.partition(":")
        if not colon or not number.strip().isdecimal() or not 0 < int(number) < 2**31:
            faults.append(f"{where}: expected version:base64, with a version from 1 up")
            continue
        version = int(number)
        try:
            material = base64.b64decode(encoded.strip(), validate=True)
        except binascii.Error:
            faults.append(f"{where}: master key version {version} is not base64")
            continue
        if len(material) != KEY_BYTES:
            faults.append(f"master key version {version} is {len(material)} bytes long, not {KEY_BYTES}")
        elif version in keys:
            faults.append(f"master key version {version} is given more than once")
        else:
            keys[version] = MasterKey(version, material, demo)
    return Ring(keys, tuple(faults))


def weaknesses(ring: Ring) -> list[str]:
    """One line per key that cannot have come from a good generator, and per key given under two versions.

    A random key is called weak with a probability below 2^-45.
    """
    lines = []
    seen: dict[bytes, int] = {}
    for version, key in sorted(ring.keys.items()):
        material = key.material
        steps = {(b - a) % 256 for a, b in pairwise(material)}
        printable = all(32 <= byte < 127 for byte in material)
        half = KEY_BYTES // 2
        if len(set(material)) < half or len(steps) == 1 or printable or material[:half] == material[half:]:
            lines.append(f"master key version {version} is weak: not random bytes")
        if hashlib.sha256(material).hexdigest() in _PUBLISHED:
            lines.append(f"master key version {version} is weak: a published test key")
        if material in seen:
            lines.append(f"master key versions {seen[material]} and {version} are the same key")
        seen.setdefault(material, version)
    return lines


class _Source(NamedTuple):
    """Where the keys come from; equal when nothing has changed since they were read. Holds secrets: never shown."""

    given: str
    path: Path | None
    stamp: tuple[int, int, int] | None

    def __repr__(self) -> str:
        return "<master key source>"


class _Reader:
    """The last ring that was read, and from what. One assignment replaces both, so no lock is needed."""

    def __init__(self) -> None:
        self._last: tuple[_Source, Ring] | None = None

    def read(self) -> Ring:
        env = settings.ENV
        path = env.master_key_file
        if path is None and not env.master_keys and env.mode == "demo":
            path = demo_file()
            if not path.exists():
                _make_demo_file(path)
        source = _Source(env.master_keys, path, _stamp(path))
        last = self._last
        if last is not None and last[0] == source:
            return last[1]
        ring = _read(source)
        self._last = (source, ring)
        return ring


_reader = _Reader()


def inspect() -> Ring:
    """What was given, faults and all. Raises nothing about its contents."""
    return _reader.read()


def ring() -> Ring:
    """The usable ring; raises MasterKeyFault with the faults in one line."""
    found = _reader.read()
    if found.faults:
        raise MasterKeyFault("; ".join(found.faults))
    return found


def demo_file() -> Path:
    return settings.ENV.var_dir / "master.key"


def demo_materials() -> set[bytes]:
    """The demo keys made on this machine, so that one given again without its mark is still known."""
    with suppress(OSError):
        entries, _ = _lines(demo_file())
        return {key.material for key in parse(entries).keys.values() if key.demo}
    return set()


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _read(source: _Source) -> Ring:
    entries = [
        (f"MASTER_KEYS, entry {place}", entry, False)
        for place, entry in enumerate(source.given.split(","), start=1)
        if entry.strip()
    ]
    faults = []
    if source.path is not None:
        try:
            from_file, fault = _lines(source.path)
            entries += from_file
        except OSError as error:
            fault = f"master key file {source.path} cannot be read: {error.strerror}"
        if fault:
            faults.append(fault)
    parsed = parse(entries)
    faults += parsed.faults
    if not parsed.keys and not faults:
        faults.append(_NONE_GIVEN)
    return Ring(parsed.keys, tuple(faults))


def _lines(path: Path) -> tuple[list[tuple[str, str, bool]], str]:
    """The entries of a key file, and a fault or nothing. Raises OSError."""
    try:
        lines = path.read_bytes().decode("ascii").splitlines()
    except UnicodeDecodeError:
        return [], f"master key file {path} is not text"
    demo = bool(lines) and lines[0].strip() == DEMO_MARK
    return [
        (f"master key file, line {number}", line, demo)
        for number, line in enumerate(lines, start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ], ""


def _make_demo_file(path: Path) -> None:
    """Make a demo key, readable by its owner alone; when several processes try at once, one key wins for all.

    Written aside and linked into place: if we die in between, there is no half-written key file.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(f"{DEMO_MARK}\n{new_line(1)}\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(aside, path)
    except OSError as error:
        raise MasterKeyFault(f"cannot make the demo master key {path}: {error.strerror}") from None
    finally:
        with suppress(OSError):
            aside.unlink()
