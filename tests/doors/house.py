"""The stage of `tests/exposure` with everybody of the permission table in and around it, and an after-hours service.

Are is the patient of every row: he has the room, is in the service, has called for help, and has a phone with a key.
"""

import json
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pyotp

from server.alerts.demo import build_programme
from server.alerts.models import Enrolment, Shift, ShiftCheck, TeamMember
from server.audit.entry import SYSTEM
from server.common.clock import now
from server.common.ids import new_id
from server.common.sql import rfc3339
from server.notify.actions import Order, enqueue, page_token
from server.notify.signing import SIGNATURE, TIMESTAMP, sign
from server.people import actions as people
from server.people.actions.sessions import sign_in_lasting
from server.people.crowd import unused_numbers
from server.people.models import Controller, HandOver, OidcAttempt, TotpSecret, Unit, User
from server.people.oidc.checks import challenge_of
from server.people.oidc.flow import digest
from server.people.relying_party import relying_party
from tests.base import JSON, Client
from tests.exposure.asks import Ask
from tests.exposure.stage import Answer, Ids, Path, Stage
from tests.support.authenticator import Authenticator
from tests.support.canned_provider import ID, canned_provider
from tests.support.deliveries import SECRET, means
from tests.support.push_service import Subscription

PEOPLE = {
    "patient": "are",
    "other patient": "trine",
    "member": "kari",
    "former": "vera",
    "proposed": "nils",
    "excluded": "frida",
    "related": "sara",
    "unit": "erik",
    "controller": "hanna",
    "leader": "mona",
    "on call": "ida",
    "officer": "ola",
    "colleague": "officer2",
    "other officer": "odd",
    "admin": "admin",
    "key": "are's phone",
    "nobody": "nobody",
}
"""Who each column of the table is."""
CALLBACK = "POST notify/callback"
ONE_TIME = ("POST me/step-up/totp", "POST me/totp/confirm")
STATE, VERIFIER = "s" * 43, "v" * 43
PUSH_HOST = "127.0.0.1:9"
"""Nobody answers there, and nothing is sent."""


