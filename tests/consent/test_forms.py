"""The forms and the rules beside them: what a patient in distress reads, in every language; and that a file that breaks
a rule stops the start.

Mutations, each red here:
- a form's `first` without names, purpose or end, or longer than 60 words: the file is refused, and
  `test_first_screen_*`;
- `limits` or one of its lines left out of `render`: `test_limits_are_on_the_first_screen`;
- a «Nei» longer than the «Ja», or two words: `test_yes_and_no_weigh_the_same`;
- the sentence that saying no costs no help taken out: `test_saying_no_costs_no_help`;
- room and MULI no longer told apart in `stops` or `stays`: `test_what_is_withdrawn_apart`;
- `split` cutting at the first blank line, or by today's words alone: `test_split_*`;
- a check in `library.py` taken out (languages, keys, open places, doubled keys, what is on by default):
  `test_a_malformed_file_is_refused`;
- another capacity or ground on by default: `test_only_self_is_on`, and the file is refused;
- a kind of unit without its statute: `test_every_kind_of_unit_has_a_statute`;
- UTC instead of Oslo for dates: `test_dates_are_oslo`.
"""

import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from server.consent import forms, library
from server.consent.models import Act, State
from server.people.models import Language, UnitKind
from tests.support.served import sqlite_only

pytestmark = sqlite_only

OFFERED = ("room", "muli")
LANGUAGES = tuple(Language.values)
UNTIL = datetime(2027, 11, 22, 12, tzinfo=UTC)
SINCE = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAMES = ["Kari Lunde, psykolog, Helse (Fjordvik kommune)", "Ytre DPS (Helse Fjord)"]
LEFT_OUT = ["Akuttmottaket", "NAV Fjordvik"]

NO_COSTS_NOTHING = {
    "nb": ("Du kan si nei. Hjelpen blir den samme.", "Du kan si nei. Du mister ingen hjelp."),
    "nn": ("Du kan seie nei. Hjelpa blir den same.", "Du kan seie nei. Du mistar inga hjelp."),
    "en": ("You can say no. Your help stays the same.", "You can say no. You lose no help."),
}
VERSION_1 = "Får disse snakke sammen med deg i Samsnakk?\n\n• Kari Lunde\n\nTil: 01.01.2027\n\nDu kan si nei."
MORE_1 = "Samtykket løfter taushetsplikten mellom dem som er nevnt. Andre får ikke se noe."

each_offer = pytest.mark.parametrize(
    ("form_id", "language", "purpose"),
    [(one, language, purpose) for one in OFFERED for language in LANGUAGES for purpose in forms.purposes(one)],
)
each_form = pytest.mark.parametrize(
    ("form_id", "language"), [(one, language) for one in library.FORMS for language in LANGUAGES]
)


def first_screen(form_id: str, language: str, purpose: str, **limits: Any) -> str:
    exact = forms.render(form_id=form_id, language=language, names=NAMES, purpose=purpose, until=UNTIL, **limits)
    return forms.split(exact.exact, form_id, language)[0]


def everything(form_id: str, language: str, purpose: str) -> str:
    return first_screen(form_id, language, purpose, excluded_units=LEFT_OUT, content_from=SINCE, content_to=UNTIL)


@each_offer
def test_first_screen_is_short_names_apart(form_id: str, language: str, purpose: str) -> None:
    text = everything(form_id, language, purpose)
    for name in (*NAMES, *LEFT_OUT):
        assert name in text
        text = text.replace(name, "")
    assert len(re.findall(r"[\w.()]+", text)) <= 60, "60 words, with every limit, names apart"


@each_offer
def test_first_screen_says_who_for_what_and_until_when(form_id: str, language: str, purpose: str) -> None:
    text = first_screen(form_id, language, purpose)
    assert [line for line in text.splitlines() if line.startswith("•")] == [f"• {name}" for name in NAMES]
    assert forms.purposes(form_id)[purpose][language] in text
    assert "22.11.2027" in text
    assert not re.search(r"[{}]", text)


