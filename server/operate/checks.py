"""`manage.py check --deploy` says what `serve` would refuse or warn of; with another ASGI server it is run first."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.core.checks import CheckMessage, Error

from server.operate.preflight import choice_faults, production_faults, production_warnings


def production(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    faults = [Error(fault, id="operate.E001") for fault in [*choice_faults(), *production_faults()]]
    return [*faults, *(checks.Warning(said, id="operate.W001") for said in production_warnings())]
