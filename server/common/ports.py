"""Typed ports: what a lower floor needs from a higher one. `server/wiring.py` binds each; start-up refuses a gap."""

from typing import Generic, TypeVar, cast

T = TypeVar("T")

_PORTS: dict[str, "Port[object]"] = {}


class UnboundPort(RuntimeError):
    """A port was called, or the server started, before `wiring.py` bound it."""


class Port(Generic[T]):
    """A named place for one implementation of a Protocol."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._bound: T | None = None
        _PORTS[name] = cast("Port[object]", self)

    def bind(self, implementation: T) -> None:
        self._bound = implementation

    @property
    def bound(self) -> bool:
        return self._bound is not None

    def __call__(self) -> T:
        if self._bound is None:
            raise UnboundPort(f"port {self.name} is not bound")
        return self._bound


def unbound() -> list[str]:
    """Names of ports that nothing is bound to."""
    return sorted(name for name, port in _PORTS.items() if not port.bound)
