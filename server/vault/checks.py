"""`manage.py check --deploy` says what `serve` would refuse."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error

from server.vault.actions import startup_check


def master_keys(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    return [Error(fault, id="vault.E001") for fault in startup_check()]
