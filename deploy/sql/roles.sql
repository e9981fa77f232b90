-- Who may do what in the database (law 8):
--
--   samsnakk_owner      owns the tables and migrates; nobody works as this role from day to day
--   samsnakk_server     is who the server is: reads, adds and changes what is not guarded; deletes answers kept for retries
--                      and used refresh tokens
--   samsnakk_sequencer  seals the log: reads its events, takes them off the list of those that wait, adds to the tree
--   samsnakk_watchdog   keeps watch over calls for help: reads times and states, and who is on call; writes its report
--   samsnakk_backup     makes back-ups: reads everything, which is sealed where it is content; changes nothing
--
-- Of an event either states all but its time: the database writes that, and that the event waits to be sealed.
--
-- The server and the sequencer own nothing and can make nothing, so they can neither change what is guarded nor switch a
-- guard off. The server cannot say that an event is sealed; the sequencer and the watchdog see no content.
--
-- Run as superuser in the database (psql -v ON_ERROR_STOP=1 -f roles.sql), before the first `manage.py migrate` as
-- samsnakk_owner, and again after each. It may be run while the server works, and as often as you like. Passwords, if you
-- use them, are set with \password and stand in no file.

BEGIN;
SET LOCAL search_path = public;

DO $$
DECLARE
  here text;
BEGIN
  FOREACH here IN ARRAY ARRAY['samsnakk_owner', 'samsnakk_server', 'samsnakk_sequencer', 'samsnakk_watchdog',
    'samsnakk_backup'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = here) THEN
      EXECUTE format('CREATE ROLE %I LOGIN', here);
    END IF;
    EXECUTE format('ALTER ROLE %I NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', here);
  END LOOP;
  FOR here IN
    SELECT format('%s belongs to %s', made.name, rolname)
    FROM pg_roles JOIN (
      SELECT oid::regclass::text AS name, relowner AS owner FROM pg_class
      UNION ALL SELECT oid::regprocedure::text, proowner FROM pg_proc
      UNION ALL SELECT 'samsnakk_owner', member FROM pg_auth_members WHERE roleid = 'samsnakk_owner'::regrole
    ) AS made ON made.owner = pg_roles.oid
    WHERE rolname IN ('samsnakk_server', 'samsnakk_sequencer', 'samsnakk_watchdog', 'samsnakk_backup')
  LOOP
    RAISE EXCEPTION '%', here
      USING HINT = 'Whoever owns a table can switch its guards off: make it samsnakk_owner''s, or revoke the membership.';
  END LOOP;
  -- Whoever hangs between two statements lets go of the head's lock, so that another may seal.
  ALTER ROLE samsnakk_sequencer SET idle_in_transaction_session_timeout = '15s';
  GRANT pg_read_all_data TO samsnakk_backup;
  -- A temporary table comes before a table of the same name, and PUBLIC may make them.
  EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC, samsnakk_server, samsnakk_sequencer, samsnakk_watchdog, samsnakk_backup', current_database());
END
$$;

REVOKE ALL ON SCHEMA public FROM PUBLIC, samsnakk_server, samsnakk_sequencer, samsnakk_watchdog, samsnakk_backup;
GRANT USAGE, CREATE ON SCHEMA public TO samsnakk_owner;
GRANT USAGE ON SCHEMA public TO samsnakk_server, samsnakk_sequencer, samsnakk_watchdog;

REVOKE ALL ON ALL TABLES IN SCHEMA public
  FROM PUBLIC, samsnakk_server, samsnakk_sequencer, samsnakk_watchdog, samsnakk_backup;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public
  FROM PUBLIC, samsnakk_server, samsnakk_sequencer, samsnakk_watchdog, samsnakk_backup;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO samsnakk_server;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO samsnakk_server;

DO $$
DECLARE
  here record;
  -- What server/audit/actions.py writes, and so not "at": its default is the time.
  event constant text := 'id, type, actor_id, unit_id, controller_id, engagement_id, role, sign_in, subject_id, room_id, '
    'object_id, purpose, basis, outcome, reason, record_ids, request_id, sealed_hash, detail_sealed, leaf';
