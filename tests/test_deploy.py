"""The roles of deploy/sql are enough for what the server and the sequencer do, and for nothing else (law 8)."""

import asyncio
import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from server.audit.actions import COLUMNS
from server.operate.own_sql import connect
from server.operate.story import play
from server.operate.watchdog import Watch, report
from tests.support.deployed import ROLES, Deployed
from tests.support.served import ROOT, environment, manage, once, serve

pytestmark = once

LOG = ("audit_auditevent", "audit_tree", "audit_leaf", "audit_node", "audit_checkpoint")
SEALED = ("rooms_roomevent", "consent_version", "consent_statutoryground", "rooms_emergencyaccess")
GUARDED = (*LOG, *SEALED)
READS = {"SELECT"}
ADDS = {"SELECT", "INSERT"}
CHANGES = {"SELECT", "INSERT", "UPDATE"}
TREE = ("audit_tree", "audit_leaf", "audit_node", "audit_checkpoint", "audit_verifierkey")
SERVER = {
    "django_migrations": READS,
    "common_idempotencyrecord": {*CHANGES, "DELETE"},
    "people_spentrefresh": {"SELECT", "INSERT", "DELETE"},
    "people_challenge": {*CHANGES, "DELETE"},
    "people_handover": {*CHANGES, "DELETE"},
    "people_oidcattempt": {*CHANGES, "DELETE"},
    "notify_callbackseen": {"SELECT", "INSERT", "DELETE"},
    "audit_auditevent": READS,
    "audit_pending": READS,
    "audit_head": READS,
    **dict.fromkeys(TREE, READS),
    **dict.fromkeys(SEALED, ADDS),
}
SEQUENCER = {
    "django_migrations": READS,
    "audit_auditevent": READS,
    "audit_pending": {*READS, "DELETE"},
    "audit_head": CHANGES,
    **dict.fromkeys(TREE, ADDS),
}
ONCE = {
    "samsnakk_server": {
        ("consent_statutoryground", "ended_at"),
        ("rooms_emergencyaccess", "ended_at"),
        ("rooms_emergencyaccess", "end_reason"),
        ("rooms_emergencyaccess", "told_at"),
        *(
            ("review_erasure", f"{act}_{what}")
            for act in ("confirmed", "begun", "cancelled")
            for what in ("at", "by_id")
        ),
        *(("review_erasure", column) for column in ("not_before", "begun_for_id", "done_at")),
        ("review_shield", "ended_at"),
        ("review_shield", "ended_by_id"),
    },
    "samsnakk_sequencer": {("audit_checkpoint", "note")},
}
"""What may be written although the table as a whole may not be changed."""
WATCHDOG = {"operate_watchreport": CHANGES}
WATCHED = {
    "alerts_alert": "id state duty due_at generation synthetic programme_id raised_at closed_at outcome",
    "alerts_alertevent": "alert_id generation at type",
    "alerts_routerbeat": "at",
    "alerts_programme": "id opened_at closed_at office_hours exceptions",
    "alerts_shift": "programme_id user_id begins ends source cancelled_at",
    "alerts_teammember": "programme_id user_id engagement_id valid_from valid_to ended_at",
    "people_engagement": "id valid_to ended_at",
    "people_user": "id is_active",
    "notify_delivery": "about kind generation channel state urgent due_at accepted_at",
}
"""Columns that the watchdog reads: states and times, and whose; no name, text, number or address."""
EVENT = {("audit_auditevent", column) for column in COLUMNS}
"""What may be stated of a new event: not its time, which is the database's."""