@each_offer
def test_limits_are_on_the_first_screen(form_id: str, language: str, purpose: str) -> None:
    plain = first_screen(form_id, language, purpose)
    full = everything(form_id, language, purpose).splitlines()
    added = [line for line in full if line not in plain.splitlines()]
    assert len(added) == 3
    assert all(name in added[0] for name in LEFT_OUT)
    assert "22.11.2026" in added[1]
    assert "22.11.2027" in added[2]
    end = next(index for index, line in enumerate(full) if "22.11.2027" in line)
    assert full[end + 1 : end + 4] == added, "beneath the end, above the answer"


@pytest.mark.parametrize(("form_id", "language"), [(one, said) for one in OFFERED for said in LANGUAGES])
def test_yes_and_no_weigh_the_same(form_id: str, language: str) -> None:
    text = forms.form(form_id).texts[language]
    assert (text.yes, text.no) == {"nb": ("Ja", "Nei"), "nn": ("Ja", "Nei"), "en": ("Yes", "No")}[language]
    assert len(text.yes.split()) == len(text.no.split()) == 1
    assert abs(len(text.yes) - len(text.no)) <= 1


@each_offer
def test_saying_no_costs_no_help(form_id: str, language: str, purpose: str) -> None:
    assert any(said in first_screen(form_id, language, purpose) for said in NO_COSTS_NOTHING[language])


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_withdrawn_apart(language: str) -> None:
    """M4: a room and MULI end separately, care never; somebody who took a call stays; 113 and 116 117 are there."""
    room, muli = forms.form("room").texts[language], forms.form("muli").texts[language]
    rooms = {"nb": "Rommene dine går som før", "nn": "Romma dine går som før", "en": "Your rooms go on as before"}
    stays = {"nb": "blir den som tok imot, hos deg", "nn": "blir den som tok imot, hos deg"}
    assert "MULI" in room.stays
    assert "MULI" not in room.stops
    assert "MULI" in muli.stops
    assert rooms[language] in muli.stays
    for text in (room, muli):
        assert "113" in text.stays
        assert "116 117" in text.stays
        assert stays.get(language, "whoever took your call stays with you") in text.stays


@pytest.mark.parametrize("language", LANGUAGES)
def test_exclusions_offer_no_answer(language: str) -> None:
    text = forms.form("exclusions").texts[language]
    assert (text.yes, text.no, text.sentence_waiting, text.sentence_declined) == ("", "", "", "")
    said = forms.render(form_id="exclusions", language=language, names=["Kari Lunde"], purpose="exclusions", until=None)
    first, _ = forms.split(said.exact, "exclusions", language)
    assert "• Kari Lunde" in first
    bound = {"nb": ("alle rom", "ber om hjelp", "nødtilgang"), "nn": ("alle rom", "ber om hjelp", "naudtilgang")}
    assert all(one in first for one in bound.get(language, ("every room", "call for help", "emergency access")))
    nobody = forms.render(form_id="exclusions", language=language, names=[], purpose="exclusions", until=None)
    assert forms.common().nobody[language] in nobody.exact.splitlines()
    for names in (["Kari Lunde"], []):
        said_now = forms.sentence(
            form_id="exclusions", language=language, state="active", names=names, purpose="exclusions"
        )
        assert all(name in said_now for name in names)
    assert said_now == forms.form("exclusions").texts[language].sentence_nobody


@each_form
def test_split_gives_back_what_render_made(form_id: str, language: str) -> None:
    said = forms.render(form_id=form_id, language=language, names=NAMES, purpose="x", until=UNTIL)
    first, more = forms.split(said.exact, form_id, language)
    assert f"{first}\n\n{more}" == said.exact
    assert more == forms.form(form_id).texts[language].more
    assert (said.form, said.version, said.language) == (form_id, forms.form(form_id).version, language)


def test_split_an_older_version() -> None:
    assert forms.split(f"{VERSION_1}\n\n{MORE_1}", "room", "nb") == (VERSION_1, MORE_1)


