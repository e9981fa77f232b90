"""The administrators' pages: every page walked as administrator and as everybody else, what can be done there, and that
nothing of a patient is on any of them."""

import io
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from django.urls import reverse

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.operate.admin_site.pages import SITE
from server.people import actions as people
from server.people.authentication import COOKIE
from server.people.models import Agreement, ContactPoint, Controller, Engagement, Officer, Session, Unit, User
from tests.base import JSON, TownTestCase
from tests.support.authenticator import Authenticator
from tests.support.leaks import leaks, told_of_patients
from tests.support.served import sqlite_only

pytestmark = sqlite_only


class Page(HTMLParser):
    """What a strict policy would refuse, the fields of the form, and where a page leads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.fields: JSON = {}
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, found: list[tuple[str, str | None]]) -> None:
        said = dict(found)
        if (tag == "script" and "src" not in said) or tag == "style" or "style" in said:
            self.inline.append(f"<{tag}>")
        self.inline += [name for name in said if name.startswith("on")]
        if tag == "input" and said.get("name"):
            self.fields[str(said["name"])] = said.get("value") or ""
        if tag == "a":
            self.links.add(said.get("href") or "")
        if tag in ("script", "link", "img"):
            self.loads.add(said.get("src") or said.get("href") or "")


class AdminTestCase(TownTestCase):
    def given(self) -> None:
        self.room = self.open_shared_room()
        self.post(self.room, "vera", "hemmelig for alle andre")

    def browser(self, username: str) -> Browser:
        """Somebody's browser, with the cookies of a session."""
        found = Browser(enforce_csrf_checks=True, raise_request_exception=False)
        said = {"persona": username, "cookie": True}
        answer = found.post("/api/v1/demo/sign-in", said, content_type="application/json")
        assert answer.status_code == 200, answer.content
        assert COOKIE in found.cookies
        return found

    def setUp(self) -> None:
        super().setUp()
        self.admin = self.browser("admin")

    def page(self, address: str, browser: Browser | None = None) -> str:
        answer = (browser or self.admin).get(address)
        assert answer.status_code == 200, (address, answer.status_code, answer.content[:300])
        return answer.content.decode()

    def send(self, address: str, /, **said: Any) -> Any:
        """Fill in the form of a page and send it."""
        fields = Page(self.page(address)).fields
        kept = {name: fields[name] for name in ("csrfmiddlewaretoken",) if name in fields}
        return self.admin.post(address, kept | said, headers={"Origin": "http://testserver"})

    def added(self, name: str, /, **said: Any) -> None:
        answer = self.send(reverse(f"admin:{name}_add"), **said)
        assert answer.status_code == 302, answer.content.decode()[-3000:]

    def acted(self, name: str, action: str, row: Any) -> None:
        address = reverse(f"admin:{name}_changelist")
        answer = self.send(address, action=action, _selected_action=[str(row)], index="0")
        assert answer.status_code == 302, answer.content.decode()[-3000:]

    def addresses(self) -> list[str]:
        """Every page, also of one row each."""
        found = [reverse("admin:index"), reverse("admin:app_list", args=["people"])]
        for model, page in SITE._registry.items():
            names = {one.name for one in page.get_urls()}
            name = f"{model._meta.app_label}_{model._meta.model_name}"
            found.append(reverse(f"admin:{name}_changelist"))
            if f"{name}_add" in names:
                found.append(reverse(f"admin:{name}_add"))
            row = page.get_queryset(None).first()
            if f"{name}_change" in names and row is not None:
                found.append(reverse(f"admin:{name}_change", args=[row.pk]))
        return found