def test_each_role_has_the_rights_that_are_listed_and_no_other(deployed: Deployed) -> None:
    """Red when a new guarded table is forgotten, and when the script hands out anything more."""
    with deployed.connect("samsnakk") as superuser:
        tables = [name for (name,) in superuser.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        assert set(GUARDED) < set(tables)
        guarded = {
            name
            for (name,) in superuser.execute(
                "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal "
                "AND tgname ~ '_(no_change|no_delete|set_once)$'"
            )
        }
        rights = "SELECT privilege_type FROM information_schema.table_privileges WHERE grantee = %s AND table_name = %s"
        for table in tables:
            usual = ADDS if table in guarded else CHANGES
            found = {right for (right,) in superuser.execute(rights, ["samsnakk_server", table])}
            assert found == SERVER.get(table, usual), table
            found = {right for (right,) in superuser.execute(rights, ["samsnakk_sequencer", table])}
            assert found == SEQUENCER.get(table, set()), table
            found = {right for (right,) in superuser.execute(rights, ["samsnakk_watchdog", table])}
            assert found == WATCHDOG.get(table, set()), table
        columns = "SELECT table_name::text, column_name::text FROM information_schema.column_privileges "
        read = superuser.execute(
            columns + "WHERE grantee = 'samsnakk_watchdog' AND table_name <> 'operate_watchreport' "
            "AND privilege_type = 'SELECT'"
        )
        assert set(read) == {(table, column) for table, names in WATCHED.items() for column in names.split()}
        for role, columns in ONCE.items():
            for right, expected in (("UPDATE", columns), ("INSERT", EVENT)):
                found = set(
                    superuser.execute(
                        "SELECT table_name::text, column_name::text FROM information_schema.column_privileges c "
                        "WHERE grantee = %(role)s AND privilege_type = %(right)s AND NOT EXISTS (SELECT "
                        "FROM information_schema.table_privileges t WHERE t.grantee = %(role)s "
                        "AND t.table_name = c.table_name AND t.privilege_type = %(right)s)",
                        {"role": role, "right": right},
                    )
                )
                assert found == expected, (role, right)
        owners = superuser.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert owners == [("samsnakk_owner",)]
        silenced = superuser.execute(
            "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'A'"
        ).fetchall()
        assert silenced == []
        called = superuser.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'samsnakk_s%' "
            "AND has_function_privilege(rolname, 'samsnakk_await_sealing()', 'EXECUTE')"
        ).fetchall()
        assert called == [], "it runs with its owner's rights"


def refused(connection: psycopg.Connection, *statements: str) -> None:
    for statement in statements:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def ways_round(table: str) -> tuple[str, ...]:
    return (
        f"DELETE FROM {table}",
        f"TRUNCATE {table}",
        f"TRUNCATE {table} CASCADE",
        f"ALTER TABLE {table} DISABLE TRIGGER ALL",
        f"ALTER TABLE {table} DISABLE TRIGGER USER",
        f"DROP TRIGGER {table}_no_truncate ON {table}",
        f"ALTER TABLE {table} OWNER TO CURRENT_USER",
        f"CREATE RULE nothing AS ON INSERT TO {table} DO INSTEAD NOTHING",
        f"DROP TABLE {table}",
    )


EVERYBODY = (
    "SET session_replication_role = replica",
    "SET ROLE samsnakk_owner",
    "CREATE TABLE mine (x int)",
    "CREATE TEMPORARY TABLE audit_pending (event_id uuid)",
    "CREATE OR REPLACE FUNCTION samsnakk_append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE OR REPLACE FUNCTION samsnakk_await_sealing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "DROP FUNCTION samsnakk_append_only() CASCADE",
    "UPDATE pg_trigger SET tgenabled = 'D'",
)


STATED = "INSERT INTO audit_auditevent (id, at) VALUES (gen_random_uuid(), '1999-01-01Z')"


def test_the_server_changes_nothing_that_is_guarded(deployed: Deployed) -> None:
    with deployed.connect("samsnakk_server") as connection:
        for table in GUARDED:
            refused(connection, *ways_round(table))
        for table in ("audit_auditevent", "rooms_roomevent", "consent_version"):
            refused(connection, f"UPDATE {table} SET id = id", f"SELECT 1 FROM {table} FOR UPDATE")
        refused(connection, *EVERYBODY, "DELETE FROM audit_pending", "UPDATE audit_pending SET since = now()")
        refused(
            connection,
            STATED,
            "INSERT INTO audit_pending (event_id) VALUES (gen_random_uuid())",
            "INSERT INTO audit_leaf VALUES (0, gen_random_uuid(), '')",
            "INSERT INTO audit_checkpoint VALUES (0, '', now(), 'forged')",
            "UPDATE audit_checkpoint SET note = 'forged'",
            "UPDATE audit_head SET size = 0",
            "INSERT INTO audit_verifierkey VALUES ('forged', now())",
            "UPDATE consent_statutoryground SET document = ''",
            "INSERT INTO django_migrations (app, name, applied) VALUES ('audit', '9999', now())",
        )


