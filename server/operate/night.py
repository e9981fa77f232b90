"""Trine's night, played against a running server through the public API (`make story`): she presses at 02:10 with a
session that is over; Nils's phone receives, and he sleeps; the telephone wakes Ida; in the morning Mona has it.

The town's push service and gateway run here, where `TOWN_PORT` of the server says (`operate/town`).
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
from django.conf import settings

from server.operate.players import Device, Frame, Person, Story, StoryFailed, Tell
from server.operate.town.gateway import GatewaySink
from server.operate.town.push_service import Message, PushService, Subscription

RINGS_S = 4
"""The night is shorter than a night: the telephone rings after so long, in life at latest after 60 s."""
ANSWERS_S = 15.0
PHONE = "Telefonen i natt"
SECRETS = ("Trine", "Holmåsen", "Sover", "Orker")
"""Nothing of this may stand in what goes over the push service or the gateway."""


class TrinesNight(Story):
    """Trine, Nils, Ida and Mona; may be played again and again."""

    def __init__(self, base: str, tell: Tell, push: PushService, gateway: GatewaySink) -> None:
        super().__init__(tell)
        self._base, self._push, self._gateway = base, push, gateway
        self.trine, self.nils, self.ida, self.mona = (Person(name, base) for name in ("trine", "nils", "ida", "mona"))
        self.alert = str(uuid4())
        self.programme = ""
        self.key = ""
        self.phone: Device
        self.nils_phone: Subscription
        self._http = httpx.AsyncClient(base_url=f"{base}/api/v1/", timeout=30)

    async def play(self) -> None:
        """The whole night. Raises StoryFailed, or the network's errors."""
        people = (self.trine, self.nils, self.ida, self.mona)
        try:
            await asyncio.gather(*(person.sign_in() for person in people))
            await self._evening()
            await self._presses()
            await self._nils_sleeps()
            await self._ida_wakes()
            await self._they_speak()
            await self._morning()
            await self._who_has_seen()
        finally:
            with contextlib.suppress(AttributeError):
                await self.phone.close()
            await self._http.aclose()
            await asyncio.gather(*(person.leave() for person in people), return_exceptions=True)

    # --- the evening before ------------------------------------------------------------------------------

    async def _evening(self) -> None:
        self.step("The evening before: Mona says who is called, Nils registers his phone, Trine's phone gets its key")
        await self._tidy_up()
        programmes = (await self.mona.call("GET", "programmes", expect=200))["results"]
        self.programme = next(one["id"] for one in programmes if one["code"] == "muli")
        night = {"channels": ["push", "sms", "voice"], "wait_s": 600, "voice_after_s": RINGS_S}
        steps = [{"targets": ["on_call_now", f"person:{self.ida.user}"], **night}, {"targets": ["final"], **night}]
        await self.mona.call("POST", f"programmes/{self.programme}/policies", {"steps": steps}, expect=201)
        made = await self.trine.call("POST", "alert-keys", {"label": PHONE}, expect=201)
        self.key = made["key"]
        self.check("Trine's phone has a key of its own", len(self.key) > 40)
        keys = (await self.trine.call("GET", "alert-keys", expect=200))["results"]
        since = max(datetime.fromisoformat(one["made_at"]) for one in keys) - timedelta(minutes=5)
        shift = {"user": self.nils.user, "begins": _time(since), "ends": _time(since + timedelta(hours=12))}
        await self.mona.call("POST", f"programmes/{self.programme}/overrides", shift, expect=201)
        on_call = (await self.nils.call("GET", "on-call/now", expect=200))["results"]
        self.check("Nils is on call now", any(self.nils.user in json.dumps(one["now"]) for one in on_call))
        key = (await self.nils.call("GET", "push/key", expect=200))["key"]
        self.nils_phone = self._push.subscribe(key=key, on_message=self._service_worker)
        device = {"subscription": self.nils_phone, "name": "Nils sin telefon"}
        made = await self.nils.call("POST", "devices", device, expect=201)
        await self.nils.call("POST", f"devices/{made['id']}/test", {}, expect=202)
        await self._until(lambda: self._push.received(self.nils_phone), "a test push comes to Nils's phone")
        for person, number in ((self.nils, "+4740000011"), (self.ida, "+4740000012")):
            await person.call("PUT", "me/reach", {"phone": number}, expect=200)

    async def _tidy_up(self) -> None:
        """The night may have been played before, and broken off."""
        for one in (await self.mona.call("GET", "alerts", expect=200))["results"]:
            path = f"alerts/{one['id']}"
            await self._press("cancel", path)
            await self.mona.call("POST", f"{path}/accept", {}, expect=200)
            await self.mona.call("POST", f"{path}/in-contact", {"alone": True}, expect=200)
            await self.mona.call("POST", f"{path}/close", {"outcome": "accident", "children": "unknown"}, expect=200)
        for person in (self.nils, self.ida):
            for device in (await person.call("GET", "devices", expect=200))["results"]:
                await person.call("DELETE", f"devices/{device['id']}", expect=204)
        for key in (await self.trine.call("GET", "alert-keys", expect=200))["results"]:
            if key["label"] == PHONE and key["revoked_at"] is None:
                await self.trine.call("DELETE", f"alert-keys/{key['id']}", expect=200)

    async def _press(self, verb: str, path: str) -> None:
        with contextlib.suppress(StoryFailed):
            await self.trine.call("POST", f"{path}/{verb}", {}, expect=200)

    # --- 02:10 -----------------------------------------------------------------------------------------------

    async def _presses(self) -> None:
        self.step("02:10: Trine presses. Her session is over; her phone's key is not")
        await self.trine.call("POST", "me/sign-out", {}, expect=204)
        refused = await self._http.put(f"alerts/{self.alert}", json={}, headers=_bearer(self.trine.token))
        numbers = [one["number"] for one in refused.json()["numbers"]]
        self.check("the session is refused, and 113 and 116 117 stand in the answer", {"113", "116117"} <= set(numbers))
        body = {"note": "Sover ikke. Orker ikke mer."}
        raised = await self._http.put(f"alerts/{self.alert}", json=body, headers=self._alert_key)
        self.check(f"the key is taken: {raised.status_code}", raised.status_code == 201)
        said = raised.json()
        self.check(f"she reads: «{said['lines'][-1]['text']}», and no more", len(said["lines"]) == 1)
        self.check("with the duty telephone and 113 beside it", len(said["numbers"]) == 3)
        again = await self._http.put(f"alerts/{self.alert}", json=body, headers=self._alert_key)
        self.check("her phone repeats it: the same call, 200", again.status_code == 200)
        self.phone = Device("Trine's phone", self._base.replace("http", "ws", 1) + "/ws/v1", "", alert_key=self.key)
        await self.phone.open()
        frame = await self.phone.wait(self._status())
        self.check("her phone follows it over the socket", frame["alert"]["id"] == self.alert)

    def _service_worker(self, message: Message) -> None:
        """Nils's phone shows it and says so; Nils sleeps."""
        if "token" in message:
            httpx.post(f"{self._base}/api/v1/pages/{message['token']}/receipt", timeout=10)

    async def _nils_sleeps(self) -> None:
        self.step("Nils's phone receives it, and Nils sleeps")
        pages = await self._until(
            lambda: [one for one in self._push.received(self.nils_phone) if one["kind"] == "page"],
            "a page comes to Nils's phone",
        )
        page = pages[0]
        self.check(f"his lock screen says «{page['title']}»", not any(word in json.dumps(page) for word in SECRETS))
        self.check(f"it is urgent, and waits {page.ttl} s for a phone that is off", page.urgency == "high")
        told = await self.phone.wait(self._status("device_received"))
        text = told["alert"]["lines"][-1]["text"]
        self.check(f"Trine reads: «{text}», and no name", "Nils" not in json.dumps(told["alert"]))

    async def _ida_wakes(self) -> None:
        self.step("A received page is no answer: the telephones ring, and Ida wakes")
        calls = await self._until(lambda: len(self._gateway.of("voice")) > 1 and self._gateway.of("voice"), "they ring")
        ida = next(one for one in calls if one["to"] == "+4740000012")
        self.check("the call says nothing about anybody", not any(word in json.dumps(ida) for word in SECRETS))
        status, _ = await asyncio.to_thread(self._gateway.press, ida, "1", self._base)
        self.check("Ida presses 1", status == 200)
        told = await self.phone.wait(self._status("answered"))
        self.check(f"Trine reads: «{told['alert']['lines'][-1]['text']}»", "Ida" in told["alert"]["lines"][-1]["text"])
        taken = await self._until(
            lambda: [one for one in self._push.received(self.nils_phone) if one["kind"] == "taken"], "Nils is told"
        )
        self.check(f"Nils's phone says «{taken[0]['title']}»", True)
        lost = await self.nils.call("POST", f"alerts/{self.alert}/accept", {}, expect=409)
        self.check("Nils is too late, and told who has it", lost["accepted_by"] == self.ida.user)

    async def _they_speak(self) -> None:
        self.step("Ida reads the plan, and calls")
        screen = await self.ida.call("GET", f"alerts/{self.alert}/first-screen", expect=200)
        plan = screen["plan"]
        self.check(f"whom: {screen['name']}, {screen['call_number']}", screen["name"].startswith("Trine"))
        self.check(f"what helps: «{plan['helps']}»", bool(plan["danger"] and plan["bring_in"]))
        self.check(f"before she calls: «{screen['guidance'][1]}»", len(screen["guidance"]) == 3)
        await self.ida.call("POST", f"alerts/{self.alert}/calling", {}, expect=200)
        await self.phone.wait(self._status("calling"))
        await self.ida.call("POST", f"alerts/{self.alert}/in-contact", {}, expect=200)
        await self.phone.wait(self._status("in_contact"))
        self.check("they have spoken, and Trine's phone says so", True)

    # --- the morning ------------------------------------------------------------------------------------------

    async def _morning(self) -> None:
        self.step("In the morning Ida hands over to Mona")
        path = f"alerts/{self.alert}"
        offered = await self.ida.call("POST", f"{path}/hand-over", {"to": self.mona.user}, expect=200)
        self.check("Ida is responsible until Mona accepts", offered["responder"]["user"] == self.ida.user)
        taken = await self.mona.call("POST", f"{path}/accept", {}, expect=200)
        self.check("Mona has it, with the plan before her", taken["first_screen"]["plan"] is not None)
        done = {"outcome": "helped_by_phone", "children": "none", "done": "Snakket i natt; ringer igjen klokka ti."}
        closed = await self.mona.call("POST", f"{path}/close", done, expect=200)
        self.check("she closes it, with an outcome", closed["state"] == "closed")
        line = (await self.mona.call("GET", f"{path}/timeline", expect=200))["results"]
        types = [one["type"] for one in line]
        # A phone may say that it has a page before the push service has answered whoever sent it.
        apart = "page_sent" in types and types.index("page_received") < types.index("accepted")
        self.check("the timeline keeps apart: sent, received, accepted", apart)

    async def _who_has_seen(self) -> None:
        self.step("Trine signs in, and sees who has seen what")
        await self.trine.sign_in()
        log = (await self.trine.call("GET", "me/access-log?limit=100", expect=200))["results"]
        about = {(line["type"], line["who"].get("user")) for line in log}
        readers = {user for type_, user in about if type_ == "plan.viewed"}
        self.check("Ida and Mona have read her plan, and nobody else", readers == {self.ida.user, self.mona.user})

    # --- parts ------------------------------------------------------------------------------------------------

    @property
    def _alert_key(self) -> dict[str, str]:
        return {"Authorization": f"Alert-Key {self.key}"}

    def _status(self, status: str = "") -> Callable[[Frame], bool]:
        def wanted(frame: Frame) -> bool:
            mine = frame["type"] == "alert" and frame["alert"]["id"] == self.alert
            return mine and (not status or frame["alert"]["status"] == status)

        return wanted

    async def _until(self, look: Callable[[], Any], what: str) -> Any:
        """What `look` finds, as soon as it finds something. Raises StoryFailed when it takes too long."""
        for _ in range(int(ANSWERS_S / 0.05)):
            if found := look():
                return found
            await asyncio.sleep(0.05)
        raise StoryFailed(f"not within {ANSWERS_S:g} s: {what}")


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


async def play(base: str, tell: Tell) -> int:
    """Play it against `base`. Returns how many checks held; raises StoryFailed."""
    env = settings.ENV
    with PushService(env.town_port + 1) as push, GatewaySink(env.gateway_secret, env.town_port) as gateway:
        night = TrinesNight(base, tell, push, gateway)
        await night.play()
    return night.checks
