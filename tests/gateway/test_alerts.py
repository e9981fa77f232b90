"""Calls for help over the socket: whoever may see one is sent it as REST would answer, and nobody else is (M3; laws 1,
4 and 5)."""

import asyncio
from itertools import pairwise
from typing import Any
from unittest import mock
from uuid import UUID

from server.alerts import view
from server.alerts.authentication import digest_of
from server.alerts.models import Alert, AlertKey
from server.audit.models import AuditEvent
from server.gateway import call_jobs, frames
from server.gateway.app import Gateway
from tests.alerts.base import Night
from tests.base import JSON, Client
from tests.gateway.driver import SLACK_S, Phone, Statements, Weather, quiet
from tests.gateway.live import FINISHED, LiveTestCase, told
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class Following(LiveTestCase):
    async def test_from_the_press_to_the_end(self) -> None:
        """Red when a frame says other than REST, reaches a stranger, or is sent before it is on record."""
        key = await self.rest(self.trine_key)
        presser = Night.phone(self, key)
        async with self.gateway() as gateway:
            mine = await self.key_phone(gateway, key)
            trine, nils, ida, are, kari = await self.phones(gateway, "trine", "nils", "ida", "are", "kari")
            alert = await self.rest(self.pressed, presser)
            for phone in (mine, trine, nils, ida):
                await self.last(phone, id=alert["id"], status="registered")
            assert await self.records("alert.followed") == 4
            await self.rest(self.received, alert)
            await self.last(mine, status="device_received")
            await self.does("nils", alert, "accept")
            shown = await self.last(mine, status="answered")
            assert "Nils" in shown["lines"][-1]["text"]
            version = shown["version"]
            seen: dict[str, tuple[Phone, Client | str]] = {
                "patient": (trine, "trine"),
                "key": (mine, presser),
                "responder": (nils, "nils"),
                "team": (ida, "ida"),
            }
            for name, (phone, by) in seen.items():
                assert await self.last(phone, version=version) == await self.rest(self.over_rest, by, alert), name
            assert told(nils)[-1]["team"]["patient"]["name"]
            assert told(mine)[-1]["team"] is None
            for verb, said in (("calling", {}), ("in-contact", {}), ("close", FINISHED)):
                await self.does("nils", alert, verb, **said)
            for phone in (mine, trine, nils, ida):
                await self.last(phone, state="closed")
            await self.does("nils", alert, "notes", text="Skrevet etterpå")
            await quiet(nils)
            assert told(ida)[-1]["state"] == told(nils)[-1]["state"] == "closed"
            assert are.of("alert") == kari.of("alert") == [], "who has nothing to do with it is told nothing"
            assert gateway.hub is not None
            await gateway.hub.write_unfollowed()
            assert await self.records("alert.unfollowed") == await self.records("alert.followed") == 4
            follows = AuditEvent.objects.filter(type="alert.followed")
            rows = await self.rest(lambda: sorted(follows.values_list("basis", "sign_in")))
            assert rows == [("alert", "demo"), ("alert", "demo"), ("self", "alert_key"), ("self", "demo")]

    async def test_what_is_open_comes_with_the_hello(self) -> None:
        """Red when a socket that comes later hears of it with the next change only, or after `synced`."""
        self.heartbeat_s = 60.0
        alert = await self.rest(self.pressed)
        async with self.gateway() as gateway:
            for phone in (await self.key_phone(gateway), *await self.phones(gateway, "trine", "nils")):
                assert [frame["type"] for frame in phone.frames][:2] == ["welcome", "alert"]
                assert [one["id"] for one in told(phone)] == [alert["id"]]
                assert phone.frames[-1]["type"] == "synced"
            assert (await self.phone(gateway, "kari")).of("alert") == []
            await self.does("nils", alert, "accept")
            await self.does("nils", alert, "calling")
            await self.does("nils", alert, "in-contact")
            await self.does("nils", alert, "close", **FINISHED)
            assert (await self.phone(gateway, "trine")).of("alert") == [], "it is over"

    async def test_staff_who_raised_it_see_what_the_patient_sees(self) -> None:
        """Red when the raiser is forgotten, or is shown the team's part."""
        async with self.gateway() as gateway:
            kari, are = await self.phones(gateway, "kari", "are")
            alert = await self.rest(self.pressed, "kari", patient=str(await self.rest(self.patient_id, "are")))
            shown = await self.last(kari, version=alert["version"])
            assert (shown["seen_as"], shown["team"]) == ("raiser", None)
            assert await self.last(are, version=shown["version"]) == shown | {"seen_as": "patient"}
            assert shown == await self.rest(self.over_rest, "kari", alert)

    async def test_each_in_their_own_language(self) -> None:
        await self.rest(lambda: self.person("ida").ok("patch", "me", {"language": "en"}))
        alert = await self.rest(self.pressed)
        async with self.gateway() as gateway:
            ida, nils = await self.phones(gateway, "ida", "nils")
            assert told(ida)[-1] == await self.rest(self.over_rest, "ida", alert)
            assert told(ida)[-1]["lines"] != told(nils)[-1]["lines"]

    async def test_nothing_is_sent_that_is_not_on_record(self) -> None:
        """Red when the frame goes before the audit event, or a failure here silences later ones (law 1)."""
        async with self.gateway() as gateway:
            nils = await self.phone(gateway, "nils")
            with mock.patch.object(call_jobs, "record_many", side_effect=RuntimeError):
                alert = await self.rest(self.pressed)
                await quiet(nils, 2)
                assert nils.of("alert") == []
            await self.last(nils, id=alert["id"])

    async def test_one_that_cannot_be_shown_does_not_silence_another(self) -> None:
        broken = await self.rest(self.pressed)
        real = call_jobs.facts_of

        def facts_of(alert: Alert, *, team: bool) -> Any:
            if str(alert.id) == broken["id"]:
                raise ValueError
            return real(alert, team=team)

        async with self.gateway() as gateway:
            with mock.patch.object(call_jobs, "facts_of", facts_of):
                nils = await self.phone(gateway, "nils")
                other = await self.rest(self.pressed, "are")
                await self.last(nils, id=other["id"])
                assert told(nils, broken) == []
            await self.last(nils, id=broken["id"])

    async def test_one_look_for_all_sockets(self) -> None:
        """Red when each socket, or each person, asks the database for itself."""
        self.heartbeat_s = 60.0
        alert = await self.rest(self.pressed)
        await self.does("nils", alert, "accept")
        costs = []
        for count in (1, 5):
            async with self.gateway() as gateway:
                who = ("trine", "nils", "ida", "mona", "sara", "kari")
                phones = [await self.phone(gateway, one) for one in who for _ in range(count)]
                await asyncio.sleep(0.3)
                with Statements().recorded() as seen:
                    version = (await self.does("nils", alert, "notes", text="x"))["version"]
                    for phone in phones[:-count]:
                        await self.last(phone, version=version)
                costs.append(len([sql for thread, sql in seen.all if thread.startswith("db")]))
        assert costs[0] == costs[1] <= 12, costs