class Walk(AdminTestCase):
    def test_every_page_as_administrator(self) -> None:
        """Each is shown, on record, without anything of a patient, anything inline, or a way to delete. Red when a
        page shows a name, a number or a word."""
        person = set(Session.objects.values_list("digest", flat=True))
        hidden = told_of_patients() | {"hemmelig for alle andre"} | person
        addresses = self.addresses()
        assert len(addresses) > 25
        for address in addresses:
            before = len(self.audit(type="admin.viewed"))
            text = self.page(address)
            assert leaks(text.encode(), hidden) == [], address
            seen = Page(text)
            assert seen.inline == [], address
            assert not [one for one in seen.links if "delete" in one or "history" in one or "password" in one], address
            assert len(self.audit(type="admin.viewed")) == before + 1, address
        event = self.audit(type="admin.viewed")[-1]
        assert (event.role, event.actor_id) == ("administrator", self.user_id("admin"))
        assert event.detail["page"]

    def test_as_everybody_else(self) -> None:
        """The common 404, byte for byte, whether the page is there or not. Red when anybody else comes in."""
        addresses = [*self.addresses(), "/static/admin/css/base.css"]
        nobody = Browser(raise_request_exception=False)
        strangers = {name: self.browser(name) for name in ("are", "kari", "ola")}
        for name, browser in {"nobody": nobody, **strangers}.items():
            nothing = browser.get("/nothing-at-all").content
            for address in addresses:
                answer = browser.get(address)
                assert (answer.status_code, answer.content) == (404, nothing), (name, address)
            assert browser.post(addresses[2], {}).status_code == 404
        refused = self.audit(type="admin.viewed", outcome="refused")
        assert len(refused) >= 3 * len(addresses)
        assert {one.actor_id for one in refused} == {self.user_id(one) for one in strangers}

    def test_an_administrator_at_other_work(self) -> None:
        """Who acts as staff is staff."""
        user, unit = User.objects.get(username="admin"), Unit.objects.all()[0]
        people.engage(user=user, unit=unit, role="rådgiver", health_personnel=False, actor=SYSTEM)
        assert self.browser("admin").get("/admin/").status_code == 404

    def test_a_stale_session(self) -> None:
        """Every page asks for a fresh proof. Red when an old session is enough."""
        with patch("server.people.step_up.fresh", lambda acting: False):
            for address in self.addresses()[:4]:
                answer = self.admin.get(address)
                said = Page(answer.content.decode())
                assert (answer.status_code, said.inline) == (403, [])
                assert leaks(answer.content, told_of_patients()) == []
                assert "Controller" not in answer.content.decode()
            answer = self.admin.post(reverse("admin:people_controller_add"), {"name": "x"})
            assert (answer.status_code, answer.json()["code"]) == (403, "step_up_needed")
        assert len(self.audit(type="admin.viewed", reason="step_up_needed")) == 5

    def test_with_a_passkey(self) -> None:
        """As outside the demo: signing in is not enough. Red when another proof opens the pages."""
        user = User.objects.get(username="admin")
        session, token = people.sign_in(user=user, method="staff_oidc", level=4)
        browser = Browser(enforce_csrf_checks=True, raise_request_exception=False)
        browser.cookies[COOKIE] = token
        answer = browser.get("/admin/")
        fields = Page(answer.content.decode()).fields
        assert answer.status_code == 403

        def post(path: str, said: JSON | None = None) -> JSON:
            headers = {"X-CSRFToken": fields["csrfmiddlewaretoken"]}
            address = f"/api/v1/me/{path}"
            answered = browser.post(address, said or {}, content_type="application/json", headers=headers)
            assert answered.status_code < 300, answered.content
            told: JSON = answered.json()
            return told

        device = Authenticator()
        post("passkeys", {"credential": device.create(post("passkeys/options")["options"])})
        assert browser.get("/admin/").status_code == 403, "made, and not shown"
        post("step-up/passkey", {"credential": device.get(post("step-up/options")["options"])})
        assert browser.get("/admin/").status_code == 200
        Session.objects.filter(sid=session.sid).update(strong_by="totp")
        assert browser.get("/admin/").status_code == 403

    def test_headers(self) -> None:
        answer = self.admin.get("/admin/")
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "'unsafe-inline'" not in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "same-origin", "or a browser says that its own form is from nowhere"
        loaded = self.admin.get("/static/admin/css/base.css")
        assert loaded.headers["Content-Type"].startswith("text/css")
        for name in ("../../settings.py", "css/none.css", "..%2fx"):
            assert self.admin.get(f"/static/admin/{name}").status_code == 404, name

    def test_what_pages_load_is_there(self) -> None:
        with patch("server.people.step_up.fresh", lambda acting: False):
            asked = Page(self.admin.get("/admin/").content.decode()).loads
        assert "/static/admin/samsnakk/prove.js" in asked
        for one in asked | Page(self.page(reverse("admin:people_engagement_add"))).loads:
            assert self.admin.get(one).status_code == 200, one

    def test_a_post_from_elsewhere(self) -> None:
        address = reverse("admin:people_controller_add")
        answer = self.admin.post(address, {"name": "x"})
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")
        assert not Controller.objects.filter(name="x").exists()


class Appointed(AdminTestCase):
    def run_it(self, *words: str) -> str:
        out = io.StringIO()
        call_command("administrator", *words, stdout=out)
        return out.getvalue()

    def test_by_the_shell_alone(self) -> None:
        assert self.run_it("grete", "--register", "Grete Ny").endswith(": administers\n")
        grete = User.objects.get(username="grete")
        assert grete.is_administrator
        people.sign_in(user=grete, method="demo")
        self.run_it("grete", "--end")
        assert not Session.objects.filter(user=grete, ended_at=None).exists()
        types = [one.type for one in self.audit(object_id=grete.id)]
        assert types[:3] == ["user.registered", "administrator.appointed", "administrator.ended"]
        for wrong in (["nobody"], ["are"], ["kari", "--register", "Kari To"]):
            with pytest.raises(CommandError):
                self.run_it(*wrong)
        assert not User.objects.get(username="kari").is_administrator


