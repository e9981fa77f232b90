"""What must be right before anything is served; each fault is one clear line, never a traceback."""

import errno
import os
import socket
from io import StringIO

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from server.consent import forms
from server.review import retention
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
    try:
        retention.rules()
    except retention.Unusable as fault:
        faults.append(f"RETENTION_FILE cannot be used: {fault}")
    return faults


def production_faults() -> list[str]:
    """What production refuses: demo mode's conveniences, debugging, secrets that everybody knows."""
    faults = []
    if settings.DEBUG:
        faults.append("DEBUG is on.")
    secret = settings.ENV.secret_key  # Django raises at the sight of an empty one
    if len(secret) < 50 or INSECURE in secret:
        faults.append("SECRET_KEY is missing, or shorter than 50 characters.")
    if not settings.ALLOWED_HOSTS or "*" in settings.ALLOWED_HOSTS:
        faults.append("ALLOWED_HOSTS must name the hosts that are served.")
    if settings.EMBEDDED and not settings.ENV.pilot:
        faults.append("DATABASE_URL is missing: SQLite is for a pilot of a few patients in one process (PILOT=true).")
    if not settings.ENV.redis_url and not (settings.EMBEDDED and settings.ENV.pilot):
        faults.append("REDIS_URL is missing: the in-process layer reaches one process only.")
    return faults


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