class Hints(LiveTestCase):
    async def test_lost_ones_heal_with_the_heartbeat(self) -> None:
        """Red when the heartbeat looks at what is open only: the end would never come."""
        async with self.gateway() as gateway:
            trine, nils = await self.phones(gateway, "trine", "nils")
            mine = await self.key_phone(gateway)
            Weather(gateway, 0, dropped=1.0, doubled=0, delay_s=0)
            alert = await self.rest(self.pressed)
            for phone in (trine, nils, mine):
                await self.last(phone, id=alert["id"])
            for verb, said in (("accept", {}), ("calling", {}), ("in-contact", {}), ("close", FINISHED)):
                await self.does("nils", alert, verb, **said)
            for phone in (trine, nils, mine):
                await self.last(phone, state="closed")

    async def test_what_time_alone_changes_is_told(self) -> None:
        """Red when only a new version is looked for: after ten minutes she would not be told to ring elsewhere."""
        async with self.gateway() as gateway:
            mine = await self.key_phone(gateway)
            alert = await self.rest(self.pressed)
            before = await self.last(mine, id=alert["id"])
            await quiet(mine, 2)
            version = told(mine)[-1]["version"]
            count = len(told(mine))
            assert before["status"] == "registered"
            with mock.patch.object(view, "NOBODY_YET_S", 0):
                assert (await self.last(mine, status="nobody_yet"))["version"] == version
                await quiet(mine, 2)
            assert len(told(mine)) <= count + 2, "and once"

    async def test_doubled_late_and_in_any_order(self) -> None:
        """Red when an older state is sent after a newer one, or the same twice."""
        async with self.gateway() as gateway:
            phones = [*await self.phones(gateway, "trine", "nils", "ida"), await self.key_phone(gateway)]
            Weather(gateway, 5, dropped=0.3, doubled=0.6, delay_s=0.2)
            alert = await self.rest(self.pressed)
            await self.does("nils", alert, "accept")
            for number in range(8):
                await self.does("nils", alert, "notes", text=f"nr. {number}")
            final = await self.does("nils", alert, "calling")
            for phone in phones:
                await self.last(phone, version=final["version"])
            await asyncio.sleep(0.3)
            await quiet(phones[0])
            for phone in phones:
                versions = [one["version"] for one in told(phone)]
                assert versions == sorted(versions), "never back"
                assert all(one != other for one, other in pairwise(told(phone))), "each once"

    async def test_a_slow_reader_gets_the_newest(self) -> None:
        """Red when every state waits for who cannot read that fast, and pushes them out at last."""
        alert = await self.rest(self.pressed)
        await self.does("nils", alert, "accept")
        for takes in (True, False):
            async with self.gateway() as gateway:
                trine = await self.phone(gateway, "trine", takes=takes)
                ida = await self.phone(gateway, "ida")
                trine.reads.clear()
                before = len(told(trine))
                for number in range(6):
                    final = await self.does("nils", alert, "notes", text=f"nr. {number}")
                    await self.last(ida, version=final["version"])
                trine.reads.set()
                await self.last(trine, version=final["version"])
                assert len(told(trine)) - before <= 2, "one may have been on its way"
                assert trine.closed is None


