"""Why a socket ended is counted under few names, whatever a client says: it could make thousands (O1)."""

from server.gateway import frames, metrics
from tests.gateway.driver import GatewayTestCase
from tests.support.served import sqlite_only

pytestmark = sqlite_only


def counted() -> dict[str, float]:
    samples = [one for family in metrics.CLOSED.collect() for one in family.samples if one.name.endswith("_total")]
    return {one.labels["code"]: one.value for one in samples}


class CloseCodes(GatewayTestCase):
    async def test_a_client_chooses_no_label(self) -> None:
        async with self.gateway() as gateway:
            before = counted()
            for code in (3000, 4200, 4999, frames.SESSION_ENDED, frames.RESTARTING, 1001):
                await (await self.phone(gateway, "kari")).leave(code)
            after = counted()
        more = {code: after[code] - before.get(code, 0) for code in after if after[code] != before.get(code, 0)}
        assert more == {"other": 5, "1001": 1}

    async def test_ours_are_counted_by_code(self) -> None:
        async with self.gateway() as gateway:
            before = counted().get("4400", 0)
            phone = await self.connect(gateway)
            phone.say_text("nothing")
            assert await phone.until_closed() == frames.MALFORMED
            await phone.leave()
            assert counted()["4400"] == before + 1
