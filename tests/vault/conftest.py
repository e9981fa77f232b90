"""What every vault test starts from: empty caches, a ring of its own, and a custodian that the test commands."""

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest
from pytest_django import Settings

from server.vault import actions
from server.vault.ports import CUSTODY

SetRing = Callable[..., None]


def key_line(version: int) -> str:
    """A master key line for tests: each version its own key, the same in every test."""
    material = hashlib.sha256(f"test master key {version}".encode()).digest()
    return f"{version}:{base64.b64encode(material).decode()}"


@dataclass
class FakeCustody:
    """Allows everything unless told otherwise, and remembers what it recorded."""

    refusal: str | None = None
    failure: Exception | None = None
    meanwhile: Callable[[], None] | None = None
    """Run while the key's row is locked and already wiped, before the commit."""
    recorded: list[tuple[str, UUID, UUID, str, object]] = field(default_factory=list)

    def may_destroy(self, scope: str, owner: UUID) -> str | None:
        return self.refusal

    def record_destruction(self, scope: str, owner: UUID, key: UUID, reason: str, actor: object) -> None:
        if self.failure is not None:
            raise self.failure
        if self.meanwhile is not None:
            self.meanwhile()
        self.recorded.append((scope, owner, key, reason, actor))


class Clock:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture(autouse=True)
def _empty_caches() -> Iterator[None]:
    actions.forget_keys()
    yield
    actions.forget_keys()


@pytest.fixture
def set_ring(settings: Settings, tmp_path: Path) -> SetRing:
    """Give this process the master keys of these versions (or raw lines), in production mode unless told otherwise."""

    def give(*versions: int | str, mode: str = "production", file: Path | None = None) -> None:
        lines = [key_line(v) if isinstance(v, int) else v for v in versions]
        settings.ENV = settings.ENV.model_copy(
            update={
                "mode": mode,
                "master_keys": ",".join(lines),
                "master_key_file": file,
                "var_dir": tmp_path / "var",
            }
        )

    return give


@pytest.fixture(autouse=True)
def _ring_of_one(set_ring: SetRing) -> None:
    set_ring(1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(actions._keys, "clock", made)
    return made


@pytest.fixture
def custody(monkeypatch: pytest.MonkeyPatch) -> FakeCustody:
    made = FakeCustody()
    monkeypatch.setattr(CUSTODY, "_bound", made)
    return made
