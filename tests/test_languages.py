"""Answers come in the language asked for, else in the person's own; every text has its words in all three (S12)."""

import ast
import gettext
import re
from pathlib import Path

import pytest
from django.conf import settings

from server.common.language import asked_for
from server.common.words import WORDS
from tests.base import Client, TownTestCase
from tests.support.served import sqlite_only

pytestmark = sqlite_only

ROOT = Path(__file__).resolve().parents[1]
CATALOGUES = ROOT / "server" / "locale"
LANGUAGES = ("nb", "nn", "en")
MARKS = ("_", "gettext", "gettext_lazy")
NOT_FOUND = {
    "nb": "Finnes ikke, eller er ikke åpent for deg.",
    "nn": "Finst ikkje, eller er ikkje ope for deg.",
    "en": "Not found, or not open to you.",
}


def marked() -> set[str]:
    """Every text in server/ that is marked for translation."""
    found = set()
    for path in (ROOT / "server").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS:
                assert len(node.args) == 1, (path, node.lineno)
                text = ast.literal_eval(node.args[0])
                assert isinstance(text, str), (path, node.lineno)
                found.add(text)
    return found


def written(language: str) -> dict[str, str]:
    """The catalogue as it is written; one line for each text."""
    lines = (CATALOGUES / language / "LC_MESSAGES" / "django.po").read_text()
    pairs = re.findall(r'^msgid "(.+)"\nmsgstr "(.*)"$', lines, re.MULTILINE)
    return {one.replace('\\"', '"'): other.replace('\\"', '"') for one, other in pairs}


def compiled(language: str) -> dict[str, str]:
    with (CATALOGUES / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        catalogue = gettext.GNUTranslations(file)
    return {text: catalogue.gettext(text) for text in written(language)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_has_words_and_they_are_compiled(language: str) -> None:
    words = written(language)
    assert set(words) == marked(), "texts and catalogues differ"
    assert all(words.values())
    assert words == compiled(language), f"compile it: manage.py compilemessages -l {language}"
    for text, said in words.items():
        assert sorted(re.findall(r"%\(\w+\)[sd]", text)) == sorted(re.findall(r"%\(\w+\)[sd]", said))


def test_norwegian_words_are_norwegian() -> None:
    same = {text for text, said in written("nb").items() if text == said}
    assert same == {"Send application/json."}


def test_every_code_that_is_raised_with_a_reason_has_words() -> None:
    raised = set()
    for path in (ROOT / "server").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
                "Conflict",
                "Forbidden",
                "Unauthenticated",
            ):
                raised |= {
                    one.value.value
                    for one in node.keywords
                    if one.arg == "code" and isinstance(one.value, ast.Constant)
                }
    assert raised - set(WORDS) == set()


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", None),
        ("*", None),
        ("de", None),
        ("nb", "nb"),
        ("nb-NO,nb;q=0.9,en;q=0.8", "nb"),
        ("no,en;q=0.5", "nb"),
        ("nn-NO", "nn"),
        ("de, nn;q=0.3, en;q=0.2", "nn"),
        ("en;q=0.1, nb;q=0.9", "nb"),
        ("en-GB", "en"),
        ("en;q=0", None),
        (";;;,,q=", None),
        ("x" * 10_000, None),
    ],
)
def test_the_header(header: str, language: str | None) -> None:
    assert asked_for(header) == language


class Answers(TownTestCase):
    def title(self, client: Client, **headers: str) -> str:
        answer = client.get("patients/00000000-0000-7000-8000-000000000000", headers=headers)
        assert answer.status_code == 404
        assert answer.headers["Content-Language"] in LANGUAGES
        told: str = answer.json()["title"]
        return told

    def test_the_language_asked_for(self) -> None:
        kari = self.person("kari")
        for language, words in NOT_FOUND.items():
            assert self.title(kari, accept_language=language) == words

    def test_bokmål_when_nothing_is_known(self) -> None:
        stranger = Client()
        assert stranger.get("me").json()["title"].startswith("Logg inn for å gå videre.")
        assert stranger.get("me", headers={"accept-language": "en"}).json()["title"].startswith("Sign in to go on.")
        assert stranger.get("no-such-address").json()["title"] == NOT_FOUND["nb"]

    def test_ones_own_language_when_the_request_names_none(self) -> None:
        kari = self.person("kari")
        assert self.title(kari) == NOT_FOUND["nb"]
        for language in ("nn", "en"):
            kari.ok("patch", "me", {"language": language})
            assert self.title(kari) == NOT_FOUND[language]
            assert self.title(kari, accept_language="*") == NOT_FOUND[language]
            assert self.title(kari, accept_language="de") == NOT_FOUND[language]
        assert self.title(kari, accept_language="nb-NO") == NOT_FOUND["nb"], "the request wins"
        assert self.title(self.person("frida")) == NOT_FOUND["nb"], "and it is nobody else's"

    def test_reasons_and_fields(self) -> None:
        room = self.open_room()
        are, kari = self.person("are"), self.person("kari")
        alone = are.post(f"{room.path}/messages", {"txn_id": "1", "body": "hei"})
        assert (alone.json()["code"], alone.json()["title"].split(",")[0]) == (
            "nobody_here",
            "Ingen andre kan lese her nå",
        )
        waits = kari.post(f"{room.path}/messages", {"txn_id": "1", "body": "hei"}, headers={"accept-language": "nn"})
        assert waits.json()["title"] == "Pasienten har ikkje svart enno. Før det kan ingen skrive her."
        for language, words in (("nb", "Dette feltet er påkrevd."), ("en", "This field is required.")):
            wrong = kari.post(f"{room.path}/members", {}, headers={"accept-language": language})
            assert wrong.json()["errors"] == [{"field": "user", "code": "required", "detail": words}]

    def test_default(self) -> None:
        assert settings.LANGUAGE_CODE == "nb"
