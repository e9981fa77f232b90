"""The patient's receipt: one page to keep or print, which runs nothing, fetches nothing, and is nobody else's."""

import hashlib
from datetime import datetime
from html.parser import HTMLParser
from typing import Any

from server.consent.forms import OSLO, common
from server.people.models import Patient, Unit, User
from tests.base import TownTestCase
from tests.consent.base import SCAN, Consenting, ago, newest
from tests.support.served import sqlite_only

pytestmark = sqlite_only

EVIL = "<script>alert('hei')</script><img src=x onerror=alert(1)>\" onload='x' {{ patient }} {% load static %}"
FETCHING = {"script", "link", "img", "iframe", "object", "embed", "video", "audio", "source", "base", "form", "svg"}


class Page(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.style = "", ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "style":
            self.style += data
        self.text += data


class Receipt(Consenting, TownTestCase):
    def given(self) -> None:
        self.room = self.open_room()

    def get(self, by: str = "are") -> Any:
        return self.person(by).get(f"{self.room.asks}/receipt")

    def page(self) -> Page:
        answer = self.get()
        assert answer.status_code == 200
        return Page(answer.content.decode())

    def test_what_was_agreed_and_its_seal(self) -> None:
        """Red when a line of it is left out."""
        shown = self.shown(self.room)["text"]
        self.says(self.room, "give", remark="bare om timer", text_sha256=shown["sha256"])
        text, version = self.page().text, newest(self.room.consent)
        until = datetime.fromisoformat(self.shown(self.room)["until"]).astimezone(OSLO)
        for part in (
            "Are Strandvik",
            "Kari Lunde, psykolog, Fjordvik psykisk helse og rus (Fjordvik kommune)",
            "samordning av hjelpen",
            until.strftime("%d.%m.%Y"),
            "bare om timer",
            shown["first"],
            shown["more"],
            version.hash,
            bytes(version.signature).hex(),
            "116 117",
        ):
            assert part in text, part
        assert hashlib.sha256(version.document.encode()).hexdigest() in text

    def test_what_somebody_wrote_runs_nothing(self) -> None:
        """Red when the page is not escaped: names, units and remarks are words."""
        Unit.objects.filter(name="NAV Fjordvik oppfølging").update(name=EVIL)
        User.objects.filter(username="vera").update(name=EVIL)
        nav = str(Unit.objects.get(name=EVIL).id)
        self.says(self.room, "give", remark=EVIL, excluded_units=[nav])
        self.withdraw(self.room)
        self.says(self.room, "give", remark=EVIL)
        page = self.page()
        assert page.text.count(EVIL) >= 3, "it stands there, as words"
        assert b"<script" not in self.get().content
        for tag, attributes in page.tags:
            assert tag not in FETCHING, tag
            assert not [name for name in attributes if name.startswith("on")], attributes

    def test_nothing_is_fetched_and_nothing_kept(self) -> None:
        """Red when a header is left out, or the page brings anything from elsewhere."""
        answer, page = self.get(), self.page()
        for _, attributes in page.tags:
            assert not {"src", "href", "action", "background", "data", "srcset", "poster", "style"} & set(attributes)
        assert "url(" not in page.style
        assert "@import" not in page.style
        assert answer["Content-Type"] == "text/html; charset=utf-8"
        assert answer["Cache-Control"] == "no-store"
        policy = answer["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "script" not in policy
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert "Are" not in answer["Content-Disposition"]

    def test_in_the_patients_language(self) -> None:
        """Whatever the browser asks for: it is the patient's own paper. Red when it is the request's."""
        titles = set()
        for language, words in (("nb", "Kvittering"), ("nn", "Kvittering"), ("en", "Receipt")):
            Patient.objects.filter(user__username="are").update(language=language)
            page = Page(
                self.person("are").get(f"{self.room.asks}/receipt", headers={"Accept-Language": "en"}).content.decode()
            )
            assert ("html", {"lang": language}) in page.tags
            assert words in page.text
            titles.add(page.text)
        assert len(titles) == 3

    def test_it_says_what_holds_now(self) -> None:
        headings = [self.page().text]
        for verb in ("decline", "give", "withdraw"):
            if verb == "give":
                self.open_room()
            self.answer(self.room, verb)
            headings.append(self.page().text)
        assert len(set(headings)) == 4
        words = common().receipt["nb"]
        assert [
            one in text for one, text in zip((words.said_no, words.said_yes, words.withdrew), headings[1:], strict=True)
        ] == [True] * 3

    def test_of_paper_of_an_enrolment_and_of_exclusions(self) -> None:
        text = self.shown(self.room)["text"]["sha256"]
        said = {
            "answer": "give",
            "method": "paper",
            "scan_sha256": SCAN,
            "given_at": ago(seconds=0),
            "text_sha256": text,
        }
        self.person("kari").ok("post", f"{self.room.asks}/record", said)
        assert "papir" in self.page().text.lower()
        unit = {"unit": str(self.unit("Akuttmottaket").id)}
        body = {"patient": str(self.patient_id()), "form": "muli", "grantees": [unit]}
        asked = self.person("kari").ok("post", "consents", body)["id"]
        record = self.exclude("ida")["record"]
        for id_, word in ((asked, "Akuttmottaket"), (record, "Ida Solheim")):
            page = self.person("are").get(f"consents/{id_}/receipt")
            assert page.status_code == 200
            assert word in Page(page.content.decode()).text

    def test_only_ones_own(self) -> None:
        """Red when the door of the receipt is the consent's and not the patient's."""
        self.give(self.room)
        for name, status, code in (
            ("kari", 403, "patient_only"),
            ("frida", 403, "patient_only"),
            ("sara", 404, "not_found"),
            ("trine", 404, "not_found"),
            ("ola", 404, "not_found"),
        ):
            self.refuses(self.get(name), status, code)

    def test_each_is_a_look_on_record(self) -> None:
        self.get()
        [event] = self.audit(type="consent.receipt_viewed")
        assert (event.object_id, event.subject_id, event.basis) == (self.room.consent, self.patient_id(), "self")