class Acts(AdminTestCase):
    def test_organisations(self) -> None:
        self.added("people_controller", name="Nye Helse", org_number="313002306", article_6="6(1)(e)")
        controller = Controller.objects.get(name="Nye Helse")
        said = {"name": "Ny enhet", "org_number": "313002403", "kind": "dps", "response_hours": "24"}
        self.added("people_unit", controller=controller.id, office_hours='{"mon": [["08:00", "15:30"]]}', **said)
        unit = Unit.objects.get(name="Ny enhet")
        self.added("people_contactpoint", unit=unit.id, label="Vakttelefon", user="")
        point = ContactPoint.objects.get(label="Vakttelefon")
        kari = self.user_id("kari")
        self.send(reverse("admin:people_contactpoint_change", args=[point.id]), user=str(kari))
        point.refresh_from_db()
        assert (point.user_id, point.label) == (kari, "Vakttelefon")
        other = Controller.objects.exclude(id=controller.id)[0]
        self.added("people_agreement", title="Avtale", controllers=[controller.id, other.id])
        agreement = Agreement.objects.get(title="Avtale")
        assert set(agreement.parties.values_list("controller_id", flat=True)) == {controller.id, other.id}
        self.acted("people_agreement", "end", agreement.id)
        agreement.refresh_from_db()
        assert agreement.ended_at is not None
        types = {one.type for one in self.audit(actor_id=self.user_id("admin"))}
        assert types >= {"controller.registered", "unit.registered", "contact_point.added", "contact_point.tended"}
        assert types >= {"agreement.registered", "agreement.ended"}
        assert LogEntry.objects.count() == 0, "the log is ours"

    def test_people_at_work(self) -> None:
        """Engaged, appointed and ended by the verbs: sessions and places in rooms end with them."""
        self.added("people_user", name="Ny Ansatt", username="ny", language="nb")
        new, unit = User.objects.get(username="ny"), self.engagement_of("kari").unit
        self.added("people_engagement", user=new.id, unit=unit.id, role="sykepleier", health_personnel="on")
        made = Engagement.objects.get(user=new)
        assert (made.health_personnel, made.role) == (True, "sykepleier")
        self.acted("people_engagement", "end", made.id)
        made.refresh_from_db()
        assert made.ended_at is not None
        self.added("people_officer", user=new.id, controller=unit.controller_id, email="ny@example.org")
        officer = Officer.objects.get(user=new)
        self.acted("people_officer", "let_verify_the_log", officer.id)
        self.acted("people_officer", "end", officer.id)
        officer.refresh_from_db()
        assert (officer.verifies_log, officer.ended_at is not None) == (True, True)
        self.acted("people_user", "deactivate", new.id)
        assert not User.objects.get(username="ny").is_active
        self.acted("people_engagement", "end", self.engagement_of("vera").id)
        assert self.person("vera").get(self.room.path).status_code in (401, 404)

    def test_sessions(self) -> None:
        kari = self.person("kari")
        sid = Session.objects.get(user_id=kari.user_id, ended_at=None).sid
        self.acted("people_session", "end", sid)
        assert kari.get("me").status_code == 401
        [ended] = self.audit(type="session.ended", object_id=sid)
        assert (ended.actor_id, ended.reason) == (self.user_id("admin"), "administrator")
        answer = self.send(reverse("admin:people_session_changelist"), action="end", _selected_action=["x"], index="0")
        assert answer.status_code in (200, 302)

    def test_what_a_rule_refuses(self) -> None:
        """The verbs' rules hold here too; nothing is half done."""
        answer = self.send(reverse("admin:people_controller_add"), name="Feil", org_number="123456789")
        assert answer.status_code == 400
        assert Page(answer.content.decode()).inline == []
        consent = {"name": "Feil", "org_number": "313002306", "article_6": "6(1)(a)"}
        assert self.send(reverse("admin:people_controller_add"), **consent).status_code == 200
        assert not Controller.objects.filter(name="Feil").exists()
        soon = (now() + timedelta(days=1)).date().isoformat()
        for address in (reverse("admin:people_engagement_add"), reverse("admin:people_officer_add")):
            answer = self.send(address, user=str(self.user_id("are")), valid_to_0=soon)
            assert answer.status_code == 200, "a patient cannot be chosen"
        engagement = self.engagement_of("kari")
        address = reverse("admin:people_engagement_change", args=[engagement.id])
        assert self.send(address, role="overlege").status_code == 403
        engagement.refresh_from_db()
        assert engagement.role != "overlege"
