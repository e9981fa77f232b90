from importlib import import_module

from django.apps import AppConfig
from django.core import checks


class VaultConfig(AppConfig):
    name = "server.vault"
    label = "vault"

    def ready(self) -> None:
        # By name: the checks import the models, which must not be imported before every app is known.
        own = import_module("server.vault.checks")
        checks.register(own.master_keys, checks.Tags.security, deploy=True)
