"""Doing many things that are due, where one that fails must keep no other waiting."""

from collections.abc import Callable
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError

log = structlog.get_logger(__name__)


def attempt(deed: Callable[..., bool], *args: Any) -> bool:
    """What `deed` answers; False when it fails, which is logged: it stays due. Raises OperationalError,
    InterfaceError when the database is gone."""
    try:
        return deed(*args)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("left_due", deed=getattr(deed, "__name__", "?"))
        return False
