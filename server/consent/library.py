"""What the files in `forms/` must hold. One that does not stops the start, with one line that says where."""

import json
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

FOLDER = Path(__file__).parent / "forms"
LANGUAGES = ("nb", "nn", "en")
FORMS = ("room", "muli", "exclusions")
ACTS = ("requested", "given", "declined", "changed", "renewed", "withdrawn", "expired", "corrected")
STATES = ("requested", "active", "declined", "withdrawn", "expired")
METHODS = ("sign_in", "paper", "oral", "clock")
MAX_WORDS = 60

T = TypeVar("T")


def _exactly(*keys: str) -> AfterValidator:
    def check(found: Mapping[str, T]) -> Mapping[str, T]:
        if set(found) != set(keys):
            raise ValueError(f"needs {', '.join(keys)}, and no other")
        return found

    return AfterValidator(check)


Line = Annotated[str, StringConstraints(min_length=1, strict=True, pattern=r"^\S(.*\S)?$")]
Block = Annotated[str, StringConstraints(min_length=1, strict=True, pattern=r"^\S(?s:.*\S)?$")]
"""A text of one line, and one that may have several."""
Code = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z][a-z_]{1,39}$")]
Words = Annotated[Mapping[str, Line], _exactly(*LANGUAGES)]
"""What something is called, by language."""

PLACES: dict[str, set[str]] = {
    "first": {"names", "purpose", "until", "limits"},
    "excluded": {"units"},
    "content_from": {"start"},
    "content_to": {"end"},
    "sentence": {"names", "purpose", "since", "until"},
    "sentence_waiting": {"names", "purpose"},
    "sentence_declined": {"names", "purpose"},
    "sentence_ended": {"names", "purpose", "until"},
    "sentence_nobody": {"purpose"},
}
"""What a text may leave open, in braces; every other text leaves nothing open."""
ASKING = ("yes", "no", "sentence_waiting", "sentence_declined")
"""The texts of a form that asks, and of no other."""


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def __getitem__(self, key: str) -> Any:
        """A field by its name, for those who read a file as the JSON it is."""
        return getattr(self, key)


class Text(Part):
    """One form in one language.

    `first` is the first screen and `more` stands under «Mer»; `limits` in it are the lines `excluded`, `content_from`
    and `content_to`, where they apply. `stops` and `stays` say what withdrawing this does, and what it does not.
    """

    title: Line
    first: Block
    more: Block
    excluded: Line
    content_from: Line
    content_to: Line
    yes: str
    no: str
    stops: Block
    stays: Block
    sentence: Line
    sentence_waiting: str
    sentence_declined: str
    sentence_ended: Line
    sentence_nobody: Line

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if "\n\n" in self.more:
            raise ValueError("more: no blank line, for that is where the first screen ends")
        for name, text in self:
            stray = _left_open(text) - PLACES.get(name, set())
            if stray:
                raise ValueError(f"{name}: knows nothing of {{{min(stray)}}}")
        return self


class Form(Part):
    """`months` is how long it holds when nothing else is said, 0 for no end (then it is `endless`); the patient is
    reminded `remind_days` before its end. `offered` says that somebody may be asked for it. `categories` of information
    and `purposes` are by code."""

    id: Code
    version: int = Field(ge=1)
    offered: bool
    months: int = Field(ge=0, le=60)
    endless: bool
    remind_days: int = Field(ge=0, le=60)
    categories: Mapping[Code, Words]
    purposes: Mapping[Code, Words]
    texts: Annotated[Mapping[str, Text], _exactly(*LANGUAGES)]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.months and not self.endless:
            raise ValueError("months: a form that is not endless ends")
        needed = PLACES["first"] if self.offered else {"names"}
        for language, text in self.texts.items():
            for name in ASKING:
                if bool(text[name].strip()) != self.offered:
                    raise ValueError(f"texts.{language}.{name}: {'missing' if self.offered else 'nothing is asked'}")
            missing = needed - _left_open(text.first)
            if missing:
                raise ValueError(f"texts.{language}.first: does not say {{{min(missing)}}}")
            if self._longest(language) > MAX_WORDS:
                raise ValueError(f"texts.{language}.first: more than {MAX_WORDS} words")
        return self

    def _longest(self, language: str) -> int:
        """How many words the first screen may come to, names apart: with every limit, and the longest purpose."""
        text = self.texts[language]
        limits = [text.excluded, text.content_from, text.content_to] if "limits" in _left_open(text.first) else []
        purposes = [len(words[language].split()) for words in self.purposes.values()]
        dates = sum("{" + place + "}" in line for place in ("until", "start", "end") for line in (text.first, *limits))
        return (
            sum(len(_without_places(line).split()) for line in (text.first, *limits)) + max(purposes, default=0) + dates
        )


