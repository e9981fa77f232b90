"""nginx for tests of `deploy/nginx/nginx.conf`: the one that is installed, else Debian's own package, unpacked into
`.tools/nginx` by `apt-get` and `dpkg`. Nothing is installed, and no root is needed.

    with PrivateNginx(render) as nginx: ...     # render(folder) -> the text of its configuration
"""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.servers import PrivateServer, ServiceFault

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".tools" / "nginx"
PACKAGES = ("nginx", "nginx-core", "nginx-light")
"""Which of them holds the program depends on the release."""
LIBRARIES = ("libpcre2-8-0", "libssl3", "libssl3t64", "zlib1g", "libcrypt1")
"""What it needs beside the C library, where a machine has been stripped of it."""
OLDEST = (1, 19, 4)
LIMIT_S = 300
MISSING = "nginx is missing: not on PATH, and Debian's package could not be had"


def find() -> Path:
    """The program. Raises ServiceFault with one line that says why there is none."""
    for found in (shutil.which("nginx"), "/usr/sbin/nginx", str(unpacked())):
        if found and version(Path(found)) >= OLDEST:
            return Path(found)
    with _alone():
        if version(unpacked()) < OLDEST:  # nobody else has fetched it meanwhile
            _fetch()
    if version(unpacked()) < OLDEST:
        raise ServiceFault(f"{MISSING}: what it holds does not run here, or is older than 1.19.4")
    return unpacked()


def unpacked() -> Path:
    return TOOLS / "usr" / "sbin" / "nginx"


def version(program: Path) -> tuple[int, ...]:
    """(0,) when it does not run."""
    try:
        told = subprocess.run([program, "-v"], capture_output=True, text=True, env=environment(), check=False).stderr
    except OSError:
        return (0,)
    found = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", told)
    return tuple(map(int, found.groups())) if found else (0,)


def environment() -> dict[str, str]:
    """Libraries that were unpacked beside it are found."""
    beside = [str(path) for part in ("usr/lib", "lib") for path in sorted((TOOLS / part).glob("*-linux-gnu*"))]
    return {**os.environ, **({"LD_LIBRARY_PATH": ":".join(beside)} if beside else {})}


@contextmanager
def _alone() -> Iterator[None]:
    """Two test runs that begin at once fetch it once."""
    TOOLS.parent.mkdir(exist_ok=True)
    with (TOOLS.parent / "nginx.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch() -> None:
    """Into `TOOLS`. Raises ServiceFault."""
    for need in ("apt-get", "dpkg"):
        if shutil.which(need) is None:
            raise ServiceFault(f"{MISSING}: there is no {need} here")
    with tempfile.TemporaryDirectory(prefix="samsnakk-nginx-") as folder:
        place = Path(folder)
        place.chmod(0o755)
        own: list[str] = []
        if not _download(place, PACKAGES, own):
            own = _lists_of_our_own(place)
            told = _run(["apt-get", *own, "update"], place)
            if told is not None or not _download(place, PACKAGES, own):
                raise ServiceFault(f"{MISSING}: {told or 'apt-get knows no package of that name'}")
        _unpack(place)
        if version(unpacked()) < OLDEST:
            _download(place, LIBRARIES, own)
            _unpack(place)


def _lists_of_our_own(place: Path) -> list[str]:
    """Options with which apt-get keeps its lists in `place`, and leaves the machine's alone."""
    for one in ("lists/partial", "cache/archives/partial"):
        (place / one).mkdir(parents=True)
    said = {
        "Dir::State::lists": place / "lists",
        "Dir::Cache": place / "cache",
        "Debug::NoLocking": "true",
        "APT::Sandbox::User": "root",
    }
    return [word for name, value in said.items() for word in ("-o", f"{name}={value}")]


def _download(place: Path, names: tuple[str, ...], own: list[str]) -> bool:
    """Whether any of them came. Each by itself: one that this release does not know must not spoil the others."""
    before = len(list(place.glob("*.deb")))
    for name in names:
        _run(["apt-get", *own, "download", name], place)
    return len(list(place.glob("*.deb"))) > before


def _unpack(place: Path) -> None:
    TOOLS.mkdir(exist_ok=True)
    for package in place.glob("*.deb"):
        if (why := _run(["dpkg", "-x", str(package), str(TOOLS)], place)) is not None:
            raise ServiceFault(f"{MISSING}: {why}")


def _run(command: list[str], place: Path) -> str | None:
    """None, or why it failed, in one line."""
    try:
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {type(error).__name__}"
    lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
    return None if done.returncode == 0 else f"{command[0]}: {lines[-1]}"


class PrivateNginx(PrivateServer):
    """nginx with a configuration of the caller's, in a folder of its own."""

    name = "nginx"
    stop_signal = signal.SIGTERM

    def __init__(self, render: Callable[[Path], str], answers: Callable[[], bool]) -> None:
        """`render` is given the folder and gives the configuration; `answers` says whether it serves."""
        super().__init__()
        self.url = ""
        self._answers = answers
        for one in ("log", "lib", "run"):
            (self.folder / one).mkdir()
        self.folder.chmod(0o755)
        self.configuration = self.folder / "nginx.conf"
        self.configuration.write_text(render(self.folder))

    @classmethod
    def find(cls, *, pip_only: bool = False) -> Path:
        return find()

    @staticmethod
    def version_of(binary: Path) -> str:
        return ".".join(map(str, version(binary)))

    def popen_options(self) -> dict[str, dict[str, str]]:
        return {"env": environment()}

    def command(self) -> list[str]:
        error_log = str(self.folder / "log" / "start.log")
        return [str(self.binary), "-e", error_log, "-c", str(self.configuration), "-g", "daemon off;"]

    def answers(self) -> bool:
        return self._answers()