class Endings(LiveTestCase):
    async def test_whoever_is_kept_out_gets_nothing_more(self) -> None:
        """Red when what a socket followed goes on deciding: excluded, out of the team, its session over."""
        self.heartbeat_s = 60.0
        async with self.gateway() as gateway:
            nils, sara = await self.phones(gateway, "nils", "sara")
            ida = await self.phone(gateway, "ida", takes=True)
            trine = await self.phone(gateway, "trine")
            alert = await self.rest(self.pressed)
            for phone in (nils, ida, sara, trine):
                await self.last(phone, id=alert["id"])
            ida.reads.clear()
            version = (await self.does("nils", alert, "accept"))["version"]
            await self.last(nils, version=version)
            await self.rest(self.exclude, "ida")
            place = await self.rest(self.leave_team, "sara")
            await self.rest(lambda: self.person("trine").ok("post", "me/sign-out", {}))
            assert await trine.until_closed(1 + SLACK_S) == frames.SESSION_ENDED
            await self.until_they_follow(gateway, {"nils"})
            ida.reads.set()
            seen = len(told(sara))
            version = (await self.does("nils", alert, "notes", text="x"))["version"]
            await self.last(nils, version=version)
            ida.say(type="ping")
            await ida.wait("pong")
            assert "accepted" not in [one["state"] for one in told(ida)], "what waited was thrown away"
            assert len(told(sara)) == seen
            again = await self.phone(gateway, "ida")
            assert again.of("alert") == []
            await self.rest(self.join_team, place)
            await self.last(sara, version=version)

    def leave_team(self, who: str) -> UUID:
        path = f"programmes/{self.programme.id}/team"
        rows = self.person("mona").ok("get", path)["results"]
        user = self.user_id(who)
        (mine,) = [one for one in rows if str(user) in str(one)]
        assert self.person("mona").delete(f"{path}/{mine['id']}").status_code < 300
        return user

    def join_team(self, user: UUID) -> None:
        self.person("mona").ok("post", f"programmes/{self.programme.id}/team", {"user": str(user)})

    async def until_they_follow(self, gateway: Gateway, who: set[str]) -> None:
        """Until the hints have been heard: these follow, and nobody else does."""
        assert gateway.hub is not None
        users = {await self.rest(self.user_id, one) for one in who}
        for _ in range(int((1 + SLACK_S) / 0.02)):
            if {one.user_id for one in gateway.hub.sockets if one.calls} == users:
                return
            await asyncio.sleep(0.02)
        raise AssertionError("a second has gone")

    async def test_a_key_outlives_sessions_and_ends_when_it_is_revoked(self) -> None:
        """Red when the end of a session touches the key's socket, or a revoked key goes on following."""
        key = await self.rest(self.trine_key)
        other = await self.rest(self.trine_key)
        for heartbeat_s, dropped in ((60.0, 0.0), (0.3, 1.0)):
            self.heartbeat_s = heartbeat_s
            async with self.gateway() as gateway:
                mine, stays = await self.key_phone(gateway, key), await self.key_phone(gateway, other)
                trine = await self.phone(gateway, "trine")
                Weather(gateway, 0, dropped=dropped, doubled=0, delay_s=0)
                await self.rest(lambda: self.person("trine").ok("post", "me/sign-out", {}))
                await trine.until_closed(1 + SLACK_S)
                self._clients.pop("trine")
                alert = await self.rest(self.pressed, Night.phone(self, other))
                await self.last(mine, id=alert["id"])
                await self.rest(self.lose, key)
                assert await mine.until_closed(1 + SLACK_S) == frames.SESSION_ENDED
                await self.does("nils", alert, "accept")
                await self.last(stays, status="answered")
                assert "answered" not in [one["status"] for one in told(mine)]
                late = await self.connect(gateway)
                late.say(type="hello", protocol=1, alert_key=key)
                assert await late.until_closed() == frames.SESSION_ENDED
                for verb, said in (("calling", {}), ("in-contact", {}), ("close", FINISHED)):
                    await self.does("nils", alert, verb, **said)
            key = await self.rest(self.trine_key)

    def lose(self, key: str) -> None:
        row = AlertKey.objects.get(digest=digest_of(key))
        self.person("trine").ok("post", f"alert-keys/{row.id}/lost", {})

    async def test_a_key_s_socket_may_do_nothing_else(self) -> None:
        """Red when a key opens a room, writes, marks or types; or when what it tried is not on record."""
        room = await self.rest(self.open_shared_room, patient="trine", propose=("sara",))
        name = str(room.id)
        async with self.gateway() as gateway:
            sara = await self.phone(gateway, "sara")
            mine = await self.key_phone(gateway, cursors={name: 0})
            user = str(await self.rest(self.user_id, "trine"))
            welcome = mine.of("welcome")[0]
            assert (welcome["user"], welcome["rooms"]) == (user, {})
            assert mine.of("room.closed") == [{"type": "room.closed", "room": name, "reason": "not_open"}]
            mine.say(type="post", room=name, txn_id="t1", body="hei")
            assert await mine.wait("error") == {"type": "error", "code": "not_found", "ref": "t1"}
            for kind in ("typing", "read", "delivered"):
                before = len(mine.frames)
                mine.say(type=kind, room=name, seq=1)
                assert (await mine.wait("error", after=before))["code"] == "not_found", kind
            mine.say(type="hello", protocol=1)
            await mine.wait(lambda frame: frame.get("code") == "invalid")
            await self.rest(self.post, room, "sara")
            await sara.wait("event")
            mine.say(type="ping")
            await mine.wait("pong")
            await quiet(mine)
            assert mine.of("heartbeat")[-1] == {"type": "heartbeat", "heads": {}}
            assert {frame["type"] for frame in mine.frames} == {
                *("welcome", "synced", "room.closed", "error", "pong", "heartbeat")
            }
            assert sara.of("typing") == []
        refused = AuditEvent.objects.filter(outcome="refused", sign_in="alert_key", room_id=room.id)
        assert await self.rest(lambda: sorted(refused.values_list("type", "reason"))) == [
            ("message.posted", "alert_key"),
            ("room.followed", "no_access"),
        ]

    async def test_hellos_that_are_refused(self) -> None:
        key, token = await self.rest(self.trine_key), (await self.rest(self.person, "trine")).token
        closings: list[tuple[JSON, int]] = [
            ({"alert_key": "A" * 43}, frames.SESSION_ENDED),
            ({"alert_key": "x"}, frames.SESSION_ENDED),
            ({"alert_key": token}, frames.SESSION_ENDED),
            ({"token": key}, frames.SESSION_ENDED),
            ({"token": token, "alert_key": key}, frames.MALFORMED),
            ({"alert_key": 7}, frames.MALFORMED),
        ]
        async with self.gateway() as gateway:
            for said, code in closings:
                phone = await self.connect(gateway)
                phone.say(type="hello", protocol=1, **said)
                assert await phone.until_closed() == code, said
            bearer = [(b"authorization", f"Bearer {token}".encode())]
            both = await self.connect(gateway, bearer)
            await both.hello(None, alert_key=key)
            assert gateway.hub is not None
            assert [one.key is not None for one in gateway.hub.sockets] == [True], "the hello says what it is"