class House(Stage):
    def __init__(self) -> None:
        super().__init__()
        self.programme = build_programme()
        self._newcomers()
        self._apart()
        self._night()
        self._devices()
        names = User.objects.values_list("username", "id")
        self.ids |= {f"user_of_{name}": str(id_) for name, id_ in names}
        self.ids |= {f"engagement_of_{name}": str(self.engagement_of(name).id) for name in ("kari", "ida", "mona")}
        for name in PEOPLE.values():
            self.person(name)
        self._elsewhere()
        with open_means():  # as it is asked: passkeys are for the public address
            self._proofs()
        self._ways_in()

    def _elsewhere(self) -> None:
        """Are is signed in on another device too, and on one whose tokens are refreshed."""
        are = User.objects.get(username="are")
        other, _ = people.sign_in(user=are, method="demo")
        lasting = sign_in_lasting(user=are, method="demo", level=0, device="android")
        self.ids |= {"sid": str(other.sid), "refresh": lasting.refresh}

    def _ways_in(self) -> None:
        """Are has begun to sign in at a provider; another time he has come back, to sign in and to prove who he is."""
        are = User.objects.get(username="are")
        here = self.person("are").ok("get", "me")["session"]["id"]
        later = now() + timedelta(hours=1)
        challenge = challenge_of(VERIFIER)
        OidcAttempt.objects.create(
            state_digest=digest(STATE), provider=ID, challenge=challenge, returns_to="app", expires_at=later
        )
        for code, session in (("handed-over", None), ("proved", here)):
            HandOver.objects.create(
                code_digest=digest(code),
                challenge=challenge,
                user=are,
                provider=ID,
                method="citizen_oidc",
                level=4,
                as_patient=True,
                proved_at=now(),
                session_id=session,
                expires_at=later,
            )
        self.ids |= {"state": STATE, "verifier": VERIFIER, "challenge": challenge}

    def _proofs(self) -> None:
        """Are has a passkey and one-time codes, others of both half made, and recovery codes; an authenticator has
        answered what his session asked, and nobody has seen it. Kari has made a code for his phone."""
        are, site = self.person("are"), relying_party().origins[0]
        key, other = Authenticator(site), Authenticator(site)
        credential = key.create(are.ok("post", "me/passkeys/options")["options"])
        known = are.ok("post", "me/passkeys", {"credential": credential})
        self.one_time = pyotp.TOTP(are.ok("post", "me/totp")["secret"])
        are.ok("post", "me/totp/confirm", {"code": self.one_time.at(now())})
        TotpSecret.objects.update(last_step=0)
        self.first_time = pyotp.TOTP(are.ok("post", "me/totp")["secret"])
        proof = key.get(are.ok("post", "me/step-up/options")["options"])
        made = other.create(are.ok("post", "me/passkeys/options")["options"])
        code = self.person("kari").ok("post", f"patients/{self.ids['patient_id']}/sign-in-codes", {"how": "passport"})
        relation = {"kind": "treatment", "reason": "Henvist"}
        new = {"name": "Test Testesen", "national_identity_number": unused_numbers(1)[0], "relation": relation}
        newcomer = self.person("sara").ok("post", "patients", new)["id"]
        self.ids |= {
            "passkey_id": known["id"],
            "passkey": proof["id"],
            "new_passkey": made["id"],
            **{f"passkey_{name}": str(value) for name, value in proof["response"].items()},
            **{f"new_passkey_{name}": str(value) for name, value in made["response"].items()},
            "recovery": are.ok("post", "me/recovery-codes")["codes"][0],
            "code_id": code["id"],
            "sign_in_code": self.person("sara").ok("post", f"patients/{newcomer}/sign-in-codes", {"how": "passport"})[
                "code"
            ],
        }

    def _newcomers(self) -> None:
        """Staff of a unit and of a controller that have nothing to do with Are, and an officer of the latter."""
        holmen = Unit.objects.select_related("controller").get(name="Holmen psykisk helse")
        for name, unit in (("erik", Unit.objects.get(name="Akuttmottaket")), ("hanna", holmen)):
            user = User.objects.create(username=name, name=f"{name.title()} Berg")
            people.engage(user=user, unit=unit, role="psykolog", health_personnel=True, actor=SYSTEM)
            self._signed_in(user)
        odd = User.objects.create(username="odd", name="Odd Berg")
        people.appoint_officer(user=odd, controller=Controller.objects.get(id=holmen.controller_id), actor=SYSTEM)
        self._signed_in(odd)

    def _signed_in(self, user: User) -> None:
        _, token = people.sign_in(user=user, method="demo")
        client = self._clients[user.username] = Client()
        client.username, client.token, client.user_id = user.username, token, user.id
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")

    def _apart(self) -> None:
        """Vera has been taken out, Frida excluded; Nils and Sara are not in the service's team."""
        self.person("are").ok("delete", f"{self.room.path}/members/{self.ids['member_of_vera']}")
        self.person("are").ok("post", "exclusions", {"user": str(self.user_id("frida"))})
        path = f"programmes/{self.programme.id}"
        for one in self.person("mona").ok("get", f"{path}/rotations")["results"]:
            self.person("mona").ok("post", f"{path}/rotations/{one['id']}/end", {})
        for name in ("nils", "sara"):
            member = TeamMember.objects.current().get(user__username=name)
            self.person("mona").ok("delete", f"{path}/team/{member.id}")

    def _night(self) -> None:
        """Are is in the service, has said yes to it and has a plan; Ida is on call; he has called for help."""
        mona, are, path = self.person("mona"), self.person("are"), f"programmes/{self.programme.id}"
        enrolled = mona.ok("post", f"{path}/enrolments", {"patient": self.ids["patient_id"]})
        are.ok("post", f"consents/{enrolled['consent']}/give", {})
        mona.ok("post", f"patients/{self.ids['patient_id']}/plan", PLAN)
        ward = str(Unit.objects.get(name="Akuttmottaket").id)
        admission = {"ward": ward, "admitted_on": "2026-01-02"}
        admitted = mona.ok("post", f"patients/{self.ids['patient_id']}/admissions", admission)
        key = are.ok("post", "alert-keys", {"label": "Mobilen"})
        phone = self._clients["are's phone"] = Client()
        phone.username, phone.user_id = "are's phone", are.user_id
        phone.credentials(HTTP_AUTHORIZATION=f"Alert-Key {key['key']}")
        self._clients["nobody"] = Client()
        at = now()
        hour = timedelta(hours=1)
        shift = Shift.objects.create(
            programme=self.programme,
            user_id=self.user_id("ida"),
            begins=at - hour,
            ends=at + 12 * hour,
            source=new_id(),
        )
        ShiftCheck.objects.create(shift=shift, due_at=at + hour)
        alert = are.ok("put", f"alerts/{new_id()}", {"note": "Orker ikke mer"})
        member = {one["user"]: one["id"] for one in mona.ok("get", f"{path}/team")["results"]}
        self.ids |= {
            "programme_id": str(self.programme.id),
            "enrolment_id": enrolled["id"],
            "enrolment_of_trine": str(Enrolment.objects.get(patient__user__username="trine").id),
            "muli_id": enrolled["consent"],
            "admission_id": admitted["id"],
            "key_id": key["id"],
            "alert_id": alert["id"],
            "shift_id": str(shift.id),
            "member_of_ida_in_team": member[str(self.user_id("ida"))],
            "ward_id": ward,
            "unit_id": str(self.programme.unit_id),
            "begins": rfc3339(at + 24 * hour),
            "ends": rfc3339(at + 36 * hour),
            "today": at.date().isoformat(),
        }

    def _devices(self) -> None:
        """Are and Ida have a browser each; a page has been sent to Ida's."""
        found: dict[str, JSON] = {}
        with open_means():
            for name in ("are", "ida"):
                browser = Subscription(f"http://{PUSH_HOST}/{name}")
                found[name] = self.person(name).ok("post", "devices", {"subscription": browser})
        page = Order(
            id=new_id(),
            kind="page",
            about=UUID(self.ids["alert_id"]),
            channel="push",
            address_id=UUID(found["ida"]["id"]),
            user_id=self.user_id("ida"),
            urgent=True,
            ttl_s=600,
            topic="alert",
        )
        call = replace(
            page, id=new_id(), channel="voice", address_id=None, user_id=None, to=self.programme.final_number
        )
        enqueue([page, call])
        feed = self.person("ida").ok("post", "on-call/feeds", {"programme": self.ids["programme_id"]})
        self.ids |= {
            "device_id": found["are"]["id"],
            "page_token": page_token(page.id),
            "feed_id": feed["id"],
            "feed_token": feed["url"].split("/")[-2],
            **{name: Subscription("x")["keys"][name] for name in ("p256dh", "auth")},
            "call_id": str(call.id),
            "another_id": str(new_id()),
        }

    def ask(self, client: Client, path: Path, ids: Ids, *, key: str = "") -> Answer:
        if path.route == CALLBACK:
            return self._callback(client)
        return super().ask(client, path, self.at_once(path, ids), key=key)

    def at_once(self, path: Path, ids: Ids) -> Ids:
        """With the names that are good for seconds."""
        codes = {"one_time": self.one_time, "first_time": self.first_time} if path.route in ONE_TIME else {}
        return {**ids, **{name: totp.at(now()) for name, totp in codes.items()}}

    def _callback(self, client: Client) -> Answer:
        """What the gateway says of a call, signed as it signs."""
        body = json.dumps({"event": str(new_id()), "id": self.ids["call_id"], "what": "ringing"}).encode()
        at = str(int(now().timestamp()))
        headers = {TIMESTAMP: at, SIGNATURE: sign(SECRET, at, body)}
        return self._read(client.generic("POST", "notify/callback", body, "application/json", headers=headers))

    def prepare_as(self, who: str, path: Path, ids: Ids) -> Ids:
        """What has to be done before a request can succeed: by whoever the table of requests names, else by `who`."""
        first = path.ask.first
        if first is None:
            return ids
        before = Path(first.route, 0, Ask(body=first.body, use=first.use, first=first.first))
        ids = self.prepare_as(who, before, ids)
        answer = self.ask(self.person(first.by or who), before, ids)
        assert answer.status < 300, (path.route, first.route, str(answer))
        return {**ids, first.into: json.loads(answer.body)["id"]} if first.into else ids


PLAN: dict[str, Any] = {
    "danger": "Alene om natta.",
    "helps": "Å gå en tur.",
    "bring_in": "Broren.",
    "made_with_patient": True,
}


def open_means() -> ExitStack:
    """Push, gateway and a way to sign in as if they were set up; nothing is sent. Who has just proved who they are has
    done so until the end of a long proof."""
    stack = ExitStack()
    stack.enter_context(means(push_hosts_allowed=[PUSH_HOST], step_up_minutes=600.0))
    stack.enter_context(canned_provider())
    return stack


__all__ = ["PEOPLE", "House", "open_means"]