def test_lines_are_made_anew_by_the_owner_alone(deployed: Deployed) -> None:
    """Red when the server may delete lines, or is told that the database does not answer."""
    for role, code, said in (("samsnakk_server", 2, "samsnakk_owner"), ("samsnakk_owner", 0, "Done: ")):
        ended = manage("review", "rebuild", env=deployed.environment(role))
        assert (ended.returncode, said in ended.stdout + ended.stderr) == (code, True), ended


def test_the_sequencer_sees_no_content_and_rewrites_no_tree(deployed: Deployed) -> None:
    with deployed.connect("samsnakk_sequencer") as connection:
        for table in LOG:
            refused(connection, *ways_round(table))
        refused(connection, *EVERYBODY)
        for table in ("rooms_roomevent", "rooms_room", "consent_version", "people_user", "people_patient"):
            refused(connection, f"SELECT 1 FROM {table}", f"INSERT INTO {table} DEFAULT VALUES", f"DELETE FROM {table}")
        refused(
            connection,
            STATED,
            "INSERT INTO audit_pending (event_id) VALUES (gen_random_uuid())",
            "SELECT 1 FROM vault_datakey",
            "SELECT 1 FROM people_session",
            "UPDATE audit_auditevent SET leaf = ''",
            "UPDATE audit_leaf SET hash = ''",
            "UPDATE audit_node SET hash = ''",
            "UPDATE audit_tree SET origin = ''",
            "UPDATE audit_checkpoint SET root = ''",
            "UPDATE audit_verifierkey SET line = ''",
            "DELETE FROM audit_head",
            "UPDATE audit_pending SET since = now()",
        )
        assert connection.execute("SHOW idle_in_transaction_session_timeout").fetchone() == ("15s",)


def test_the_watchdog_sees_what_is_due_and_no_content(deployed: Deployed) -> None:
    """Red when it may read more than times and states, and when it asks for something that it may not read."""
    with deployed.connect("samsnakk_watchdog") as connection:
        refused(connection, *EVERYBODY)
        for table in (*GUARDED, "alerts_alert", "alerts_plan", "notify_address", "people_patient", "vault_datakey"):
            refused(connection, f"SELECT * FROM {table}", f"INSERT INTO {table} DEFAULT VALUES", f"DELETE FROM {table}")
        refused(
            connection,
            "UPDATE alerts_alert SET due_at = now()",
            "SELECT final_number FROM alerts_programme",
            "SELECT name FROM people_user",
            "SELECT text_sealed FROM alerts_alertevent",
            "DELETE FROM operate_watchreport",
        )
    secret = {"SECRET_KEY": "", "MASTER_KEYS": "", "SYNTHETIC_USER": "nils"}
    found = manage("watchdog", "--once", env=deployed.environment("samsnakk_watchdog", **secret))
    assert (found.returncode, "router_silent" in found.stdout) == (3, True), found.stderr
    own = connect({"ENGINE": "postgresql", "HOST": "127.0.0.1", "PORT": deployed.port, "NAME": "samsnakk", **WATCHES})
    with contextlib.closing(own):
        report(own, Watch().look(own))
        report(own, [])


WATCHES = {"USER": "samsnakk_watchdog", "PASSWORD": "x"}


def test_a_row_that_the_server_adds_waits_to_be_sealed(deployed: Deployed) -> None:
    """The trigger writes with its owner's rights, and finds the one table of that name."""
    names = ", ".join(COLUMNS)
    with deployed.connect("samsnakk_server") as connection:
        for path in ("public", "pg_catalog", "pg_temp, public"):
            with connection.transaction(force_rollback=True):
                connection.execute(f"SET LOCAL search_path = {path}")
                connection.execute(
                    f"INSERT INTO public.audit_auditevent ({names}) SELECT "
                    + ", ".join(VALUES.get(column, "''") for column in COLUMNS)
                )
                waiting = "SELECT count(*) FROM public.audit_pending JOIN public.audit_auditevent ON event_id = id"
                assert connection.execute(waiting + " WHERE leaf = '{}'").fetchone() == (1,)


