"""A database of one's own to restore into, with the engine of the test process, and commands run against it."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection

from tests.support.served import environment, manage
from tools.servers import PrivatePostgres
from tools.services import own_database


@dataclass
class Elsewhere:
    """An empty database, and the settings of an installation on it."""

    folder: Path
    env: dict[str, str]

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        return manage(*words, env=self.env)

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        if address := self.env.get("DATABASE_URL"):
            with psycopg.connect(address) as there:
                return there.execute(question.encode()).fetchall()
        with contextlib.closing(sqlite3.connect(self.folder / "var" / "samsnakk.sqlite3")) as there:
            return there.execute(question).fetchall()


@contextlib.contextmanager
def elsewhere(folder: Path, master_keys: Path) -> Iterator[Elsewhere]:
    """`master_keys`: the demo's key file of the installation that was backed up."""
    with contextlib.ExitStack() as keep:
        own = {"MODE": "demo"}
        if "DATABASE_URL" in os.environ:
            own["DATABASE_URL"] = keep.enter_context(own_database(os.environ["DATABASE_URL"]))
        made = Elsewhere(folder, environment(folder, **own))
        (folder / "var").mkdir(parents=True)
        shutil.copy(master_keys, folder / "var" / "master.key")
        yield made


def programs() -> list[str]:
    """`--bin`, where PostgreSQL's programs come with the server that tests start."""
    return ["--bin", str(PrivatePostgres.find().parent)] if connection.vendor == "postgresql" else []


def demo_keys() -> Path:
    return Path(settings.ENV.var_dir) / "master.key"
