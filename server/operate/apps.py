from importlib import import_module

from django.apps import AppConfig
from django.core import checks


class OperateConfig(AppConfig):
    name = "server.operate"
    label = "operate"

    def ready(self) -> None:
        # By name: what the checks import must not be imported before every app is known.
        checks.register(import_module("server.operate.checks").production, checks.Tags.security, deploy=True)
