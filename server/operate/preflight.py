"""What must be right before anything is served; each fault is one clear line, never a traceback."""

import errno
import ipaddress
import os
import socket
from io import StringIO
from typing import NamedTuple

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from psycopg.conninfo import conninfo_to_dict

from server.audit import keys, mailing
from server.common import limiting
from server.consent import forms
from server.notify import setup
from server.review import keeping, retention
from server.vault.actions import startup_check

INSECURE = "demo-only"


def folder_fault() -> str | None:
    """The folder for data must be there and writable."""
    folder = settings.ENV.var_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"cannot make the folder {folder}: {error.strerror}. Set VAR_DIR to one that can be written."
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"cannot write in the folder {folder}. Set VAR_DIR to one that can be written."
    return None


def port_fault(host: str, port: int) -> str | None:
    """The port must be free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return f"port {port} on {host} is taken. Set PORT to another, or stop what listens there."
        return f"cannot listen on {host}, port {port}: {error.strerror}."
    return None


def choice_faults() -> list[str]:
    """What the installation turns on must be something that the forms know: a misspelt code would turn on nothing."""
    named = {
        "CAPACITIES": (settings.ENV.capacities, forms.capacities()),
        "STATUTORY_GROUNDS": (settings.ENV.statutory_grounds, forms.statutory_grounds()),
    }
    faults = [
        f"{setting} names a code that is not known. Known: {', '.join(sorted(known))}."
        for setting, (codes, known) in named.items()
        if set(codes) - set(known)
    ]
    if settings.ENV.audit_mail_to and not settings.ENV.email_url:
        faults.append("AUDIT_MAIL_TO names officers, and EMAIL_URL no mail server that would reach them.")
    if fault := store_fault():
        faults.append(fault)
    try:
        retention.rules()
    except retention.Unusable as fault:
        faults.append(f"RETENTION_FILE cannot be used: {fault}")
    try:
        keeping.rules()
    except retention.Unusable as fault:
        faults.append(f"KEEPING_FILE cannot be used: {fault}")
    try:
        limiting.rates()
    except limiting.Unusable as fault:
        faults.append(f"RATE_LIMITS cannot be used: {fault}.")
    return [*faults, *setup.faults()]


def store_fault() -> str | None:
    """The sequencer's memory must lie outside the database that it seals."""
    if (store := _store()) is None or store != _log():
        return None
    return (
        "AUDIT_STORE names the database that holds the log: whoever restores one restores both, and the sequencer "
        "would not notice."
    )


def production_faults() -> list[str]:
    """What `serve` refuses in production."""
    return [said for _, said in refusals()]


def refusals() -> list[tuple[str, str]]:
    """What production refuses: demo mode's conveniences, debugging, secrets that everybody knows, proxies that nobody
    named. Each with the id under which `check --deploy` says it."""
    env, found = settings.ENV, []
    if settings.DEBUG:
        found.append(("samsnakk.E002", "DEBUG is on."))
    secret = env.secret_key  # Django raises at the sight of an empty one
    if len(secret) < 50 or INSECURE in secret:
        found.append(("samsnakk.E003", "SECRET_KEY is missing, or shorter than 50 characters."))
    elif len(set(secret)) < 16:
        found.append(("samsnakk.E003", "SECRET_KEY repeats a few characters: make one that nobody guesses."))
    if not settings.ALLOWED_HOSTS or "*" in settings.ALLOWED_HOSTS:
        found.append(("samsnakk.E004", "ALLOWED_HOSTS must name the hosts that are served."))
    if settings.EMBEDDED and not env.pilot:
        said = "DATABASE_URL is missing: SQLite is for a pilot of a few patients in one process (PILOT=true)."
        found.append(("samsnakk.E005", said))
    if not env.redis_url and not (settings.EMBEDDED and env.pilot):
        found.append(("samsnakk.E006", "REDIS_URL is missing: the in-process layer reaches one process only."))
    if env.behind_tls and not env.trusted_proxies:
        said = "BEHIND_TLS needs TRUSTED_PROXIES, the proxies' addresses: what nobody vouches for is dropped."
        found.append(("samsnakk.E007", said))
    if any(ipaddress.ip_network(one).prefixlen == 0 for one in env.trusted_proxies):
        found.append(("samsnakk.E008", "TRUSTED_PROXIES names everybody: then anybody says where they come from."))
    return [*found, *(("samsnakk.E009", said) for said in setup.production_faults())]


def production_warnings() -> list[str]:
    """What production may do, and somebody should know; nothing is refused."""
    return [*log_warnings(), *setup.production_warnings()]


def log_warnings() -> list[str]:
    """What would let the log be rewritten unnoticed, or not sealed."""
    found, store, log = [], _store(), _log()
    if settings.ENV.audit_checkpoint_dir is None and not _anybody_gets_mail():
        found.append(
            "checkpoints are kept nowhere but here: a database that is restored together with the sequencer's store "
            "would go unnoticed. Set AUDIT_CHECKPOINT_DIR, or EMAIL_URL and officers' addresses."
        )
    if settings.ENV.sequencer and not keys.file().exists():
        found.append(
            f"SEQUENCER is on, and there is no key at {keys.file()}: nothing is sealed here. Set SEQUENCER=0 where "
            "`manage.py audit sequence` seals; else make a key with `manage.py audit keygen`."
        )
    if store is not None and log is not None and store != log and store.server == log.server:
        found.append(
            "AUDIT_STORE is on the server that holds the log: whoever restores that server restores both, and the "
            "sequencer would not notice."
        )
    return found


class Place(NamedTuple):
    """Where a PostgreSQL database is, as far as its address says."""

    server: tuple[str, str]
    name: str


def _store() -> Place | None:
    if not settings.ENV.audit_store:
        return None
    try:
        said = conninfo_to_dict(settings.ENV.audit_store)
    except psycopg.Error:
        return None  # the store itself says what is wrong with it
    return _place(said.get("host"), said.get("port"), said.get("dbname") or said.get("user"))


def _log() -> Place | None:
    said = settings.DATABASES["default"]
    return None if settings.EMBEDDED else _place(said.get("HOST"), said.get("PORT"), said.get("NAME"))


def _place(host: object, port: object, name: object) -> Place:
    said = str(host or "").lower().rstrip(".")
    return Place(("" if is_here(said) else said, str(port or 5432)), str(name or ""))


def is_here(host: str) -> bool:
    """This machine, by whichever name or socket."""
    try:
        return host in ("", "localhost") or host.startswith("/") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _anybody_gets_mail() -> bool:
    try:
        return bool(mailing.recipients())
    except DatabaseError:
        return False  # not made yet, or away, which is said elsewhere


def database_fault() -> str | None:
    """The database must answer."""
    try:
        connection.ensure_connection()
    except DatabaseError:
        return "the database does not answer. Is DATABASE_URL right, and is the server running?"
    return None


def bring_up_to_date() -> str | None:
    """Migrate where nobody else does (embedded, demo); in production an administrator does, knowingly."""
    pending = MigrationExecutor(connection).migration_plan(MigrationExecutor(connection).loader.graph.leaf_nodes())
    if not pending:
        return None
    if not settings.DEMO and not settings.EMBEDDED:
        return f"{len(pending)} migrations wait. Back up, then run: manage.py migrate"
    call_command("migrate", interactive=False, verbosity=0, stdout=StringIO())
    return None


def key_faults() -> list[str]:
    """Master keys that are missing, weak in production, or do not open what is stored."""
    return startup_check()
