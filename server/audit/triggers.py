"""What the database itself does for the log: each event that is written waits to be sealed, whoever wrote it.

On PostgreSQL it does so with the owner's rights: nobody who writes events may say what waits and what does not.
"""

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.exceptions import IrreversibleError

from server.common.appendonly import Step

SQLITE = (
    'CREATE TRIGGER "audit_auditevent_hand_on" AFTER INSERT ON "audit_auditevent" '
    'BEGIN INSERT INTO "audit_pending" (event_id) VALUES (NEW.id); END',
)
POSTGRESQL = (
    "CREATE FUNCTION samsnakk_await_sealing() RETURNS trigger LANGUAGE plpgsql "
    "SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$ "
    "BEGIN INSERT INTO public.audit_pending (event_id) SELECT id FROM fresh; RETURN NULL; END $$",
    "REVOKE ALL ON FUNCTION samsnakk_await_sealing() FROM PUBLIC",
    'CREATE TRIGGER "audit_auditevent_hand_on" AFTER INSERT ON "audit_auditevent" '
    "REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION samsnakk_await_sealing()",
    'ALTER TABLE "audit_auditevent" ENABLE ALWAYS TRIGGER "audit_auditevent_hand_on"',
)
SWEPT = (
    'ALTER TABLE "audit_pending" SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, '
    "autovacuum_vacuum_cost_delay = 0)"
)
"""Every row of this table is soon dead, and every step passes over those that still lie there."""


def hand_on() -> Step:
    """A migration step: the trigger that makes an event's pending row."""

    def forwards(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
        for statement in SQLITE if editor.connection.vendor == "sqlite" else POSTGRESQL:
            editor.execute(statement)

    return Step(forwards, _kept)


def swept() -> Step:
    """A migration step: what was taken off the pending ones is cleared away early. SQLite leaves nothing lying."""

    def forwards(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
        if editor.connection.vendor == "postgresql":
            editor.execute(SWEPT)

    return Step(forwards, Step.noop)


def no_guard(table: str) -> Step:
    """A migration step: drop the append-only triggers of `table`, whose shape is about to change. The same migration
    must make them again."""

    def forwards(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
        sqlite = editor.connection.vendor == "sqlite"
        for name in ("no_update", "no_delete", "no_replace") if sqlite else ("no_change", "no_truncate"):
            editor.execute(f'DROP TRIGGER "{table}_{name}"' + ("" if sqlite else f' ON "{table}"'))

    return Step(forwards, _kept)


def _kept(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
    raise IrreversibleError("the log stays sealed")
