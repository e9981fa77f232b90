"""What the product is made of: `python -m tools.supply audit` and `python -m tools.supply sbom [FILE]`.

`audit` asks the advisories' service, through pip-audit, about every version in requirements/ (what runs, what tests,
what installs). Exit status: 0 nothing known, 1 something known, 2 not all could be asked about. `sbom` writes what runs
as CycloneDX, validated, the same bytes for the same lock file; it asks nobody.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("run.txt", "dev.txt", "tools.txt")
SBOM = ROOT / "var" / "sbom.cdx.json"
NOBODY_ASKED = (
    "audit-deps: the advisories' service cannot be reached from here, so nothing is known about {lock}. Run this where "
    "the package index is reachable, or set the usual proxy variables."
)


def say(text: str) -> None:
    print(text, flush=True)


def audit(locks: Sequence[Path]) -> int:
    known = unknown = 0
    for lock in locks:
        command = [sys.executable, "-m", "pip_audit", "-r", str(lock), "--disable-pip", "--require-hashes"]
        command += ["--format", "json", "--progress-spinner", "off", "--desc", "off"]
        ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        try:
            found = json.loads(ended.stdout)["dependencies"]
        except (ValueError, KeyError, TypeError):
            say(NOBODY_ASKED.format(lock=lock.name))
            last = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
            say(f"audit-deps: pip-audit said: {last.split(':')[0]}")
            return 2
        skipped = [one["name"] for one in found if "skip_reason" in one]
        if len(skipped) == len(found):
            say(NOBODY_ASKED.format(lock=lock.name))
            return 2
        known += tell(lock.name, found)
        unknown += len(skipped)
    return 1 if known else 2 if unknown else 0


def tell(lock: str, found: Sequence[dict[str, Any]]) -> int:
    """Print what is known, one line each; how many are known."""
    lines = []
    for one in found:
        if "skip_reason" in one:
            say(f"{lock}: {one['name']}: nothing could be learnt of it")
        for advisory in one.get("vulns", ()):
            mended = ", ".join(advisory.get("fix_versions", ())) or "nowhere yet"
            lines.append(f"{one['name']} {one['version']}: {advisory['id']}, mended in {mended}")
    for line in lines:
        say(f"{lock}: {line}")
    say(f"{lock}: {len(found)} packages, {len(lines)} to look at")
    return len(lines)


def sbom(target: Path) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", "--pyproject", "pyproject.toml"]
    command += ["--output-reproducible", "--validate", "--output-format", "JSON", "--output-file", str(target)]
    ended = subprocess.run([*command, "requirements/run.txt"], cwd=ROOT)
    if ended.returncode == 0:
        say(f"sbom: {len(json.loads(target.read_text())['components'])} components in {target}")
    return ended.returncode


def main(arguments: Sequence[str]) -> int:
    match arguments:
        case ["audit", *named]:
            return audit([Path(one) for one in named] or [ROOT / "requirements" / name for name in LOCKS])
        case ["sbom"]:
            return sbom(SBOM)
        case ["sbom", target]:
            return sbom(Path(target).resolve())
    print("usage: python -m tools.supply audit [LOCK ...] | sbom [FILE]", file=sys.stderr)
    return 64


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