def test_an_unknown_language_is_answered_in_bokmål() -> None:
    said = forms.render(form_id="room", language="de", names=NAMES, purpose="treatment", until=UNTIL)
    assert said.language == "nb"


def test_dates_are_oslo() -> None:
    late = datetime(2027, 6, 30, 22, 30, tzinfo=UTC)
    said = forms.render(form_id="room", language="nb", names=NAMES, purpose="treatment", until=late)
    assert "01.07.2027" in said.exact


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", State.values)
@pytest.mark.parametrize("form_id", OFFERED)
def test_a_sentence_says_it_all(form_id: str, state: str, language: str) -> None:
    purpose = next(iter(forms.purposes(form_id)))
    said = forms.sentence(
        form_id=form_id, language=language, state=state, names=NAMES, purpose=purpose, since=SINCE, until=UNTIL
    )
    assert all(name in said for name in NAMES)
    assert forms.purposes(form_id)[purpose][language] in said
    assert ("22.11.2026" in said) == (state == "active")
    assert ("22.11.2027" in said) == (state in ("active", "withdrawn", "expired"))
    assert said[0].isupper()
    assert said.endswith(".")
    assert not re.search(r"[{}]", said)


def test_every_state_has_its_sentence() -> None:
    told = [
        forms.sentence(form_id="room", language="nb", state=state, names=NAMES, purpose="treatment", until=UNTIL)
        for state in ("requested", "active", "declined", "withdrawn")
    ]
    assert len(set(told)) == 4


def test_names_in_a_row() -> None:
    def said(*names: str) -> str:
        return forms.sentence(form_id="room", language="nn", state="active", names=names, purpose="treatment")

    assert said() == "Ingen får snakke saman med deg her om behandling."
    assert said("Kari").startswith("Kari får")
    assert said("Kari", "Frida", "Vera").startswith("Kari, Frida og Vera får")
    assert said("Kari, NAV", "Frida, lege", "Vera").startswith("Kari, NAV; Frida, lege og Vera får")
    assert said("Kari").endswith("til du seier stopp.")


def test_words_for_every_act_state_and_kind() -> None:
    assert set(forms.common().acts) == set(Act.values)
    assert set(forms.common().states) == set(State.values)
    assert library.LANGUAGES == LANGUAGES


def test_every_kind_of_unit_has_a_statute() -> None:
    for kind in UnitKind.values:
        assert "§" in forms.release_statute(kind)
    assert "§ 7" in forms.release_statute("nav"), "NAV has a duty of confidentiality of its own (L1)"
    with pytest.raises(KeyError):
        forms.release_statute("bakery")


def test_every_rule_says_where_it_stands() -> None:
    rules = [forms.capacities(), forms.emergency_grounds(), forms.statutory_grounds(), forms.legal_duties()]
    for found in rules:
        assert found
        for one in found.values():
            assert re.search(r"§§? \d", one.statute)
            assert "consent" not in one.statute
            assert set(one.words) == set(LANGUAGES)
    for duty in forms.legal_duties().values():
        assert all(said.count(".") == 1 and said.endswith(".") for said in duty.sentence.values())
    assert {"emergency_help", "child_concern", "avert_crime"} <= set(forms.legal_duties())
    assert {"life_danger", "serious_harm", "cannot_consent"} <= set(forms.emergency_grounds())


def test_only_self_is_on() -> None:
    assert [code for code, one in forms.capacities().items() if one.enabled] == ["self"]
    assert set(forms.capacities()) == {"self", "guardian", "next_of_kin", "parent"}
    assert not any(one.enabled for one in forms.statutory_grounds().values())


