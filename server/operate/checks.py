"""`manage.py check --deploy`: what `serve` would refuse or warn of, and what else an installation can get wrong. With
another ASGI server it is run first."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - what Django calls it

from server.notify import setup
from server.operate import hardening
from server.operate.preflight import choice_faults, log_warnings, refusals


def production(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    return [
        *(Error(said, id="samsnakk.E001") for said in choice_faults()),
        *(Error(said, id=code) for code, said in refusals()),
        *(Warning(said, id="samsnakk.W001") for said in log_warnings()),
        *(Warning(said, id="samsnakk.W011") for said in setup.production_warnings()),
        *hardening.found(),
    ]