class Rule(Part):
    """Something that the law knows by a name: its words, and where it stands."""

    words: Words
    statute: Line


class Capacity(Rule):
    """In which capacity somebody decides for the patient. Only `self` is on unless the installation turns more on."""

    enabled: bool


class Statutory(Rule):
    """A ground that lets somebody take part without consent; off until the installation turns it on."""

    enabled: Literal[False]


class LegalDuty(Rule):
    """What never rests on consent (L7); `sentence` says it to whoever has the duty."""

    sentence: Words


class Receipt(Part):
    """The words around a printed receipt."""

    title: Line
    said_yes: Line
    said_no: Line
    withdrew: Line
    who: Line
    purpose: Line
    categories: Line
    since: Line
    until: Line
    how: Line
    excluded: Line
    content: Line
    remark: Line
    text: Line
    stops: Line
    stays: Line
    digest: Line
    signature: Line
    printed: Line
    print: Line


class Common(Part):
    """Words that all forms share. `no_end` stands in an end's place, `nobody` in a name's, and `last` before the last
    of several names."""

    acts: Annotated[Mapping[str, Words], _exactly(*ACTS)]
    states: Annotated[Mapping[str, Words], _exactly(*STATES)]
    methods: Annotated[Mapping[str, Words], _exactly(*METHODS)]
    no_end: Words
    nobody: Words
    last: Words
    receipt: Annotated[Mapping[str, Receipt], _exactly(*LANGUAGES)]


class Library(Part):
    """Everything in `forms/`, one file for each field."""

    room: Form
    muli: Form
    exclusions: Form
    capacities: Mapping[Code, Capacity]
    emergency: Mapping[Code, Rule]
    statutory: Mapping[Code, Statutory]
    duties: Mapping[Code, LegalDuty]
    release: Mapping[Code, Line]
    words: Common

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        for name in FORMS:
            if self[name].id != name:
                raise ValueError(f"{name}.id: must be {name}")
        if [code for code, one in self.capacities.items() if one.enabled] != ["self"]:
            raise ValueError("capacities: self is on, and no other")
        return self


def load(folder: Path = FOLDER) -> Library:
    """Read and check every file. Stops the process with one line when one cannot be used."""
    found: dict[str, Any] = {}
    place = folder.name
    try:
        for path in sorted(folder.glob("*.json")):
            place = path.stem
            found[place] = json.loads(path.read_bytes(), object_pairs_hook=_once)
        return Library.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place, fault = ".".join(map(str, first["loc"])), first["msg"]
    except ValueError as error:
        fault = str(error)
    raise SystemExit(f"samsnakk: the consent forms are not usable. {f'{place}: ' if place else ''}{fault}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys stand there once: of two, one would be overruled unseen."""
    keys = [key for key, _ in pairs]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"{twice[0]} stands there twice")
    return dict(pairs)


def _left_open(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field is not None}


def _without_places(text: str) -> str:
    return " ".join(said for said, _, _, _ in string.Formatter().parse(text))