def test_what_is_offered() -> None:
    assert [one["id"] for one in forms.all_forms()] == list(OFFERED)
    assert json.loads(json.dumps(forms.all_forms())) == forms.all_forms()
    for form_id in OFFERED:
        assert (forms.form(form_id).endless, forms.form(form_id).remind_days) == (False, 14)
        assert forms.form(form_id)["months"] > 0
    assert set(forms.form("muli").categories) == {"alerts", "plan", "contact"}
    assert set(forms.form("room").categories) == {"conversation"}
    assert "muli" not in forms.purposes(), "nobody opens a room for it"
    with pytest.raises(KeyError):
        forms.form("capacities")


def without(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        for key in path[:-1]:
            data = data[key]
        del data[path[-1]]

    return change


def put(value: Any, *path: str) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return change


LONG = "{names} {purpose} {until} {limits}" + " ord" * 60

MALFORMED = [
    ("room", without("texts", "nn"), "room.texts"),
    ("room", without("purposes", "treatment", "en"), "room.purposes.treatment"),
    ("room", without("texts", "nb", "stays"), "room.texts.nb.stays"),
    ("room", put("x", "texts", "nb", "extra"), "room.texts.nb.extra"),
    ("room", put("", "texts", "nb", "yes"), "texts.nb.yes: missing"),
    ("room", put(" ", "texts", "nb", "more"), "room.texts.nb.more"),
    ("room", put("One\n\nTwo", "texts", "nb", "more"), "more: no blank line"),
    ("room", put("{names} {until} {limits}", "texts", "en", "first"), "texts.en.first: does not say {purpose}"),
    ("room", put(LONG, "texts", "en", "first"), "texts.en.first: more than 60 words"),
    ("room", put("{name}", "texts", "en", "sentence"), "sentence: knows nothing of {name}"),
    ("room", put("Open {", "texts", "en", "stops"), "room.texts.en"),
    ("room", put(0, "months"), "a form that is not endless ends"),
    ("room", put("12 months", "months"), "room.months"),
    ("room", put("muli", "id"), "room.id: must be room"),
    ("exclusions", put("Ja", "texts", "nb", "yes"), "texts.nb.yes: nothing is asked"),
    ("exclusions", put("Du", "texts", "nb", "first"), "texts.nb.first: does not say {names}"),
    ("capacities", put(True, "guardian", "enabled"), "capacities: self is on, and no other"),
    ("capacities", put(False, "self", "enabled"), "capacities: self is on, and no other"),
    ("statutory", put(True, "record_sharing", "enabled"), "statutory.record_sharing.enabled"),
    ("emergency", put("", "life_danger", "statute"), "emergency.life_danger.statute"),
    ("duties", without("avert_crime", "sentence"), "duties.avert_crime.sentence"),
    ("release", put("", "nav"), "release.nav"),
    ("words", without("acts", "corrected"), "words.acts"),
    ("words", without("receipt", "nb", "print"), "words.receipt.nb.print"),
]


@pytest.mark.parametrize(("name", "change", "said"), MALFORMED, ids=[f"{one}-{said}" for one, _, said in MALFORMED])
def test_a_malformed_file_is_refused(
    tmp_path: Path, name: str, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    path = shutil.copytree(library.FOLDER, tmp_path / "forms") / f"{name}.json"
    assert library.load(path.parent) == library.load(), "as it is, it is good"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    assert said in refused(path.parent)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("room", '{"id": ', "room: Expecting value"),
        ("release", '{"gp": "§ 1", "gp": "§ 2"}', "release: gp stands there twice"),
        ("release", "[]", "release"),
        ("stray", "{}", "stray"),
        ("words", None, "words: Field required"),
    ],
    ids=["broken", "doubled", "list", "stray", "missing"],
)
def test_a_file_that_is_none_of_ours_is_refused(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    path = shutil.copytree(library.FOLDER, tmp_path / "forms") / f"{name}.json"
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    assert said in refused(path.parent)


def refused(folder: Path) -> str:
    """Load, expect a refusal in one line, and return it."""
    with pytest.raises(SystemExit) as stopped:
        library.load(folder)
    said = str(stopped.value)
    assert said.startswith("samsnakk: the consent forms are not usable. ")
    assert len(said.splitlines()) == 1
    return said
