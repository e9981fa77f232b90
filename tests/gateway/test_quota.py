"""Posts over sockets spend the same limit as those over REST, whoever opens more sockets; tokens that nobody has are
counted by address. What is for help is not."""

import asyncio
from typing import Any
from unittest import mock
from uuid import uuid4

from server.alerts.demo import build_programme
from server.common import limiting
from server.common.ids import new_id
from server.gateway.quota import Quota
from tests.gateway.driver import GatewayTestCase, Phone
from tests.gateway.test_talk import post
from tests.support.limits import limited
from tests.support.served import sqlite_only

pytestmark = sqlite_only
MANY = 5


class Posts(GatewayTestCase):
    async def comes_to(self, phone: Phone, room: Any) -> str:
        """What one post comes to; then what it has spent is known."""
        name, seen = uuid4().hex, len(phone.frames)
        post(phone, room, txn_id=name)
        found = await phone.wait(lambda one: name in (one.get("txn_id"), one.get("ref")), after=seen)
        await asyncio.sleep(0.05)
        return str(found.get("code", "posted"))

    async def test_another_socket_and_rest_have_the_same_limit(self) -> None:
        with limited(f"message={MANY}/600"):
            async with self.gateway() as gateway:
                one, two, frida = await self.phones(gateway, "kari", "kari", "frida")
                said = [await self.comes_to(phone, self.room) for _ in range(MANY) for phone in (one, two)]
                assert said[:MANY] == ["posted"] * MANY
                assert said[MANY + 1 :] == ["too_many"] * (MANY - 1), "what is counted is known after the post at most"
                assert one.closed is None
                assert await self.comes_to(frida, self.room) == "posted", "nobody else is held back"
                kari = await self.rest(self.person, "kari")
                over_rest = await self.rest(
                    kari.post, f"{self.room.path}/messages", {"txn_id": uuid4().hex, "body": "hei"}
                )
                assert over_rest.status_code == 429

    async def test_help_is_called_for_meanwhile(self) -> None:
        await self.rest(build_programme)
        with limited("message=1/600"):
            async with self.gateway() as gateway:
                are = await self.phone(gateway, "are")
                assert "too_many" in [await self.comes_to(are, self.room) for _ in range(4)]
                person = await self.rest(self.person, "are")
                pressed = await self.rest(person.put, f"alerts/{new_id()}", {})
                assert pressed.status_code in (200, 201)

    async def test_ordinary_people_cost_nothing(self) -> None:
        """Only whoever writes much is asked about."""
        with limited("message=1200/60"), mock.patch.object(limiting, "spend_each") as asked:
            async with self.gateway() as gateway:
                kari = await self.phone(gateway, "kari")
                for _ in range(10):
                    assert await self.comes_to(kari, self.room) == "posted"
        assert asked.call_count == 0

    async def test_what_was_written_long_ago_is_not_added_up(self) -> None:
        with limited("message=40/60"):
            quota = Quota()
            with mock.patch("server.gateway.quota.time", mock.Mock()) as clock:
                for number in range(20):
                    clock.monotonic.return_value = number * 61.0
                    assert quota.take("somebody") is None


class Guessing(GatewayTestCase):
    async def closed(self, gateway: Any, **said: str) -> int:
        phone = await self.connect(gateway)
        phone.say(type="hello", protocol=1, cursors={}, **said)
        return await phone.until_closed()

    async def test_tokens_that_nobody_has(self) -> None:
        await self.rest(build_programme)
        trine = await self.rest(self.person, "trine")
        key = (await self.rest(trine.ok, "post", "alert-keys", {"label": "Mobilen"}))["key"]
        with limited("hello=3/600"):
            async with self.gateway() as gateway:
                codes = [await self.closed(gateway, token="0" * 64) for _ in range(2)]
                codes += [await self.closed(gateway, alert_key="0" * 64) for _ in range(3)]
                assert codes == [4401] * 3 + [4429] * 2
                await self.phone(gateway, "kari")
                phone = await self.connect(gateway)
                await phone.hello(None, alert_key=key)
                assert phone.closed is None, "and a key that is right gets in from there"
