"""`manage.py` in a process of its own, without each of them loading the libraries anew: that is half of a short one's
time.

All are forked from one process, started once, that has loaded libraries and nothing of the product's: no settings, no
connection, no thread. What the fork runs is `manage.py` itself, in the environment that is given and no other; only
what the interpreter looks at before its first line (its encodings) is as that one process found it.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = (
    "aiohttp",
    "asgiref.sync",
    "autobahn.twisted.websocket",
    "channels.layers",
    "channels_redis.pubsub",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "cryptography.hazmat.primitives.ciphers.aead",
    "dj_database_url",
    "django.contrib.staticfiles",
    "django.core.management",
    "django.db.models",
    "django.db.migrations.executor",
    "django.http",
    "django.urls",
    "holidays",
    "jsonschema",
    "psycopg",
    "psycopg_pool",
    "pydantic_settings",
    "redis.asyncio",
    "requests",
    "structlog",
    "twisted.web.server",
    "yaml",
)
"""Slow to load, and asking no settings while they are."""


class Forked:
    """The part of `subprocess.Popen` that tests use."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str], out: Path, errors: Path | None = None) -> None:
        """Run `manage.py WORDS`; both streams go to `out`, or what is said of errors to `errors`."""
        run = (list(words), dict(env), str(out), str(errors or out))
        self._words = words
        self._process = _server().Process(target=_run, args=run, daemon=True)  # ended with this process, at the latest
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """As the shell has it; a signal's number is negative."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired(["manage.py", *self._words], timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


@cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LIBRARIES))
    return context


def _run(words: list[str], env: dict[str, str], out: str, errors: str) -> None:
    os.environ.clear()
    os.environ.update(env)
    for path, number in ((out, 1), (errors, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, number)
        os.close(file)
    os.chdir(ROOT)
    sys.argv, sys.path[0] = ["manage.py", *words], str(ROOT)
    runpy.run_path("manage.py", run_name="__main__")
