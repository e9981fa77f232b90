"""What is asked about dependencies, and what is said when nobody answers; what the product is made of."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.served import ROOT, once
from tools import supply

LOCK = "rfc8785==0.1.4 --hash=sha256:" + "0" * 64 + "\n"


@once
def test_nobody_can_be_asked(tmp_path: Path) -> None:
    """One plain line, another status than for something known, and no address of anybody's."""
    lock = tmp_path / "lock.txt"
    lock.write_text(LOCK)
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:1")
    ended = subprocess.run(
        [sys.executable, "-m", "tools.supply", "audit", str(lock)],
        env={**os.environ, **nowhere, "NO_PROXY": "", "no_proxy": ""},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2
    assert "cannot be reached" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not re.findall(r"https?://|\w+\.(?:org|dev|com)\b", ended.stdout)


@once
def test_what_is_known_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        {"name": "good", "version": "1", "vulns": []},
        {"name": "bad", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}, {"id": "PYSEC-2"}]},
        {"name": "odd", "skip_reason": "not there"},
    ]
    assert supply.tell("run.txt", found) == 2
    said = capsys.readouterr().out
    assert "bad 2: PYSEC-1, mended in 2.1" in said
    assert "bad 2: PYSEC-2, mended in nowhere yet" in said
    assert "odd: nothing could be learnt of it" in said
    assert "good" not in said


@pytest.mark.prove
def test_the_bill_of_materials(tmp_path: Path) -> None:
    """Valid (the tool checks it against the standard's schema), whole, and the same twice."""
    first, again = tmp_path / "first.json", tmp_path / "again.json"
    for target in (first, again):
        ended = subprocess.run([sys.executable, "-m", "tools.supply", "sbom", str(target)], cwd=ROOT)
        assert ended.returncode == 0
    assert first.read_bytes() == again.read_bytes()
    said = json.loads(first.read_text())
    assert said["bomFormat"] == "CycloneDX"
    assert said["metadata"]["component"]["name"] == "samsnakk"
    lock = (ROOT / "requirements" / "run.txt").read_text()
    locked = set(re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([^ ;\\]+)", lock, re.MULTILINE))
    assert {(one["name"], one["version"]) for one in said["components"]} == locked
    for one in said["components"]:
        assert one["purl"].startswith("pkg:pypi/")
