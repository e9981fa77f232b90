"""Our keys towards push services: a new one comes beside the old, and no device is lost. The push service checks every
signature, and refuses what is signed by another key than the one that a browser has subscribed with."""

import io
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from server.common.clock import now
from server.notify import actions, setup, standing, vapid
from server.notify.actions import keys
from server.notify.models import Address
from server.notify.sealed import open_place
from tests.base import JSON
from tests.notify.base import NotifyTestCase
from tests.support.deliveries import deliver, means
from tests.support.push_service import Subscription
from tests.support.served import sqlite_only

pytestmark = sqlite_only

HOUR = timedelta(hours=1)


def command(*words: str) -> str:
    out = io.StringIO()
    call_command("notify", *words, stdout=out)
    return out.getvalue()


class KeysTestCase(NotifyTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = Path(self.enterContext(TemporaryDirectory())) / "vapid.pem"
        self.enterContext(means(push_hosts_allowed=[self.push.host], vapid_key_file=self.path))
        vapid.make(self.path)
        (self.old,) = vapid.keys()

    def rotated(self) -> vapid.Key:
        """A new key, in use at once."""
        return keys.make_key(after=timedelta())

    def listed(self) -> dict[str, bool]:
        return {one["id"]: one["current"] for one in self.person("nils").ok("get", "devices")["results"]}

    def registered(self, browser: Subscription, **more: Any) -> JSON:
        return self.person("nils").ok("post", "devices", {"subscription": browser, **more})

    def came(self, browser: Subscription, address: Address) -> bool:
        """Whether a page reaches it, signed as its service wants it."""
        before = len(self.push.received(browser))
        self.order(address)
        deliver()
        assert not browser.faults, browser.faults
        return len(self.push.received(browser)) == before + 1


class Beside(KeysTestCase):
    def test_each_device_is_sent_to_with_its_own_key(self) -> None:
        """Red when the newest key signs for a device of the old one: its service answers 403."""
        before, old = self.device()
        made = self.rotated()
        after, new = self.device()
        assert (before.key, after.key) == (self.old.public, made.public)
        assert self.came(before, old)
        assert self.came(after, new)
        assert {one.address_id for one in actions.reachable([old.user_id])[old.user_id]} == {old.id, new.id}
        assert self.listed() == {str(old.id): False, str(new.id): True}

    def test_an_app_that_says_at_each_start_what_it_has(self) -> None:
        """Its subscription is for the key it was for, whatever is the newest. Red when registering anew changes it."""
        browser, address = self.device()
        self.rotated()
        assert self.registered(browser)["current"] is False
        self.person("are").ok("post", "devices", {"subscription": browser})
        taken_over = Address.objects.live().get(index=address.index)
        assert (taken_over.user.username, taken_over.vapid) == ("are", self.old.id)
        assert self.came(browser, taken_over)
        self.person("are").ok("delete", f"devices/{taken_over.id}")
        again = Address.objects.get(id=self.registered(browser)["id"])
        assert self.came(browser, again), "that it was removed meanwhile changes no key"

    def test_a_device_subscribes_anew_and_the_other_stays(self) -> None:
        (phone, old), (_, other) = self.device(), self.device()
        self.person("nils").ok("patch", f"devices/{old.id}", {"name": "Jobbtelefonen"})
        waiting = self.order(old)
        self.rotated()
        renewed = self.push.subscribe(key=self.person("nils").ok("get", "push/key")["key"])
        said = self.registered(renewed, replaces=str(old.id))
        assert (said["name"], said["current"], said["id"] != str(old.id)) == ("Jobbtelefonen", True, True)
        assert self.listed() == {str(other.id): False, said["id"]: True}
        old.refresh_from_db()
        assert old.disabled_because == "replaced"
        deliver()
        waiting.refresh_from_db()
        assert (waiting.state, waiting.code) == ("failed", "gone"), "its keeper takes another way"
        assert self.push.posts(phone) == []
        assert self.came(renewed, Address.objects.get(id=said["id"]))
        again = self.registered(renewed, replaces=str(old.id))
        assert again["id"] == said["id"], "said again, it is the same act"
        assert set(self.listed()) == {str(other.id), said["id"]}

    def test_it_replaces_nobody_elses(self) -> None:
        hers, ida = self.device("ida")
        self.registered(self.push.subscribe(key=self.old.public), replaces=str(ida.id))
        assert self.came(hers, ida)

    def test_a_key_that_was_fetched_before_the_new_one_was_there(self) -> None:
        told = self.person("nils").ok("get", "push/key")["key"]
        self.rotated()
        browser = self.push.subscribe(key=told)
        said = self.registered(browser, key=told)
        assert said["current"] is False
        assert self.came(browser, Address.objects.get(id=said["id"]))

    def test_a_key_that_is_none_of_ours(self) -> None:
        stranger = vapid.parsed(vapid.new_pem())[0][0].public
        for key in (stranger, "x", "æ"):
            answer = self.person("nils").post("devices", {"subscription": self.push.subscribe(), "key": key})
            assert (answer.status_code, answer.json()["code"]) == (400, "push_endpoint")
            assert answer.json()["errors"][0]["field"] == "key"

    def test_not_before_its_time(self) -> None:
        """Every host has the file by then."""
        waits = keys.make_key(after=HOUR)
        assert self.person("nils").ok("get", "push/key")["key"] == self.old.public
        assert vapid.newest(now() + HOUR) == waits
        browser = self.push.subscribe(key=waits.public)
        said = self.registered(browser, key=waits.public)
        assert self.came(browser, Address.objects.get(id=said["id"])), "it signs at once all the same"
        with pytest.raises(keys.KeysFault, match="one_waits"):
            keys.make_key(after=HOUR)

    def test_a_host_without_the_file(self) -> None:
        """Said in its health; the page takes the next way at once."""
        made = self.rotated()
        _browser, address = self.device()
        assert standing.warnings() == set()
        vapid.write(self.path, self.old.pem)
        assert standing.warnings() == {"push_key_missing"}
        assert actions.reachable([address.user_id]) == {}
        page = self.order(address)
        deliver()
        page.refresh_from_db()
        assert (page.state, page.code) == ("failed", "not_configured")
        assert self.keeper.told == [("failed", "not_configured", True)]
        vapid.write(self.path, self.old.pem + made.pem)
        assert standing.warnings() == set()


class Commands(KeysTestCase):
    def test_a_whole_rotation(self) -> None:
        browser, address = self.device()
        said = command("rotate-vapid", "--minutes", "0")
        new = vapid.keys()[-1]
        assert new.id in said
        assert str(self.path) in said
        assert command("keys").splitlines()[0] == f"{self.old.id}: 1 devices"
        assert command("keys").splitlines()[1].startswith(f"{new.id}, from ")
        with pytest.raises(CommandError, match="1 devices are registered") as refused:
            command("retire-vapid", self.old.id)
        assert refused.value.returncode == 3
        assert self.came(browser, address), "nothing was done"
        renewed = self.push.subscribe(key=new.public)
        self.registered(renewed, replaces=str(address.id))
        assert "Ended. Copy" in command("retire-vapid", self.old.id)
        assert vapid.known() == [new.id]
        assert self.came(renewed, Address.objects.live().get())
        assert [one.type for one in self.audit(type="push_key.made")] == ["push_key.made"]
        assert [one.type for one in self.audit(type="push_key.ended")] == ["push_key.ended"]

    def test_with_its_devices(self) -> None:
        browser, address = self.device()
        self.rotated()
        assert "1 devices get nothing" in command("retire-vapid", self.old.id, "--devices-too")
        address.refresh_from_db()
        assert address.disabled_because == "key_ended"
        answer = self.person("nils").post("devices", {"subscription": browser})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "unknown_key"), (
            "it must subscribe anew"
        )
        assert standing.warnings() == set()

    def test_what_is_refused(self) -> None:
        made = self.rotated()
        for words, said in (
            (("retire-vapid", made.id), "given now"),
            (("retire-vapid", "nonsense"), "no such key"),
            (("rotate-vapid", "--minutes", "-1"), "must be 0"),
        ):
            with pytest.raises(CommandError, match=said):
                command(*words)
        self.path.write_text(self.path.read_text() + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
        os.utime(self.path, ns=(1, 1))
        assert vapid.known() == [self.old.id, made.id], "the others go on signing"
        assert any("VAPID_KEY_FILE" in one for one in setup.faults())
        for verb in (("keys",), ("rotate-vapid",), ("retire-vapid", self.old.id)):
            with pytest.raises(CommandError, match="cannot be read"):
                command(*verb)

    def test_the_first(self) -> None:
        self.path.unlink()
        assert "The first key" in command("rotate-vapid")
        assert len(vapid.keys()) == 1

    def test_who_may_read_it_stays_as_it_was(self) -> None:
        self.path.chmod(0o640)
        named = self.path.with_name("named.pem")
        named.symlink_to(self.path)
        with means(vapid_key_file=named):
            keys.make_key(after=HOUR)
        assert named.is_symlink()
        assert self.path.stat().st_mode & 0o777 == 0o640
        assert len(vapid.keys()) == 2
        assert sorted(one.name for one in self.path.parent.iterdir()) == ["named.pem", "vapid.pem"]

    def test_of_two_at_once_each_keeps_the_others(self) -> None:
        at_hand = self.path.read_text()
        self.rotated()
        with keys._alone(self.path):
            assert self.path.read_text().startswith(at_hand)


def test_what_stands_in_the_file() -> None:
    """Keys that `openssl` has put one after the other, with what it writes between them; and a line of ours."""
    at = datetime(2026, 2, 3, 12, tzinfo=UTC)
    first, second, third = vapid.new_pem(), vapid.new_pem(at), vapid.new_pem(at + HOUR)
    curve = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    found, is_whole = vapid.parsed(curve + first + "a remark\n" + second + third)
    assert (len(found), is_whole) == (3, True)
    assert [one.since for one in found] == [None, at, at + HOUR]
    assert "PRIVATE" not in repr(found)
    assert [vapid.newest_of(found, when) for when in (at - HOUR, at, at + HOUR)] == list(found)
    assert vapid.newest_of(found[1:], at - HOUR) == found[1], "a clock that is wrong keeps nobody from registering"
    assert vapid.newest_of((), at) is None
    for wrong in ("# In use from tomorrow\n" + first, "# In use from 2026-02-03T12:00:00\n" + first):
        assert vapid.parsed(second + wrong) == ((found[1],), False)


class Names(KeysTestCase):
    def test_a_device_is_called_something_else(self) -> None:
        _browser, address = self.device()
        nils = self.person("nils")
        said = nils.ok("patch", f"devices/{address.id}", {"name": "Jobbtelefonen"})
        assert (said["name"], said["id"]) == ("Jobbtelefonen", str(address.id))
        assert [one["name"] for one in nils.ok("get", "devices")["results"]] == ["Jobbtelefonen"]
        address.refresh_from_db()
        assert b"Jobb" not in bytes(address.sealed)
        (entry,) = self.audit(type="device.named")
        assert (entry.actor_id, entry.object_id) == (self.user_id("nils"), address.id)
        assert "Jobb" not in str(vars(entry))

    def test_its_name_outlives_a_renewal_that_says_none(self) -> None:
        browser, address = self.device()
        self.person("nils").ok("patch", f"devices/{address.id}", {"name": "Jobbtelefonen"})
        assert self.registered(browser)["name"] == "Jobbtelefonen"
        address.refresh_from_db()
        assert open_place(address).endpoint == browser["endpoint"]
        assert self.registered(browser, name="Min nye")["name"] == "Min nye"

    def test_ones_own_alone_and_devices_alone(self) -> None:
        _browser, address = self.device("ida")
        nils = self.person("nils")
        phone = nils.ok("put", "me/reach", {"phone": "22225555"})["phone_id"]
        for found in (address.id, phone, "01890a5d-ac96-774b-bcce-b302099a8057"):
            assert nils.patch(f"devices/{found}", {"name": "x"}).status_code == 404
        for body in ({}, {"name": "x" * 61}, {"name": None}, {"name": []}, []):
            assert self.person("ida").patch(f"devices/{address.id}", body).status_code == 400

    def test_several_of_which_one_is_gone(self) -> None:
        """404 and 410 end that device alone."""
        devices = [self.device() for _ in range(3)]
        for (browser, _), status in zip(devices, (404, 410), strict=False):
            self.push.script(browser, [status])
        for number, (_, address) in enumerate(devices):
            self.order(address, topic=f"{number}")
        deliver()
        assert self.listed() == {str(devices[2][1].id): True}
        assert len(self.push.received(devices[2][0])) == 1
