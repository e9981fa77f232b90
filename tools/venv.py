"""Makes `.venv` hold exactly what a lock file says: `venv.py run|dev`; `venv.py lock [--upgrade]` writes the locks.

Runs before anything is installed, so the standard library only. uv (pinned by hash, in `.tools`) does the work in
seconds; where it cannot, plain pip does the same from the same file. `.venv/.locked` remembers what was installed:
while it equals the lock, nothing is done. Any fault is one line on stderr and exit status 1.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV, TOOLS, LOCKS = ROOT / ".venv", ROOT / ".tools", ROOT / "requirements"
STAMP = ".locked"
LEVELS = {"run": ("run", "dev"), "dev": ("dev",)}
"""What is asked for -> which lock files hold at least that (`dev` includes `run`)."""
COMPILE = (
    "pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links"
)


class Fault(Exception):
    """Something the reader must put right; its text is one line."""


def fingerprint(name: str, venv: Path) -> str:
    """What the stamp says when `venv` holds the lock `name`: its SHA-256, and the place, since scripts name it."""
    return f"{name} {hashlib.sha256((LOCKS / f'{name}.txt').read_bytes()).hexdigest()} {venv}"


def is_current(level: str) -> bool:
    """Whether `.venv` holds at least `level` of today's locks, and its Python still starts."""
    stamp = VENV / STAMP
    known = stamp.read_text() if stamp.exists() else ""
    return known in [fingerprint(name, VENV) for name in LEVELS[level]] and starts(VENV / "bin" / "python")


def starts(python: Path) -> bool:
    return python.exists() and subprocess.run([python, "-I", "-S", "-c", ""], capture_output=True).returncode == 0


def make_venv(venv: Path, *extra: str) -> None:
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", *extra, venv], capture_output=True, text=True)
    if made.returncode:
        last = (made.stderr or made.stdout).strip().splitlines() or ["no reason given"]
        raise Fault(f"{sys.executable} could not make {venv}: {last[-1]}")


def uv_environment() -> dict[str, str]:
    """uv must neither fetch a Python of its own nor trust other certificates than the machine does."""
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_SYSTEM_CERTS": "1"}
    if index := os.environ.get("PIP_INDEX_URL"):
        environment.setdefault("UV_DEFAULT_INDEX", index)
    return environment


def bootstrap_uv() -> Path | None:
    """The pinned uv in `.tools`, installed when missing; None where it cannot be had (no build of it, no network)."""
    uv, stamp = TOOLS / "bin" / "uv", TOOLS / STAMP
    wanted = fingerprint("tools", TOOLS)
    if uv.exists() and stamp.exists() and stamp.read_text() == wanted:
        return uv
    make_venv(TOOLS)
    if not pip_install(TOOLS, "tools"):
        return None
    stamp.write_text(wanted)
    return uv


def pip_install(venv: Path, name: str) -> bool:
    python = venv / "bin" / "python"
    subprocess.run([python, "-m", "ensurepip"], capture_output=True)  # no-op where pip is there already
    arguments = ["install", "--quiet", "--no-input", "--disable-pip-version-check", "--require-hashes", "-r"]
    return subprocess.run([python, "-m", "pip", *arguments, LOCKS / f"{name}.txt"]).returncode == 0


def uv_sync(uv: Path, name: str) -> bool:
    target = ["--python", str(VENV / "bin" / "python")]
    command = [str(uv), "pip", "sync", "--quiet", "--require-hashes", *target, str(LOCKS / f"{name}.txt")]
    return subprocess.run(command, env=uv_environment()).returncode == 0


def install(level: str) -> None:
    print(f"samsnakk: installing requirements/{level}.txt into .venv (only when the lock has changed) ...", flush=True)
    (VENV / STAMP).unlink(missing_ok=True)  # a broken-off install is never taken for a whole one
    if not starts(VENV / "bin" / "python"):
        make_venv(VENV, "--without-pip")
    uv = bootstrap_uv()
    if not (uv and uv_sync(uv, level)):
        print("samsnakk: uv could not do it; trying plain pip ...", file=sys.stderr, flush=True)
        if not pip_install(VENV, level):
            raise Fault(f"requirements/{level}.txt could not be installed; the reason is above (is the network there?)")
    (VENV / STAMP).write_text(fingerprint(level, VENV))


def check_machine() -> None:
    """Raises Fault for what would otherwise surface as a traceback half-way."""
    if missing := [module for module in ("venv", "ensurepip") if importlib.util.find_spec(module) is None]:
        raise Fault(
            f"{sys.executable} lacks {' and '.join(missing)}; install it (Debian, Ubuntu: apt install python3-venv)"
        )
    for folder in (ROOT, VENV, TOOLS):
        if folder.exists() and not os.access(folder, os.W_OK):
            raise Fault(f"{folder} is not writable for this user")


@contextlib.contextmanager
def our_turn() -> Iterator[None]:
    """Two `make` at once must not build the same environment; the second waits and then finds it ready."""
    handle = os.open(LOCKS, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def ensure(level: str) -> None:
    if is_current(level):
        return
    check_machine()
    with our_turn():
        if not is_current(level):
            install(level)


def write_locks(*options: str) -> None:
    """Resolve pyproject.toml into `requirements/`; existing pins are kept unless `--upgrade` is given."""
    check_machine()
    uv = bootstrap_uv()
    if uv is None:
        raise Fault("the locks are written by uv, which could not be installed; the reason is above")
    for name, source in (
        ("tools", ["-"]),
        ("run", ["pyproject.toml"]),
        ("dev", ["pyproject.toml", "--group", "dev", "--constraints", "requirements/run.txt"]),
    ):
        output = ["--custom-compile-command", "make lock", "--output-file", f"requirements/{name}.txt"]
        command = [str(uv), *COMPILE.split(), *options, *source, *output]
        if subprocess.run(command, cwd=ROOT, env=uv_environment(), input=b"uv\n", stdout=subprocess.DEVNULL).returncode:
            raise Fault(f"requirements/{name}.txt could not be resolved; the reason is above")


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["run" | "dev" as level]:
                ensure(level)
            case ["lock", *options]:
                write_locks(*options)
            case _:
                raise Fault("usage: venv.py run|dev|lock [--upgrade]")
    except Fault as fault:
        print(f"samsnakk: {fault}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"samsnakk: {error.strerror}: {error.filename or ROOT}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
