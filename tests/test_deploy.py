"""The roles of deploy/ are enough for the server to run Are's story, and too little to change the log (law 8)."""

import asyncio
from pathlib import Path

import psycopg
import pytest

from server.operate.story import play
from tests.support.served import ROOT, environment, manage, once, serve
from tools.servers import PrivatePostgres

pytestmark = once

ROLES = (ROOT / "deploy" / "postgresql-roles.sql").read_text()
APPEND_ONLY = ("audit_auditevent", "rooms_roomevent", "consent_version")
TRUSTING = "local all all trust\nhost all all 127.0.0.1/32 trust\n"


def address(postgres: PrivatePostgres, role: str) -> str:
    return f"postgresql://{role}:x@127.0.0.1:{postgres.port}/samsnakk"


def test_roles(tmp_path: Path) -> None:
    with PrivatePostgres() as postgres:
        (postgres.folder / "data" / "pg_hba.conf").write_text(TRUSTING)
        with psycopg.connect(postgres.url, autocommit=True) as superuser:
            superuser.execute("SELECT pg_reload_conf()")
            superuser.execute("CREATE DATABASE samsnakk")
        everything = address(postgres, "samsnakk")
        with psycopg.connect(everything, autocommit=True) as superuser:
            superuser.execute(ROLES)  # the roles, before there are tables
        owner = environment(tmp_path, MODE="demo", DATABASE_URL=address(postgres, "samsnakk_owner"))
        migrated = manage("migrate", "--verbosity=0", env=owner)
        assert migrated.returncode == 0, migrated.stderr
        with psycopg.connect(everything, autocommit=True) as superuser:
            for _ in range(2):
                superuser.execute(ROLES)
        server = environment(tmp_path, MODE="demo", DATABASE_URL=address(postgres, "samsnakk_server"), THROTTLE="0")
        with serve(tmp_path, server) as served:
            assert asyncio.run(play(served.url, lambda line: None)) > 20
        with psycopg.connect(address(postgres, "samsnakk_server"), autocommit=True) as connection:
            for table in APPEND_ONLY:
                count = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
                assert count is not None
                assert count[0] > 0
                for statement in (
                    f"UPDATE {table} SET id = id",
                    f"DELETE FROM {table}",
                    f"TRUNCATE {table}",
                    f"ALTER TABLE {table} DISABLE TRIGGER ALL",
                    f"DROP TABLE {table}",
                ):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute(statement)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SET session_replication_role = replica")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("CREATE TABLE mine (x int)")
