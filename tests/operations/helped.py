"""Calls for help, pages that are answered and sessions that are refreshed, all the while processes are restarted."""

import asyncio
import hashlib
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from tests.faults.clients import Times, check_problem
from tests.faults.ledger import Ledger
from tests.faults.stage import Somebody
from tests.operations.site import Site, crowd
from tests.support.served import ROOT

API = "/api/v1"
FOR_HELP = (f"{API}/alerts", f"{API}/notify")
"""Never told to come later: no limit counts these."""
PATIENCE_S = 60.0
AGAIN_S = 0.1
REFRESHABLE = """
    UPDATE people_session SET refresh_digest = %s, rotated_at = now(), idle_until = expiry, ends_at = expiry
    WHERE user_id = %s
"""
PAGES = """
    SELECT a.id::text, array_agg(d.id::text), count(d.accepted_at) FROM alerts_alert a
    LEFT JOIN notify_delivery d ON d.about = a.id AND d.kind = 'page' AND d.channel = 'voice'
    WHERE a.id = ANY(%s::uuid[]) GROUP BY a.id
"""
"""Of each call for help: whom the router has rung, and how often the gateway has taken that."""


@dataclass
class Helped:
    """What was asked and answered; every request is said again until it is."""

    site: Site
    ledger: Ledger
    keys: list[str]
    somebody: Somebody
    refresh_token: str
    client: httpx.AsyncClient
    calls: dict[str, float] = field(default_factory=dict)
    """The call's id → seconds until it was answered."""
    answered: set[str] = field(default_factory=set)
    """Orders of the gateway at which somebody has pressed a key, and we have said that we know."""
    refreshed: int = 0
    again: Counter[str] = field(default_factory=Counter)
    """Why something was said again: a status, or what broke."""

    async def _said(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The answer 2xx, at the latest after some tries. What is no «not now» is a fault of ours."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            assert time.monotonic() < deadline, f"{method} {path.split('/')[3]}: never answered"
            try:
                answer = await self.client.request(method, path, **more)
            except httpx.TransportError as error:
                self.again[type(error).__name__] += 1
            else:
                if answer.is_success:
                    return answer
                self.again[str(answer.status_code)] += 1
                code = check_problem(answer, self.ledger)
                if answer.status_code == 429 and not path.startswith(FOR_HELP):
                    await asyncio.sleep(float(answer.headers["Retry-After"]))
                elif answer.status_code != 503:
                    self.ledger.fault(f"{method} {path.split('/')[3]}: {answer.status_code} {code}")
                    return answer
            await asyncio.sleep(AGAIN_S)

    async def call(self) -> None:
        """One more patient presses the button on a phone whose session is long over."""
        alert, begun = str(uuid4()), time.monotonic()
        answer = await self._said(
            "PUT", f"{API}/alerts/{alert}", headers={"Authorization": f"Alert-Key {self.keys.pop()}"}, json={}
        )
        if answer.json().get("id") != alert:
            self.ledger.fault("a call for help was answered with another")
        self.calls[alert] = time.monotonic() - begun

    async def refresh(self) -> None:
        """The next pair of tokens, and the new one is used."""
        said = (await self._said("POST", f"{API}/sign-in/refresh", json={"refresh": self.refresh_token})).json()
        if "refresh" in said:
            self.refresh_token, self.refreshed = said["refresh"], self.refreshed + 1
            await self._said("GET", f"{API}/me", headers={"Authorization": f"Bearer {said['token']}"})

    async def answer(self) -> None:
        """Whoever is rung presses «1» at once."""
        for order in self.site.gateway.of("voice"):
            if order["id"] not in self.answered:
                # Said again it is the same event: the gateway repeats itself until it is answered.
                path, headers, body = self.site.gateway.said(order, "key", key="1")
                await self._said("POST", path, headers=headers, content=body)
                self.answered.add(order["id"])

    def missing(self) -> set[str]:
        """Calls for help about which nobody has been rung and answered."""
        with self.site.database.connect("samsnakk") as superuser:
            found = superuser.execute(PAGES, [list(self.calls)]).fetchall()
        return set(self.calls) - {alert for alert, rung, taken in found if taken and self.answered & set(rung)}

    def __str__(self) -> str:
        return (
            f"{len(self.calls)} calls for help, answered {Times(list(self.calls.values()))}; {len(self.answered)} rung "
            f"who answered; {self.refreshed} refreshes; said again {dict(self.again) or 'never'}"
        )


@asynccontextmanager
async def helping(site: Site, ledger: Ledger, *, patients: int, pause_s: float) -> AsyncIterator[Helped]:
    """Works until the block ends; then everything that was begun is finished."""
    keys = build(site, patients)
    [room] = crowd(site.machine, site.database, rooms=1, members=2)
    token = secrets.token_hex(32)
    with site.database.connect("samsnakk") as superuser:
        superuser.execute(REFRESHABLE, [hashlib.sha512(token.encode()).hexdigest(), room.patient.user])
    async with httpx.AsyncClient(base_url=site.base, verify=False, timeout=30) as client:
        helped = Helped(site, ledger, keys, room.patient, token, client)
        stop = asyncio.Event()
        work = [
            asyncio.create_task(_again(deed, every_s, stop))
            for deed, every_s in ((helped.call, pause_s), (helped.refresh, 2.0), (helped.answer, 0.1))
        ]
        try:
            yield helped
        finally:
            stop.set()
        await asyncio.wait_for(asyncio.gather(*work), PATIENCE_S)
        deadline = time.monotonic() + PATIENCE_S
        while missing := helped.missing():
            assert time.monotonic() < deadline, f"nobody was called about {missing}"
            await asyncio.sleep(0.2)
            await helped.answer()


async def _again(deed: Callable[[], Awaitable[None]], every_s: float, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await deed()
        await asyncio.sleep(every_s)


def build(site: Site, patients: int) -> list[str]:
    """An after-hours service with a telephone that is always answered, and patients' alert keys."""
    etc = site.machine.folder / "etc"
    env = site.database.environment(
        "samsnakk_server",
        MASTER_KEYS=(etc / "master.keys").read_text().strip(),
        VAPID_KEY_FILE=str(etc / "vapid.pem"),
    )
    made = subprocess.run(
        [sys.executable, "-m", "bench.night", str(patients)],
        cwd=ROOT,
        env=env,
        input="{}",
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr[-3000:]
    return made.stdout.split()
