"""Processes that start others: who belongs to them, ending them all, and a reaper for when their owner is gone."""

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

PATIENCE_S = 30.0


class Reaper:
    """A small process that outlives its owner: when the owner's end of the pipe closes, it ends what it was told of."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "tools.processes", str(folder)]
        root = Path(__file__).resolve().parents[1]
        self.process = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, start_new_session=True)

    def watch(self, pid: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{pid}\n".encode())
        self.process.stdin.flush()

    def release(self) -> None:
        """Nothing more to watch; returns when the folder is gone."""
        if self.process.returncode is None:
            self.process.communicate()


def reap(folder: str) -> None:
    watched = []
    for line in sys.stdin:
        with contextlib.suppress(psutil.NoSuchProcess):
            watched.append(psutil.Process(int(line)))  # remembers the start time: a reused pid is left alone
    for process in watched:
        kill_all(family(process))
    shutil.rmtree(folder, ignore_errors=True)


def lives(process: psutil.Process) -> bool:
    """Not ended; one that waits for its parent to notice (a zombie) has."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def stopped(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
    return True


def wait_until(done: Callable[[], bool], patience_s: float) -> None:
    """Returns when `done`, or when patience has ended."""
    deadline = time.monotonic() + patience_s
    while not done() and time.monotonic() < deadline:
        time.sleep(0.005)


def family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [each for each in (process, *process.children(recursive=True)) if lives(each)]
    except psutil.NoSuchProcess:
        return []


def kill_all(processes: list[psutil.Process]) -> None:
    for each in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    wait_until(lambda: not any(map(lives, processes)), PATIENCE_S)


if __name__ == "__main__":
    reap(sys.argv[1])
