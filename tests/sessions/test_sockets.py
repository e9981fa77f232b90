"""A session's sockets: open over a refresh, closed within a second at its end, and when nobody refreshes it."""

import asyncio
import time
from datetime import timedelta
from typing import Any

from server.common.clock import now
from server.gateway import frames
from server.people.models import Session
from tests.base import Client, TownTransactionTestCase
from tests.gateway.driver import SLACK_S, GatewayTestCase, quiet
from tests.sessions.base import Device, Devices, env, refused

ENDS_S = 1.0
"""Promised."""


class Sockets(Devices, GatewayTestCase):
    """`heartbeat_s` is long: what closes is the hint, or the timer."""

    heartbeat_s = 60.0

    async def begin(self, gateway: Any, device: Device) -> Any:
        phone = await self.connect(gateway)
        await phone.hello(device.token)
        return phone

    def lasts(self, device: Device, seconds: float) -> None:
        Session.objects.filter(sid=device.session.sid).update(expiry=now() + timedelta(seconds=seconds))

    async def test_it_goes_on_over_a_refresh_past_the_first_tokens_end(self) -> None:
        device = await self.rest(self.device, "are")
        await self.rest(self.lasts, device, 1.5)
        async with self.gateway() as gateway:
            phone = await self.begin(gateway, device)
            await self.rest(device.again)
            await asyncio.sleep(2.2)
            assert phone.closed is None
            phone.say(type="ping")
            await phone.wait("pong")

    async def test_nobody_refreshed_it(self) -> None:
        """By the timer alone: no worker, no hint, no heartbeat. Red when the timer is set once and for all."""
        device = await self.rest(self.device, "are")
        await self.rest(self.lasts, device, 1.0)
        async with self.gateway() as gateway:
            phone = await self.begin(gateway, device)
            await self.rest(device.again)
            await self.rest(self.lasts, device, 2.0)
            began = time.monotonic()
            assert await phone.until_closed() == frames.SESSION_ENDED
            assert time.monotonic() - began < 2.0 + ENDS_S + SLACK_S

    async def test_a_hello_is_use_too(self) -> None:
        """Red when a token that opened a socket counts as never used."""
        device = await self.rest(self.device, "are")
        stolen = device.refresh
        await self.rest(lambda: device.again(used=False))
        async with self.gateway() as gateway:
            await self.begin(gateway, device)
            await self.rest(device.wind, timedelta(minutes=2))
            await self.rest(refused, "refresh_reused", stolen)

    async def test_the_old_tokens_let_nobody_in(self) -> None:
        device = await self.rest(self.device, "are")
        before = device.token
        await self.rest(device.again)
        async with self.gateway() as gateway:
            phone = await self.connect(gateway)
            phone.say(type="hello", protocol=1, cursors={}, token=before)
            assert await phone.until_closed() == frames.SESSION_ENDED
            await self.begin(gateway, device)

    async def test_signed_out_there_it_closes_at_once(self) -> None:
        lost, here = await self.rest(self.device, "are"), await self.rest(self.device, "are")
        async with self.gateway() as gateway:
            phone, mine = await self.begin(gateway, lost), await self.begin(gateway, here)
            began = time.monotonic()
            await self.rest(here.client.ok, "delete", f"me/sessions/{lost.session.sid}")
            assert await phone.until_closed() == frames.SESSION_ENDED
            assert time.monotonic() - began < ENDS_S + SLACK_S
            assert mine.closed is None

    async def test_a_reused_token_closes_both_sides(self) -> None:
        device = await self.rest(self.device, "are")
        stolen = device.refresh
        async with self.gateway() as gateway:
            phone = await self.begin(gateway, device)
            await self.rest(device.again)
            thief = await self.begin(gateway, device)
            await self.rest(device.wind, timedelta(minutes=2))
            await self.rest(self.lasts, device, 600)
            began = time.monotonic()
            await self.rest(refused, "refresh_reused", stolen)
            for one in (phone, thief):
                assert await one.until_closed() == frames.SESSION_ENDED
            assert time.monotonic() - began < ENDS_S + SLACK_S


class LostHints(Devices, GatewayTestCase):
    async def test_the_heartbeat_closes_what_no_hint_did(self) -> None:
        device = await self.rest(self.device, "are")
        async with self.gateway() as gateway:
            phone = await self.connect(gateway)
            await phone.hello(device.token)
            await quiet(phone)
            await self.rest(lambda: Session.objects.update(ended_at=now(), end_reason="signed_out"))
            assert await phone.until_closed() == frames.SESSION_ENDED


class Served(Devices, TownTransactionTestCase):
    def test_the_answer_says_until_when(self) -> None:
        with env(access_minutes=5):
            device = self.device("are")
            said = Client().ok("post", "sign-in/refresh", {"refresh": device.refresh})
        row = device.row()
        assert said["expires_at"] == row.expiry.isoformat().replace("+00:00", "Z")
        assert row.valid_until == row.expiry