BEGIN
  -- What the guards refuse, the server has no right to either: of a guarded table, it writes the columns that are written once.
  FOR here IN
    SELECT tgrelid::regclass AS guarded, string_agg(format('%I', once), ', ') FILTER (WHERE once <> '') AS columns
    FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
      LEFT JOIN LATERAL regexp_split_to_table(encode(tgargs, 'escape'), '\\000') AS once ON true
    WHERE NOT tgisinternal AND proname IN ('samsnakk_append_only', 'samsnakk_set_once')
    GROUP BY tgrelid
  LOOP
    EXECUTE format('REVOKE UPDATE ON %s FROM samsnakk_server', here.guarded);
    IF here.columns IS NOT NULL THEN
      EXECUTE format('GRANT UPDATE (%s) ON %s TO samsnakk_server', here.columns, here.guarded);
    END IF;
  END LOOP;

  FOR here IN
    SELECT * FROM (VALUES
      ('django_migrations',        'SELECT',                         'SELECT'),
      ('common_idempotencyrecord', 'SELECT, INSERT, UPDATE, DELETE', ''),
      ('people_spentrefresh',      'SELECT, INSERT, DELETE',         ''),
      ('people_challenge',         'SELECT, INSERT, UPDATE, DELETE', ''),
      ('people_handover',          'SELECT, INSERT, UPDATE, DELETE', ''),
      ('people_oidcattempt',       'SELECT, INSERT, UPDATE, DELETE', ''),
      ('notify_callbackseen',      'SELECT, INSERT, DELETE',         ''),
      ('audit_auditevent', 'SELECT, INSERT (' || event || ')', 'SELECT, INSERT (' || event || ')'),  -- audit.adopted
      ('audit_pending',            'SELECT',                         'SELECT, DELETE'),  -- the trigger inserts
      ('audit_head',               'SELECT',                         'SELECT, INSERT, UPDATE'),
      ('audit_tree',               'SELECT',                         'SELECT, INSERT'),
      ('audit_leaf',               'SELECT',                         'SELECT, INSERT'),
      ('audit_node',               'SELECT',                         'SELECT, INSERT'),
      ('audit_verifierkey',        'SELECT',                         'SELECT, INSERT'),
      ('audit_checkpoint',         'SELECT',                         'SELECT, INSERT, UPDATE (note)')
    ) AS listed (name, server, sequencer)
    WHERE to_regclass(name) IS NOT NULL
  LOOP
    EXECUTE format('REVOKE ALL ON %I FROM samsnakk_server', here.name);
    EXECUTE format('GRANT %s ON %I TO samsnakk_server', here.server, here.name);
    IF here.sequencer <> '' THEN
      EXECUTE format('GRANT %s ON %I TO samsnakk_sequencer', here.sequencer, here.name);
    END IF;
  END LOOP;

  -- What server/operate/watchdog.py asks for, column by column: no name, no text, no number, no address.
  FOR here IN
    SELECT * FROM (VALUES
      ('alerts_alert',
       'SELECT (id, state, duty, due_at, generation, synthetic, programme_id, raised_at, closed_at, outcome)'),
      ('alerts_alertevent', 'SELECT (alert_id, generation, at, type)'),
      ('alerts_routerbeat', 'SELECT (at)'),
      ('alerts_programme', 'SELECT (id, opened_at, closed_at, office_hours, exceptions)'),
      ('alerts_shift', 'SELECT (programme_id, user_id, begins, ends, source, cancelled_at)'),
      ('alerts_teammember', 'SELECT (programme_id, user_id, engagement_id, valid_from, valid_to, ended_at)'),
      ('people_engagement', 'SELECT (id, valid_to, ended_at)'),
      ('people_user', 'SELECT (id, is_active)'),
      ('notify_delivery', 'SELECT (about, kind, generation, channel, state, urgent, due_at, accepted_at)'),
      ('operate_watchreport', 'SELECT, INSERT, UPDATE')
    ) AS watched (name, rights)
    WHERE to_regclass(name) IS NOT NULL
  LOOP
    EXECUTE format('GRANT %s ON %I TO samsnakk_watchdog', here.rights, here.name);
  END LOOP;
END
$$;

COMMIT;
