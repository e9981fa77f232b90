"""The watchdog as a child process of `manage.py serve`: started beside it, again when it dies, and ended with it."""

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

ROOT = Path(__file__).resolve().parents[2]
LOOK_S = 0.5
SOONEST_S, SLOWEST_S = 1.0, 30.0
"""Before it is started again; twice as long each time while it does not stay."""
STAYED_S = 60.0
PATIENCE_S = 2.0


def keep(stop: threading.Event) -> threading.Thread:
    """Keep it running until `stop` is set. Returns at once: nothing waits for it."""
    thread = threading.Thread(target=_keep, args=(stop,), name="watchdog", daemon=True)
    thread.start()
    return thread


def _keep(stop: threading.Event) -> None:
    wait = SOONEST_S
    while not stop.is_set():
        begun = time.monotonic()
        process = None
        with suppress(OSError):
            process = start()
        while process is not None and process.poll() is None and not stop.wait(LOOK_S):
            pass
        if stop.is_set():
            if process is not None:
                end(process)
            return
        log.critical("watchdog_ended", status=process.returncode if process is not None else None)
        wait = SOONEST_S if time.monotonic() - begun > STAYED_S else min(wait * 2, SLOWEST_S)
        stop.wait(wait)


def start() -> "subprocess.Popen[bytes]":
    """It ends when our end of its standard input is closed, which no death of ours can leave out. Raises OSError."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-m", "server.operate.watchdog"],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )


def end(process: "subprocess.Popen[bytes]") -> None:
    """In good order, else without."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
