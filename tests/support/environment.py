"""The environment of every test process: demo mode, no throttles, and a folder of its own that goes away with it.

`DATABASE_URL` and `REDIS_URL` stay as they are: unset, tests run on SQLite with the in-process layer.
"""

import atexit
import importlib
import logging.config
import os
import shutil
import sys
import tempfile
from pathlib import Path

MARK = "SAMSNAKK_TEST_PROCESS"
MEMORY = Path("/dev/shm")
ROOM = 1024**3
UNSET = ("MASTER_KEYS", "MASTER_KEY_FILE", "SECRET_KEY", "ALLOWED_HOSTS", "TRUSTED_ORIGINS", "BEHIND_TLS")


def prepare() -> None:
    """Set the environment, once per process; settings that pytest-django has read before us are read again."""
    if os.environ.get(MARK) == str(os.getpid()):
        return
    folder, owner = Path(tempfile.mkdtemp(prefix="samsnakk-test-", dir=_memory())), os.getpid()

    def tidy() -> None:
        if os.getpid() == owner:  # not in a fork
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(tidy)
    os.environ |= {
        MARK: str(owner),
        "DJANGO_SETTINGS_MODULE": "server.settings",
        "MODE": "demo",
        "THROTTLE": "0",
        "AUDIT_PUBLIC_EVERY_S": "0",
        "DEBUG": "0",
        "WATCHDOG": "0",
        "VAR_DIR": str(folder),
    }
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    for name in UNSET:
        os.environ.pop(name, None)
    if "server.settings" in sys.modules:
        _read_again()


def _memory() -> Path | None:
    """Where a file system in memory has room: a test's own SQLite need not outlive the machine, and each commit of it
    waits for the disk. Servers that tests start and kill keep their files on the disk."""
    has_room = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    return MEMORY if has_room else None


def _read_again() -> None:
    """pytest-django reads the settings that pytest's ini names before it reads a conftest, in whatever environment the
    shell had. No connection has been opened and no address been resolved by then."""
    from django.conf import settings  # noqa: PLC0415 - only when it is there already
    from django.db import connections  # noqa: PLC0415 - as above
    from rest_framework.settings import api_settings  # noqa: PLC0415 - as above

    importlib.reload(sys.modules["server.settings.env"])
    module = importlib.reload(sys.modules["server.settings"])
    for name in filter(str.isupper, dir(module)):
        setattr(settings, name, getattr(module, name))
    for alias in list(connections):
        if hasattr(connections._connections, alias):  # type: ignore[attr-defined]
            del connections[alias]  # made, not opened
    connections.__dict__.pop("settings", None)
    connections._settings = None  # type: ignore[attr-defined]
    api_settings.reload()
    views = sys.modules.get("rest_framework.views")
    if views is not None:
        views.APIView.throttle_classes = api_settings.DEFAULT_THROTTLE_CLASSES
    logging.config.dictConfig(settings.LOGGING)


prepare()
