"""The snippets of README and of the API guide do what they say, against a real server."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.served import ROOT, environment, once, serve

SNIPPET = re.compile(r"^<!-- tested -->\n```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)

CURL = f"""#!{sys.executable}
import sys, httpx
url, method, data, headers, words = "", None, None, {{}}, iter(sys.argv[1:])
for word in words:
    if word == "-d": data = next(words)
    elif word == "-X": method = next(words)
    elif word == "-H": headers.update([next(words).split(": ", 1)])
    elif not word.startswith("-"): url = word
method = method or ("POST" if data is not None else "GET")
print(httpx.request(method, url, content=data, headers=headers, timeout=30).text)
"""
"""Stands in where there is no curl: a fresh machine has git, make and Python."""

pytestmark = once


def snippets(name: str) -> list[str]:
    found = SNIPPET.findall((ROOT / name).read_text())
    assert found, f"{name} has no tested snippet"
    return found


@pytest.fixture
def path(tmp_path: Path) -> str:
    if shutil.which("curl"):
        return os.environ["PATH"]
    stand_in = tmp_path / "bin" / "curl"
    stand_in.parent.mkdir()
    stand_in.write_text(CURL)
    stand_in.chmod(0o755)
    return f"{stand_in.parent}:{os.environ['PATH']}"


def run(names: list[str], folder: Path, path: str) -> str:
    """All snippets of these files in one shell, as a reader would paste them; what they printed."""
    script = "set -eu\n" + "\n".join(one for name in names for one in snippets(name))
    with serve(folder, environment(folder, MODE="demo")) as server:
        ended = subprocess.run(
            ["sh", "-c", script],
            cwd=ROOT,
            env={"PATH": path, "PORT": str(server.port), "HOME": str(folder), "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.stdout


def test_readme_and_the_api_guide_which_goes_on_from_it(tmp_path: Path, path: str) -> None:
    said = run(["README.md", "docs/api.md"], tmp_path, path)
    assert "Får disse snakke sammen med deg i Samsnakk?" in said
    for line in ("active", "Frida's phone: welcome", "Frida's phone: Hei alle!", "withdrawn", "not_found"):
        assert line in said, said
    assert "events.viewed refused Kari Lunde" in said, said
    assert "txn_id_reused" in said
    assert "delivered" in said
