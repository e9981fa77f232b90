from django.apps import AppConfig

from server.common.ports import unbound


class WiringConfig(AppConfig):
    """Binds every port once all models are loaded; refuses to start with one unbound."""

    name = "server"
    label = "wiring"

    def ready(self) -> None:
        from server.wiring import bind_ports  # noqa: PLC0415 - models must be loaded first

        bind_ports()
        if missing := unbound():
            raise SystemExit(f"samsnakk: ports without an implementation: {', '.join(missing)}")
