"""What an installation can get wrong without anything failing: who may read its keys, what goes over the network in the
open, what nobody has decided yet. For `manage.py check --deploy`; texts name settings and files, never values."""

import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - what Django calls it

from server.audit import keys
from server.notify import vapid
from server.operate.preflight import is_here
from server.people.oidc import providers
from server.review import retention

OTHERS = stat.S_IRWXG | stat.S_IRWXO
VERIFIED = ("verify-full", "verify-ca")
OPEN = ("", "disable", "allow", "prefer")


def found() -> Iterator[CheckMessage]:
    yield from _files()
    yield from _master_keys()
    yield from _database()
    yield from _redis()
    yield from _outside()
    yield from _undecided()


def _files() -> Iterator[CheckMessage]:
    """Keys are for the service's own user: not for its group, and for nobody else."""
    env = settings.ENV
    named = {
        ("samsnakk.E012", "MASTER_KEY_FILE"): env.master_key_file,
        ("samsnakk.E013", "VAPID_KEY_FILE"): vapid.file(),
        ("samsnakk.E014", "AUDIT_KEY_FILE"): keys.file() if env.sequencer or env.audit_key_file else None,
        ("samsnakk.E015", "SIGN_IN_FILE"): env.sign_in_file,
    }
    for (code, setting), path in named.items():
        if path is None:
            continue
        mode = _mode(path)
        if mode is None:
            if setting == "SIGN_IN_FILE":
                yield Error(f"{setting} cannot be read: nobody can sign in.", id=code)
        elif mode & OTHERS:
            yield Error(f"The file of {setting} is open to others than its owner: chmod 600.", id=code)


def _master_keys() -> Iterator[CheckMessage]:
    env = settings.ENV
    if not env.master_key_file and not env.master_keys:
        yield Error("No master key: set MASTER_KEY_FILE.", id="samsnakk.E010")
    elif not env.master_key_file:
        said = "MASTER_KEYS stands in the environment, which every child process sees and crash reports copy"
        yield Warning(f"{said}: use MASTER_KEY_FILE.", id="samsnakk.W002")
    beside = [env.var_dir]
    if settings.EMBEDDED:
        beside.append(Path(settings.DATABASES["default"]["NAME"]).parent)
    if env.master_key_file and any(_lies_in(env.master_key_file, folder) for folder in beside):
        said = "MASTER_KEY_FILE lies with the data that it opens: whoever copies one has both. Keep it elsewhere."
        yield Error(said, id="samsnakk.E011")


def _database() -> Iterator[CheckMessage]:
    if settings.EMBEDDED:
        return
    said = settings.DATABASES["default"]
    host = str(said.get("HOST") or "")
    if is_here(host):
        return
    mode = str(said.get("OPTIONS", {}).get("sslmode", ""))
    if mode in OPEN:
        text = (
            "The database is on another machine, and may be spoken to in the open: sslmode=verify-full in DATABASE_URL."
        )
        yield Error(text, id="samsnakk.E016")
    elif mode not in VERIFIED:
        text = "The database's certificate is not verified: sslmode=verify-full in DATABASE_URL."
        yield Warning(text, id="samsnakk.W003")


def _redis() -> Iterator[CheckMessage]:
    parts = urlsplit(settings.ENV.redis_url)
    if not settings.ENV.redis_url or parts.scheme == "unix" or is_here(parts.hostname or ""):
        return
    if parts.scheme != "rediss":
        yield Error(
            "Redis is on another machine and spoken to in the open: rediss:// in REDIS_URL.", id="samsnakk.E017"
        )
    elif "none" in parse_qs(parts.query).get("ssl_cert_reqs", []):
        yield Warning("Redis' certificate is not verified: REDIS_URL says ssl_cert_reqs=none.", id="samsnakk.W004")
    if not unquote(parts.password or ""):
        text = "Redis is on another machine and asks for no password: whoever reaches it reads hints and resets limits."
        yield Error(text, id="samsnakk.E018")


def _outside() -> Iterator[CheckMessage]:
    """How the world reaches us."""
    env = settings.ENV
    if not env.throttle:
        text = "THROTTLE is off: nobody who guesses, and no client that runs away, is held back."
        yield Warning(text, id="samsnakk.W005")
    if not env.behind_tls:
        text = "BEHIND_TLS is off: no proxy says that a request came over TLS, so every one is sent to https, for ever."
        yield Warning(text, id="samsnakk.W006")
    if not env.public_url:
        yield Warning("PUBLIC_URL is missing: what reaches us from gateways and providers cannot.", id="samsnakk.W007")
    elif urlsplit(env.public_url).scheme != "https":
        yield Error("PUBLIC_URL is not https: what is said there is said in the open.", id="samsnakk.E019")
    yield from _sign_in()
    if env.log_level == "DEBUG":
        yield Warning("LOG_LEVEL is DEBUG: logs tell more about who does what when.", id="samsnakk.W009")


def _sign_in() -> Iterator[CheckMessage]:
    if settings.ENV.sign_in_file is None:
        text = "SIGN_IN_FILE is missing: only who is let in by a colleague can sign in."
        yield Warning(text, id="samsnakk.W008")
    elif wrong := providers.fault():
        yield Error(f"{wrong}.", id="samsnakk.E020")
    else:
        for text in providers.missing():
            yield Warning(f"{text}.", id="samsnakk.W012")
        if any((_mode(path) or 0) & OTHERS for path in providers.key_files()):
            yield Error("A key file of SIGN_IN_FILE is open to others than its owner: chmod 600.", id="samsnakk.E015")


def _undecided() -> Iterator[CheckMessage]:
    try:
        if not retention.rules().confirmed_by:
            text = "Nobody has confirmed for how long the log is kept (RETENTION_FILE, confirmed_by)."
            yield Warning(text, id="samsnakk.W010")
    except retention.Unusable:
        return  # said among the faults


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except OSError:
        return None


def _lies_in(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
