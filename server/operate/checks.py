"""`manage.py check --deploy` says what `serve` would refuse; whoever runs another ASGI server runs this first."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error

from server.operate.preflight import choice_faults, production_faults


def production(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    return [Error(fault, id="operate.E001") for fault in [*choice_faults(), *production_faults()]]
