"""A log as an export lays it out, and the command that checks it."""

import json
import shutil
from pathlib import Path

import pytest

from server.audit import verify
from server.audit.tiles import proof_file
from tests.audit import naive
from tests.audit.exported import COMMITTED, KEY, OLDER, SIGNER, SIZE, WITH_DETAIL, Check, disclosure
from tests.audit.naive import Log


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Not to be altered."""
    entries = [naive.entry(number, detail=COMMITTED if number in WITH_DETAIL else None) for number in range(SIZE)]
    log = Log.write(tmp_path_factory.mktemp("log") / "export", entries, SIGNER)
    (log.folder / "older").write_text(log.note(OLDER))
    return log


@pytest.fixture
def log(whole: Log, tmp_path: Path) -> Log:
    """A copy to alter."""
    shutil.copytree(whole.folder, tmp_path / "export")
    return Log(tmp_path / "export", list(whole.entries), SIGNER, list(whole.hashes))


@pytest.fixture
def proof(whole: Log, tmp_path: Path) -> Path:
    """A folder with all that somebody gets about one event."""
    text = proof_file(300, naive.inclusion(300, whole.hashes), whole.note(), b"extra")
    (tmp_path / "event.tlog-proof").write_text(text)
    (tmp_path / "leaf").write_bytes(whole.entries[300])
    (tmp_path / "details").write_text("".join(f"{json.dumps(disclosure(number))}\n" for number in WITH_DETAIL))
    return tmp_path


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Check:
    """Runs the command in this process."""

    def run(*arguments: object, keys: tuple[str, ...] = (KEY,)) -> tuple[int, str]:
        given = [word for key in keys for word in ("--key", key)]
        status = verify.main([*map(str, arguments), *given])
        return status, capsys.readouterr().out

    return run