VALUES = {
    **dict.fromkeys([name for name in COLUMNS if name.endswith("_id") and name != "request_id"], "NULL"),
    "id": "gen_random_uuid()",
    "record_ids": "'[]'",
    "sealed_hash": "NULL",
    "detail_sealed": "NULL",
    "leaf": "'{}'",
}


def sequencer(deployed: Deployed) -> dict[str, str]:
    """What deploy/sequencer.env.example says: a folder of its own, and no secret of the server's."""
    address, folder = deployed.address("samsnakk_sequencer"), deployed.folder / "sequencer"
    key = str(folder / "signing.key")
    return environment(deployed.folder, DATABASE_URL=address, AUDIT_KEY_FILE=key) | {"VAR_DIR": str(folder)}


@contextlib.contextmanager
def sequencing(deployed: Deployed) -> Iterator[None]:
    """`manage.py audit sequence`, as deploy/samsnakk-sequencer.service runs it."""
    log = deployed.folder / "sequencer.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "audit", "sequence"],
            cwd=ROOT,
            env=sequencer(deployed),
            stdout=out,
            stderr=out,
        )
    try:
        yield
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.wait(20)
    said = log.read_text()
    assert process.returncode == 0, said
    assert "error" not in said.lower(), said


UNSEALED = (
    "SELECT (SELECT count(*) FROM audit_pending), "
    "(SELECT count(*) FROM audit_auditevent e LEFT JOIN audit_leaf l ON l.event_id = e.id WHERE l.hash IS NULL), "
    "(SELECT count(*) FROM audit_head) - (SELECT count(*) FROM audit_head h "
    "JOIN audit_checkpoint c ON c.position = (h.tree_id::bigint << 40 | h.size) WHERE c.note <> '')"
)


def test_served_and_sealed_each_under_its_own_role(deployed: Deployed, tmp_path: Path) -> None:
    """Are's story, and every event of it in the signed tree."""
    server = deployed.environment("samsnakk_server", THROTTLE="0", SEQUENCER="0")
    made = manage("audit", "keygen", "--name", "log.test", env=sequencer(deployed))
    assert made.returncode == 0, made.stderr
    assert (deployed.folder / "sequencer" / "signing.key").stat().st_mode & 0o777 == 0o600
    with sequencing(deployed), deployed.connect("samsnakk_server") as connection:
        with serve(tmp_path, server) as served:
            assert asyncio.run(play(served.url, lambda line: None)) > 20
        assert "loop_failed" not in served.log.read_text()
        deadline = time.monotonic() + 10
        while (left := connection.execute(UNSEALED).fetchone()) != (0, 0, 0) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert left == (0, 0, 0)
        [key] = [line.strip() for line in made.stdout.splitlines() if line.startswith("  log.test+")]
        found = manage("audit", "verify", "--no-details", "--quiet", "--key", key, env=server)
        assert found.returncode == 0, found.stderr
        [entries] = re.findall(r"(\d+) entries: every event", found.stdout)
        assert int(entries) > 50
    adopted = manage("audit", "adopt", "--reason", "tried out", "--yes", env=sequencer(deployed))
    assert adopted.returncode == 0, adopted.stderr


def test_the_script_refuses_a_server_that_owns_a_table(deployed: Deployed) -> None:
    """Or that may become who does."""
    with deployed.connect("samsnakk") as superuser:
        for begun in ("ALTER TABLE audit_node OWNER TO samsnakk_server", "GRANT samsnakk_owner TO samsnakk_sequencer"):
            with superuser.transaction(force_rollback=True):
                superuser.execute(begun)
                with pytest.raises(psycopg.errors.RaiseException, match="belongs to samsnakk_s"):
                    superuser.execute(ROLES)
