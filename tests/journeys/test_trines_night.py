"""Trine's night against a real server, a real push service and a real gateway (M3): the page is received and nobody
wakes, the telephone rings, Ida accepts by a key press, and Mona has it in the morning."""

import asyncio

from server.operate.night import TrinesNight
from server.operate.town.gateway import GatewaySink
from server.operate.town.push_service import PushService
from server.settings.env import TOWN_SECRET
from tests.gateway.servers import Server


def test_the_night(served: Server, town_port: int) -> None:
    lines: list[str] = []
    with PushService(town_port + 1) as push, GatewaySink(TOWN_SECRET, town_port) as gateway:
        night = TrinesNight(served.url, lines.append, push, gateway)
        asyncio.run(night.play())
        faults = gateway.faults + night.nils_phone.faults
    assert night.checks == sum("✓" in line for line in lines) >= 24
    assert not faults, "what we sent was signed and sealed as it should be"
    said = served.log.read_text(errors="replace")
    for secret in ("Trine", "Holmåsen", "Orker", "hunden", night.key, "+4740000012"):
        assert secret not in said, "nothing of it stands in the server's log"
