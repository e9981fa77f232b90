-- Two roles: `samsnakk_owner` owns the tables and migrates; `samsnakk_server` is who the server is. The server can add to the log and
-- to timelines and read them, and has no right to change them; nor can it disable their triggers, which takes the owner (law 8).
--
-- Run as superuser in the database, after `manage.py migrate` as samsnakk_owner, and again after each later migration.
-- It changes nothing when all is as it should be. Passwords, if you use them, are set with \password and stand in no file.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'samsnakk_owner') THEN
    CREATE ROLE samsnakk_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'samsnakk_server') THEN
    CREATE ROLE samsnakk_server LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
  END IF;
END
$$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO samsnakk_owner;
GRANT USAGE ON SCHEMA public TO samsnakk_server;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM samsnakk_server;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO samsnakk_server;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO samsnakk_server;

DO $$
DECLARE
  here text;
BEGIN
  -- Append-only: read and add.
  FOREACH here IN ARRAY ARRAY['audit_auditevent', 'rooms_roomevent', 'consent_version', 'django_migrations'] LOOP
    IF to_regclass(here) IS NOT NULL THEN
      EXECUTE format('REVOKE UPDATE ON %I FROM samsnakk_server', here);
    END IF;
  END LOOP;
  IF to_regclass('django_migrations') IS NOT NULL THEN
    REVOKE INSERT ON django_migrations FROM samsnakk_server;
  END IF;
  -- Sealed when made; afterwards only their end is written.
  IF to_regclass('consent_statutoryground') IS NOT NULL THEN
    REVOKE UPDATE ON consent_statutoryground FROM samsnakk_server;
    GRANT UPDATE (ended_at) ON consent_statutoryground TO samsnakk_server;
  END IF;
  IF to_regclass('rooms_emergencyaccess') IS NOT NULL THEN
    REVOKE UPDATE ON rooms_emergencyaccess FROM samsnakk_server;
    GRANT UPDATE (ended_at, end_reason, told_at) ON rooms_emergencyaccess TO samsnakk_server;
  END IF;
  -- The only rows that are ever deleted: answers kept a day for retries.
  IF to_regclass('common_idempotencyrecord') IS NOT NULL THEN
    GRANT DELETE ON common_idempotencyrecord TO samsnakk_server;
  END IF;
END
$$;
