"""The demo town's gateway, under the name that tests know."""

from server.operate.town.gateway import Call, GatewaySink

__all__ = ["Call", "GatewaySink"]
