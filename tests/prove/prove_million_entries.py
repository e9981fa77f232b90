"""A million entries are checked in far less than 15 s, with a few tiles in memory (L4)."""

import resource
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from server.audit import verify
from server.audit.tiles import bundle
from tests.audit import naive
from tests.audit.exported import KEY, SIGNER
from tests.audit.naive import Log
from tests.support.served import sqlite_only

pytestmark = [pytest.mark.prove, sqlite_only]

SIZE = 1_000_000
MEBI = 1 << 20
CPU_S, MEMORY = 15.0, 100 * MEBI


def test_a_million_entries(tmp_path: Path) -> None:
    log, hashes = Log(tmp_path / "export", [], SIGNER, []), []
    for start in range(0, SIZE, 256):
        entries = [naive.entry(number) for number in range(start, min(start + 256, SIZE))]
        log.put("entries", start // 256, bundle(entries), len(entries))
        hashes += [naive.leaf(one) for one in entries]
    log = Log.write(log.folder, [], SIGNER, hashes)
    (tmp_path / "older").write_text(log.note(SIZE * 2 // 3))
    script = shutil.copy(verify.__file__, tmp_path)
    command = [sys.executable, "-I", script, str(log.folder), "--key", KEY, "--older", str(tmp_path / "older")]
    before, memory = cpu(), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        while running.poll() is None:
            with suppress(psutil.NoSuchProcess):
                memory = max(memory, psutil.Process(running.pid).memory_info().rss)
            time.sleep(0.05)
        answer = running.communicate()[0]
    used = cpu() - before
    print(f"{SIZE} entries: {used:.1f} s of processor time, {memory / MEBI:.0f} MiB")
    assert running.returncode == 0, answer
    assert "Every entry is what was sealed" in answer
    assert used < CPU_S
    assert 0 < memory < MEMORY


def cpu() -> float:
    """Seconds that ended children have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
