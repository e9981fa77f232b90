"""`make test` and `make lint`: every check as a process of its own, a few at a time, reported in a fixed order.

The tests are the longest: each engine's in three parts, of which one mostly waits, for servers, sockets and clocks, and
leaves the processors to the others; so five checks run at a time on two processors. Each output goes to
`.checks/<name>.log` and is shown when its turn comes; the last line says what passed, and any failure is exit status 1.
"""

import concurrent.futures
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / ".checks"
BIN = Path(sys.executable).parent
PYTHON = sys.executable
LIMIT_S = 20 * 60
"""A check that takes longer hangs, and is ended."""
PRIVATE = (
    "SECRET_KEY",
    "MASTER_KEYS",
    "MASTER_KEY_FILE",
    "DEBUG",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "HOST",
    "PORT",
    "VAR_DIR",
)
SERVERS = ("DATABASE_URL", "REDIS_URL", "REDIS_PREFIX", "POSTGRES_LOG")
WAITING = (
    "tests/faults",
    "tests/gateway",
    "tests/journeys",
    "tests/logs",
    "tests/operate",
    "tests/operations",
    "tests/test_deploy.py",
    "tests/test_readme.py",
    "tests/test_settings.py",
    "tests/tools",
)
"""Tests that mostly wait."""
DOORS = (
    "tests/admin",
    "tests/credentials",
    "tests/doors",
    "tests/http",
    "tests/sessions",
    "tests/sign_in",
)
"""Tests of who gets in; nearly all ask no engine, and run once."""
PARTS = {"waiting tests": WAITING, "tests of doors": DOORS}
"""Whatever is not named here runs in a part of its own."""
SUMMARY = re.compile(r"^=* ?((?:\d+ \w+(?:, )?)+ in [\d.]+s.*?) ?=*$")


@dataclass(frozen=True)
class Check:
    name: str
    command: list[str]
    needs_servers: bool = False

    @property
    def log(self) -> Path:
        return OUTPUT / f"{self.name.replace(' ', '-')}.log"


@dataclass
class Outcome:
    status: int
    seconds: float
    lines: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """pytest's own last word, where there is one."""
        return next((found.group(1) for line in reversed(self.lines) if (found := SUMMARY.match(line))), "")


def pytest(cache: str, *arguments: str) -> list[str]:
    profile = os.environ.get("HYPOTHESIS_PROFILE", "ci")  # derandomised: the same examples each time
    folder = f"cache_dir={ROOT / '.pytest_cache' / cache}"
    return [PYTHON, "-m", "pytest", f"--hypothesis-profile={profile}", "-o", folder, "--durations=5", *arguments]


def tests(*arguments: str) -> list[Check]:
    """Both engines' tests, the longest first; in one piece each when `arguments` say which."""
    services = [PYTHON, "-m", "tools.services", "run", "--"]
    parts = {"tests": arguments} if arguments else {"tests": unnamed(), **PARTS}
    embedded, real = [], []
    for part, chosen in parts.items():
        on_servers = pytest(f"{part} postgresql".replace(" ", "-"), *chosen)
        embedded.append(Check(f"{part} on SQLite", pytest(f"{part} sqlite".replace(" ", "-"), *chosen)))
        real.append(Check(f"{part} on PostgreSQL and Redis", [*services, *on_servers], needs_servers=True))
    return [*embedded, *real]


def unnamed() -> tuple[str, ...]:
    """All tests but those in `PARTS`."""
    return tuple(f"--ignore={path}" for part in PARTS.values() for path in part)


def lint() -> list[Check]:
    return [
        Check("format", [str(BIN / "ruff"), "format", "--check", "."]),
        Check("lint", [str(BIN / "ruff"), "check", "."]),
        Check("types", [PYTHON, "-m", "mypy", "server", "tools"]),
        Check("imports", [str(BIN / "lint-imports")]),
        Check("dependencies", [str(BIN / "deptry"), "."]),
        Check("migrations", [PYTHON, "manage.py", "makemigrations", "--check", "--dry-run"]),
    ]


