"""PostgreSQL as docs/operations.md sets it up: the roles of deploy/sql, the tables, and the roles again."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from tests.support.served import ROOT, environment, manage
from tools.servers import PrivatePostgres

ROLES = (ROOT / "deploy" / "sql" / "roles.sql").read_text()
TRUSTING = "local all all trust\nhost all all 127.0.0.1/32 trust\n"
EMPTY = "samsnakk_empty"


class Deployed(NamedTuple):
    port: int
    folder: Path
    database: str = "samsnakk"

    def address(self, role: str) -> str:
        return f"postgresql://{role}:x@127.0.0.1:{self.port}/{self.database}"

    def connect(self, role: str) -> psycopg.Connection:
        return psycopg.connect(self.address(role), autocommit=True)

    def environment(self, role: str, **more: str) -> dict[str, str]:
        return environment(self.folder, MODE="demo", DATABASE_URL=self.address(role), **more)

    def another(self) -> "Deployed":
        """A database of one's own, as empty as this one was, with the same roles."""
        name = f"samsnakk_{secrets.token_hex(4)}"
        with self.connect("samsnakk") as superuser:
            superuser.execute(f"CREATE DATABASE {name} TEMPLATE {EMPTY}")
        made = self._replace(database=name)
        with made.connect("samsnakk") as superuser:
            superuser.execute(ROLES)
        return made


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with PrivatePostgres() as postgres:
        (postgres.folder / "data" / "pg_hba.conf").write_text(TRUSTING)
        with psycopg.connect(postgres.url, autocommit=True) as superuser:
            superuser.execute("SELECT pg_reload_conf()")
            superuser.execute("CREATE DATABASE samsnakk")
        made = Deployed(postgres.port, tmp_path_factory.mktemp("deployed"))
        with made.connect("samsnakk") as superuser:
            superuser.execute(ROLES)
        migrated = manage("migrate", "--verbosity=0", env=made.environment("samsnakk_owner"))
        assert migrated.returncode == 0, migrated.stderr
        with made.connect("samsnakk") as superuser:
            for _ in range(2):
                superuser.execute(ROLES)
        with psycopg.connect(postgres.url, autocommit=True) as superuser:
            superuser.execute(f"CREATE DATABASE {EMPTY} TEMPLATE samsnakk")
        yield made
