"""A process of ours that stands still within a transaction, as when its host has lost its power: PostgreSQL takes from
it what it had locked, and whoever waits for the row goes on. What it comes back with is not written."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.support.served import ROOT, production
from tools.servers import PrivatePostgres

pytestmark = pytest.mark.prove
LIMIT_S, SLACK_S = 15, 3
OURS = """
import django, os, signal
os.environ["DJANGO_SETTINGS_MODULE"] = "server.settings"
django.setup()
from django.db import connection, transaction
with connection.cursor() as cursor:
    cursor.execute("SELECT name, setting FROM pg_settings WHERE name LIKE %s ORDER BY name", ["tcp\\\\_%"])
    print(sorted(int(value) for name, value in cursor.fetchall()), flush=True)
    with transaction.atomic():
        cursor.execute("SELECT 1 FROM call FOR UPDATE")
        print("held", flush=True)
        os.kill(os.getpid(), signal.SIGSTOP)
        cursor.execute("UPDATE call SET said = 'late'")
"""


def test_what_a_vanished_process_has_locked(tmp_path: Path) -> None:
    with PrivatePostgres() as postgres, psycopg.connect(postgres.url, autocommit=True) as other:
        other.execute("CREATE TABLE call (said text)")
        other.execute("INSERT INTO call VALUES ('')")
        env = production(tmp_path, DATABASE_URL=postgres.url, REDIS_URL="redis://127.0.0.1:1")
        ours = subprocess.Popen(
            [sys.executable, "-c", OURS], env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            assert ours.stdout is not None
            assert ours.stdout.readline().strip() == "[2, 3, 5, 10000]", "a host that is gone is noticed in seconds"
            assert ours.stdout.readline().strip() == "held"
            begun = time.monotonic()
            other.execute("UPDATE call SET said = 'gone on'")
            waited = time.monotonic() - begun
            ours.send_signal(signal.SIGCONT)
            _, said = ours.communicate(timeout=20)
        finally:
            ours.kill()
            ours.wait()
        print(f"\n  whoever waited for the row went on after {waited:.1f} s")
        assert LIMIT_S - 2 < waited < LIMIT_S + SLACK_S
        assert ours.returncode == 1
        assert "idle-in-transaction timeout" in said
        assert other.execute("SELECT said FROM call").fetchall() == [("gone on",)]