class Runner:
    """Runs checks as process groups, and can end them all."""

    def __init__(self) -> None:
        self.running: set[subprocess.Popen[bytes]] = set()
        self.ended = threading.Event()

    def run(self, check: Check) -> Outcome:
        start = time.monotonic()
        if self.ended.is_set():
            return Outcome(1, 0.0, ["not started"])
        with tempfile.TemporaryDirectory(prefix="samsnakk-check-") as folder, check.log.open("wb") as log:
            process = subprocess.Popen(
                check.command,
                cwd=ROOT,
                env=self.environment(check, folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.running.add(process)
            try:
                status = process.wait(LIMIT_S)
            except subprocess.TimeoutExpired:
                log.write(f"ended after {LIMIT_S} s\n".encode())
                self.end(process)
                status = 1
            self.running.discard(process)
        return Outcome(status, time.monotonic() - start, check.log.read_text(errors="replace").splitlines())

    @staticmethod
    def environment(check: Check, folder: str) -> dict[str, str]:
        """The caller's, without what would make the product behave otherwise; data in a folder of the check's own."""
        drop = PRIVATE if check.needs_servers else PRIVATE + SERVERS
        kept = {key: value for key, value in os.environ.items() if key not in drop}
        ours = {"MODE": "demo", "VAR_DIR": folder, "HYPOTHESIS_PROFILE": kept.get("HYPOTHESIS_PROFILE", "ci")}
        return kept | ours | {"PYTHONDONTWRITEBYTECODE": ""}  # else each process compiles everything anew

    def end_all(self) -> None:
        self.ended.set()
        for process in list(self.running):
            self.end(process)

    @staticmethod
    def end(process: subprocess.Popen[bytes]) -> None:
        """SIGTERM, time to tear down (private servers are ended by their starter), then SIGKILL."""
        for number, patience_s in ((signal.SIGTERM, 30), (signal.SIGKILL, 5)):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, number)
                process.wait(patience_s)
                return


def workers() -> int:
    return max(5, min(6, os.cpu_count() or 2))


def report(check: Check, outcome: Outcome) -> None:
    verdict = "ok" if outcome.status == 0 else f"FAILED ({outcome.status})"
    print(f"--- {check.name}: {verdict}, {outcome.seconds:.1f} s", flush=True)
    if outcome.status or outcome.summary:
        print("\n".join(outcome.lines), flush=True)


def conclude(outcomes: dict[str, Outcome], seconds: float) -> int:
    """Print the summary; its last line says what passed."""
    failed = [name for name, outcome in outcomes.items() if outcome.status]
    passed = [name for name, outcome in outcomes.items() if not outcome.status]
    print("---")
    for name, outcome in outcomes.items():
        if outcome.summary:
            print(f"{name}: {outcome.summary}")
    verdict = f"FAILED: {', '.join(failed)}; passed: {', '.join(passed) or 'nothing'}" if failed else ", ".join(passed)
    print(f"{'' if failed else 'all passed: '}{verdict} ({seconds:.0f} s)", flush=True)
    return 1 if failed else 0


def perform(checks: list[Check]) -> int:
    """Run them all; exit status. The order of `checks` is the order of starting and of the report."""
    start = time.monotonic()
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir()
    runner = Runner()

    def leave(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    outcomes: dict[str, Outcome] = {}
    with concurrent.futures.ThreadPoolExecutor(workers()) as pool:
        try:
            pending = [(check, pool.submit(runner.run, check)) for check in checks]
            for check, future in pending:
                outcomes[check.name] = future.result()
                report(check, outcomes[check.name])
        finally:
            runner.end_all()
    return conclude(outcomes, time.monotonic() - start)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["lint"]:
            return perform(lint())
        case _:
            quick, slow = lint()[:2], lint()[2:]
            return perform([*quick, *tests(*arguments), *slow])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
